package kafka

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"datawatch/pkg/testrig/internal/port"
	"datawatch/pkg/testrig/internal/process"
	"datawatch/pkg/testrig/internal/scratch"
)

const (
	startTimeout = 3 * time.Minute
	stopTimeout  = time.Minute

	// defaultHeap is enough for tests, soaks included.
	defaultHeap = "512m"
)

// Options say which server to run.
type Options struct {
	// Dir holds the server's data; it is created when missing, and a server that
	// was there before goes on. Default: a temporary folder, removed by Stop.
	Dir string

	// Version is that of Apache Kafka. Default: DefaultVersion.
	Version string

	// Port is the port of 127.0.0.1 that clients connect to. Default: a free one.
	Port int

	// Settings go into server.properties, over those that this package makes.
	Settings map[string]string

	// Listeners are further ones, by their names, for clients that come another way: through a proxy, by TLS, with SASL.
	Listeners map[string]Listener

	// Heap is the JVM's -Xmx. Default: 512m.
	Heap string

	// JVM replaces the JVM's other flags. Default: those for a quick start on few
	// cores, which cost throughput; a benchmark wants []string{"-XX:+UseG1GC"}.
	JVM []string

	// Log receives the server's output, a line at a time, at level Debug.
	Log *slog.Logger
}

// Listener is a further address of a server.
type Listener struct {
	// Address is the host:port to listen at.
	Address string
	// Advertised is the host:port that its clients are told to connect to. Default: Address.
	Advertised string
	// Protocol is the security protocol. Default: PLAINTEXT.
	Protocol string
}

// Server is an Apache Kafka server. Its methods are for one goroutine at a time,
// except Addr.
type Server struct {
	// Version is the server's, as in "4.1.0".
	Version string

	options        Options
	java           string
	jars           string
	dir            string
	scratch        *scratch.Dir // where dir is a temporary one
	port           int
	controllerPort int
	proc           *process.Process
}

// Start starts a server and returns when it can be written to and read from; ctx
// bounds that wait (and the fetching, where that is needed), not the server's life.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Version == "" {
		o.Version = DefaultVersion
	}
	if o.Heap == "" {
		o.Heap = defaultHeap
	}
	if o.JVM == nil {
		o.JVM = []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}
	}
	s := &Server{Version: o.Version, options: o}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start Kafka %s: %w", o.Version, err), s.discard())
	}
	if err := s.runOnPorts(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start Kafka %s: %w", o.Version, err), s.discard())
	}
	return s, nil
}

func (s *Server) prepare(ctx context.Context) (err error) {
	if s.java, err = java(); err != nil {
		return err
	}
	if s.jars, err = Fetch(ctx, s.Version); err != nil {
		return err
	}
	if s.options.Dir == "" {
		if s.scratch, err = scratch.New("kafka"); err != nil {
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
		if s.controllerPort, err = port.Free(); err != nil {
			return err
		}
		if err = s.run(ctx); err == nil || !strings.Contains(err.Error(), "Address already in use") {
			return err
		}
	}
	return err
}

// run starts the server on its ports and waits until it answers.
func (s *Server) run(ctx context.Context) (err error) {
	if err := s.configure(); err != nil {
		return err
	}
	if err := s.format(ctx); err != nil {
		return err
	}
	s.proc, err = process.Start(process.Spec{
		Path:         s.java,
		Args:         s.arguments("kafka.Kafka", s.properties()),
		Env:          os.Environ(),
		Dir:          s.dir,
		OrphanSignal: syscall.SIGKILL,
		Log:          s.options.Log,
	})
	if err != nil {
		return err
	}
	if err := s.await(ctx); err != nil {
		return errors.Join(err, s.Kill())
	}
	return nil
}

func (s *Server) arguments(class string, args ...string) []string {
	jvm := append([]string{"-Xmx" + s.options.Heap}, s.options.JVM...)
	jvm = append(jvm, "-Dlog4j2.configurationFile="+s.log4j(), "-cp", filepath.Join(s.jars, "*"), class)
	return append(jvm, args...)
}

// format makes the data folder of a server that runs for the first time.
func (s *Server) format(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.data(), "meta.properties")); err == nil {
		return nil
	}
	id := uuid.New()
	id[0] &= 0x7f // or its text may begin with a dash, which the tool takes for an option
	cmd := exec.CommandContext(ctx, s.java, s.arguments("kafka.tools.StorageTool",
		"format", "-t", base64.RawURLEncoding.EncodeToString(id[:]), "-c", s.properties())...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("format the data folder: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// await waits until the server knows itself as a broker or its process has ended.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return s.proc.Await(ctx, s.ping)
}

// ping asks for metadata: a server that listens but isn't yet registered with its
// controller gives no brokers.
func (s *Server) ping(context.Context) error {
	conf := sarama.NewConfig()
	conf.Net.DialTimeout = 30 * time.Second
	conf.Net.ReadTimeout = 30 * time.Second
	broker := sarama.NewBroker(s.Addr())
	if err := broker.Open(conf); err != nil {
		return err
	}
	defer broker.Close()
	metadata, err := broker.GetMetadata(sarama.NewMetadataRequest(conf.Version, nil))
	if err != nil {
		return err
	}
	for _, b := range metadata.Brokers {
		if b.Addr() == s.Addr() {
			return nil
		}
	}
	return errors.New("the broker is not registered yet")
}

// Addr is the host:port that clients connect to.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// PID is the id of the server's process.
func (s *Server) PID() int { return s.proc.PID() }

// Done is closed when the server that runs now has ended, whatever ended it.
func (s *Server) Done() <-chan struct{} { return s.proc.Done() }

// Stop shuts the server down in order (a minute at most, then it is killed), and
// removes the folder if it was a temporary one.
func (s *Server) Stop(ctx context.Context) error {
	return errors.Join(s.halt(ctx), s.discard())
}

func (s *Server) halt(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if err := s.proc.Stop(ctx, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop Kafka: %w", err)
	}
	return nil
}

// Kill ends the server with SIGKILL, as a crash would. The data stays, for Restart.
func (s *Server) Kill() error {
	if err := s.proc.Kill(); err != nil {
		return fmt.Errorf("kill Kafka: %w", err)
	}
	return nil
}

// Restart starts the server again, on the same ports and data; one that still runs
// is stopped in order first.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.halt(ctx); err != nil {
		return err
	}
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("restart Kafka: %w", err)
	}
	return nil
}

func (s *Server) discard() error {
	if s.scratch == nil {
		return nil
	}
	return s.scratch.Remove()
}
