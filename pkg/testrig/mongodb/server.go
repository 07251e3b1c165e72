package mongodb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/pkg/testrig/internal/port"
	"datawatch/pkg/testrig/internal/process"
	"datawatch/pkg/testrig/internal/scratch"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 10 * time.Second
)

// Options say which server to run.
type Options struct {
	// Dir holds the server's data; it is created when missing, and a server that was there before goes on. Default: a
	// temporary folder, removed by Stop.
	Dir string

	// Port is the port of 127.0.0.1 that clients connect to. Default: a free one.
	Port int

	// Arguments are further ones of the server, as in "--oplog-max-entries", "100".
	Arguments []string

	// URIOptions are what clients need to get in, as in "tls=true&tlsCAFile=…".
	URIOptions string

	// Standalone has it say that it is no replica set.
	Standalone bool

	// Mongod has the machine's own mongod run, where there is one on the PATH; else SecantusDB does. Its data is not the
	// other's.
	Mongod bool

	// Log receives the server's output, a line at a time, at level Debug.
	Log *slog.Logger
}

// Server is a running server. Its methods are for one goroutine at a time, except URI.
type Server struct {
	options Options
	mongod  string // the machine's own, where that is what runs
	env     string // else the virtual environment
	set     string // the name of the replica set
	dir     string
	scratch *scratch.Dir // where dir is a temporary one
	port    int
	proc    *process.Process
}

// Start starts a server and returns when it answers; ctx bounds that wait (and the fetching, where that is needed), not the
// server's life.
func Start(ctx context.Context, o Options) (*Server, error) {
	s := &Server{options: o, set: "secantus"}
	err := s.prepare(ctx)
	if err == nil {
		err = s.runOnPorts(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a MongoDB server: %w", err), s.discard())
	}
	return s, nil
}

func (s *Server) prepare(ctx context.Context) (err error) {
	if s.options.Mongod {
		s.mongod = findMongod()
	}
	if s.mongod == "" {
		if s.env, err = Fetch(ctx); err != nil {
			return err
		}
	}
	if s.options.Dir == "" {
		if s.scratch, err = scratch.New("mongodb"); err != nil {
			return err
		}
		s.dir = s.scratch.Path
		return nil
	}
	if s.dir, err = filepath.Abs(s.options.Dir); err != nil {
		return err
	}
	return os.MkdirAll(s.dir, 0o755)
}

// runOnPorts tries again with other free ports when somebody was faster.
func (s *Server) runOnPorts(ctx context.Context) (err error) {
	for range 5 {
		if s.port = s.options.Port; s.port == 0 {
			if s.port, err = port.Free(); err != nil {
				return err
			}
		}
		if err = s.run(ctx); err == nil || !strings.Contains(err.Error(), "ddress already in use") {
			return err
		}
	}
	return err
}

func (s *Server) run(ctx context.Context) (err error) {
	path, args := interpreter(s.env), []string{
		"-c", "import sys; from secantus.cli import main; sys.exit(main())",
		"--host", "127.0.0.1", "--port", strconv.Itoa(s.port), "--storage-path", filepath.Join(s.dir, "data"), "--enable-test-commands",
	}
	if s.options.Standalone {
		args = append(args, "--standalone")
	}
	if s.mongod != "" {
		path = s.mongod
		if args, err = s.mongodArguments(); err != nil {
			return err
		}
	}
	s.proc, err = process.Start(process.Spec{
		Path: path, Args: append(args, s.options.Arguments...), Env: os.Environ(), Dir: s.dir,
		OrphanSignal: syscall.SIGKILL, Log: s.options.Log,
	})
	if err != nil {
		return err
	}
	if err := s.await(ctx); err != nil {
		return errors.Join(err, s.Kill())
	}
	return nil
}

// await waits until the server answers or its process has ended.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client, err := mongo.Connect(ctx, options.Client().ApplyURI(s.uri("directConnection=true")).SetServerSelectionTimeout(time.Second))
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.Background()) }() // it only asked
	if err := s.proc.Await(ctx, func(ctx context.Context) error {
		err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "ping", Value: 1}}).Err()
		if _, refused := errors.AsType[mongo.CommandError](err); refused { // one that wants a password refuses
			return nil
		}
		return err
	}); err != nil {
		return err
	}
	if s.mongod == "" || s.options.Standalone {
		return nil
	}
	return s.initiate(ctx, client)
}

// Addr is the host:port that clients connect to.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// Port is the port that clients connect to.
func (s *Server) Port() int { return s.port }

// URI is the address that drivers take.
func (s *Server) URI() string {
	if s.options.Standalone {
		return s.uri("")
	}
	return s.uri("replicaSet=" + s.set)
}

func (s *Server) uri(query string) string {
	uri := "mongodb://" + s.Addr() + "/"
	if all := strings.Trim(query+"&"+s.options.URIOptions, "&"); all != "" {
		uri += "?" + all
	}
	return uri
}

// PID is the id of the server's process.
func (s *Server) PID() int { return s.proc.PID() }

// Done is closed when the server's process has ended.
func (s *Server) Done() <-chan struct{} { return s.proc.Done() }

// Stop shuts the server down in order (10 seconds at most, then it is killed), and removes the folder if it was a
// temporary one.
func (s *Server) Stop(ctx context.Context) error { return errors.Join(s.halt(ctx), s.discard()) }

func (s *Server) halt(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if err := s.proc.Stop(ctx, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the MongoDB server: %w", err)
	}
	return nil
}

// Kill ends the server with SIGKILL, as a crash would. The data stays, for Restart; with the argument "--sync-on-commit" all
// that was acknowledged, else all but the last moments.
func (s *Server) Kill() error {
	if err := s.proc.Kill(); err != nil {
		return fmt.Errorf("kill the MongoDB server: %w", err)
	}
	return nil
}

// Restart starts the server again, on the same port and data; one that still runs is stopped in order first.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.halt(ctx); err != nil {
		return err
	}
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("restart the MongoDB server: %w", err)
	}
	return nil
}

func (s *Server) discard() error {
	if s.scratch == nil {
		return nil
	}
	return s.scratch.Remove()
}
