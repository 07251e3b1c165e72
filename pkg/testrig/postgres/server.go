package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/testrig/internal/port"
	"datawatch/pkg/testrig/internal/process"
	"datawatch/pkg/testrig/internal/scratch"
)

const (
	superuser = "postgres"

	// startTimeout is generous: a server recovers here after a crash.
	startTimeout = 3 * time.Minute
	stopTimeout  = time.Minute
)

// Options say which server to run.
type Options struct {
	// Dir holds the server's data; it is created when missing, and a server that
	// was there before goes on. Default: a temporary folder, removed by Stop.
	Dir string

	// Version is "" for what the machine has (else DefaultVersion is fetched), a
	// major version as in "17", or a build to fetch as in "17.6.0".
	Version string

	// Port is the port of 127.0.0.1 to listen on. Default: a free one.
	Port int

	// Settings go into the server's configuration, over those that this package
	// makes: wal_level=logical, max_connections=200. For servers whose data may be
	// lost with the machine, fsync=off makes much of a test faster.
	Settings map[string]string

	// Log receives the server's output, a line at a time, at level Debug.
	Log *slog.Logger
}

// Server is a PostgreSQL server. Its methods are for one goroutine at a time,
// except DSN and CreateDatabase.
type Server struct {
	// Version is what the server says it is, as in "15.14".
	Version string

	options  Options
	bin      binaries
	user     *syscall.Credential
	dir      string       // with data/ and password
	scratch  *scratch.Dir // where dir is a temporary one
	port     int
	password string
	proc     *process.Process
}

// Start starts a server and returns when it can be connected to; ctx bounds that
// wait (and the fetching, where that is needed), not the server's life.
func Start(ctx context.Context, o Options) (*Server, error) {
	bin, err := find(ctx, o.Version)
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	s := &Server{Version: bin.version, options: o, bin: bin}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start PostgreSQL %s: %w", bin.version, err), s.discard())
	}
	if err := s.runOnPort(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start PostgreSQL %s: %w", bin.version, err), s.discard())
	}
	return s, nil
}

// prepare makes the folder ready: a fresh database cluster, or the one that is
// there already.
func (s *Server) prepare(ctx context.Context) (err error) {
	if s.user, err = unprivileged(); err != nil {
		return err
	}
	if err := reachable(s.bin.path("postgres"), s.user); err != nil {
		return err
	}
	if err := s.makeDir(); err != nil {
		return err
	}
	if err := s.loadPassword(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.data(), "PG_VERSION")); err == nil {
		return handOver(s.dir, s.user)
	}
	// What an interrupted initdb left is of no use.
	if err := os.RemoveAll(s.data()); err != nil {
		return err
	}
	if err := handOver(s.dir, s.user); err != nil {
		return err
	}
	return s.initdb(ctx)
}

func (s *Server) makeDir() (err error) {
	if s.options.Dir == "" {
		if s.scratch, err = scratch.New("postgres"); err != nil {
			return err
		}
		s.dir = s.scratch.Path
	} else {
		if s.dir, err = filepath.Abs(s.options.Dir); err != nil {
			return err
		}
		if err := os.MkdirAll(s.dir, 0o755); err != nil {
			return err
		}
	}
	return reachable(s.dir, s.user)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// loadPassword gives the superuser's password: made once, kept beside the data.
func (s *Server) loadPassword() error {
	file := filepath.Join(s.dir, "password")
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		text = []byte(rand.Text())
		err = os.WriteFile(file, text, 0o600)
	}
	s.password = string(text)
	return err
}

func (s *Server) initdb(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, s.bin.path("initdb"),
		"--pgdata", s.data(), "--username", superuser,
		"--auth", "scram-sha-256", "--pwfile", filepath.Join(s.dir, "password"),
		"--encoding", "UTF8", "--no-locale", "--no-sync")
	cmd.Dir, cmd.Env = s.dir, s.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.user}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// environment keeps the caller's PG* variables and locale from the server.
func (s *Server) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=" + s.dir}
}

// runOnPort tries again with another free port when somebody was faster.
func (s *Server) runOnPort(ctx context.Context) (err error) {
	if s.options.Port != 0 {
		s.port = s.options.Port
		return s.run(ctx)
	}
	for range 5 {
		if s.port, err = port.Free(); err != nil {
			return err
		}
		if err = s.run(ctx); err == nil || !strings.Contains(err.Error(), "Address already in use") {
			return err
		}
	}
	return err
}

// run starts the server on its port and waits until it answers.
func (s *Server) run(ctx context.Context) error {
	if err := s.configure(); err != nil {
		return err
	}
	proc, err := process.Start(process.Spec{
		Path: s.bin.path("postgres"),
		Args: []string{"-D", s.data()},
		Env:  s.environment(),
		Dir:  s.dir,
		User: s.user,
		// A fast shutdown: sessions are ended, and the data is left in order.
		OrphanSignal: syscall.SIGINT,
		Log:          s.options.Log,
	})
	if err != nil {
		return err
	}
	s.proc = proc
	if err := s.await(ctx); err != nil {
		return errors.Join(err, s.Kill())
	}
	return nil
}

// await waits until the server takes connections or its process has ended.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return s.proc.Await(ctx, s.ping)
}

func (s *Server) ping(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	// Another server may have been faster with the port.
	var data string
	if err := conn.QueryRow(ctx, "show data_directory").Scan(&data); err != nil {
		return err
	}
	if data != s.data() {
		return fmt.Errorf("another server answers on port %d", s.port)
	}
	return nil
}

// DSN is the superuser's connection string for a database ("postgres" always exists).
func (s *Server) DSN(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     "127.0.0.1:" + strconv.Itoa(s.port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// CreateDatabase creates an empty database.
func (s *Server) CreateDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return fmt.Errorf("create database %q: %w", name, err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "create database "+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("create database %q: %w", name, err)
	}
	return nil
}

// PID is the process id of the postmaster.
func (s *Server) PID() int { return s.proc.PID() }

// Done is closed when the server that runs now has ended, whatever ended it.
func (s *Server) Done() <-chan struct{} { return s.proc.Done() }

// Stop ends sessions, shuts the server down in order (a minute at most, then it
// is killed), and removes the folder if it was a temporary one.
func (s *Server) Stop(ctx context.Context) error {
	return errors.Join(s.halt(ctx), s.discard())
}

func (s *Server) halt(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if err := s.proc.Stop(ctx, syscall.SIGINT); err != nil {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	return nil
}

// Kill ends every process of the server with SIGKILL, as a crash would. The data
// stays, for Restart.
func (s *Server) Kill() error {
	select {
	case <-s.proc.Done():
		return nil // and its id may be another's by now
	default:
	}
	if err := killTree(s.proc.PID()); err != nil {
		return fmt.Errorf("kill PostgreSQL: %w", err)
	}
	<-s.proc.Done()
	return nil
}

// Restart starts the server again, on the same port and data; one that still runs
// is stopped in order first.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.halt(ctx); err != nil {
		return err
	}
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("restart PostgreSQL: %w", err)
	}
	return nil
}

func (s *Server) discard() error {
	if s.scratch == nil {
		return nil
	}
	return s.scratch.Remove()
}
