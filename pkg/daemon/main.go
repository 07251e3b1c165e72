package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/reason"
)

// Exit codes of every program.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitConfig = 2 // the command line or the configuration is wrong
	ExitTooFar = 3 // asked for more of the past than is still held
)

// ErrTooFarBack says that more of the past was asked for than is still held.
var ErrTooFarBack = errors.New("asked for more of the past than is still held")

// Service is one of datawatch's programs.
type Service[C any] struct {
	Name    string // "collector"
	Summary string // one sentence
	Default func() C
	Shared  func(*C) *config.Shared // the shared sections inside a C
	Listen  func(*C) string         // where health and metrics are served
	Run     func(ctx context.Context, c C, env Env) error
	// RunReloading takes Run's place where it is set: reloads brings what the configuration has become at each SIGHUP. Where it
	// isn't, a SIGHUP changes nothing, and the log says so.
	RunReloading func(ctx context.Context, c C, reloads <-chan Reload[C], env Env) error
	// Check finds out whether the service could work: connections and permissions. The configuration was read already.
	Check func(ctx context.Context, c C) []Finding
	// Memory is from how many bytes on the collector of garbage works harder, unless GOMEMLIMIT says so; nil is no limit. It is
	// set only where the service has its process for itself.
	Memory func(C) int64
	// Busy is for a service that computes on all cores: see RunBusy.
	Busy bool
	// Commands are the service's own; load reads the configuration.
	Commands func(load func() (C, error)) []*cobra.Command
}

// Reload is a configuration that was read anew, or what is wrong with it.
type Reload[C any] struct {
	Config C
	Err    error
}

// Finding is one line of `check`.
type Finding struct {
	What   string // "broker kafka:9092"
	Err    error  // nil is fine
	Remedy string // "" is what the error itself says is to be done
	Detail string // said behind a finding that is fine
}

// Main runs the command line and exits.
func Main[C any](s Service[C]) { os.Exit(Execute(s, os.Args[1:], os.Stdout, os.Stderr)) }

// Execute runs a command line and returns the exit code: results go to stdout, everything else to stderr.
func Execute[C any](s Service[C], args []string, stdout, stderr io.Writer) int {
	ctx, stop := signalContext(context.Background())
	defer stop()
	root := command(s, stdout, stderr)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return exitCode(root.ExecuteContext(ctx), stderr)
}

func command[C any](s Service[C], stdout, stderr io.Writer) *cobra.Command {
	var file string
	load := func() (C, error) {
		c := s.Default()
		return c, config.Load(file, &c)
	}
	run := func(cmd *cobra.Command, _ []string) error {
		c, err := load()
		if err != nil {
			return err
		}
		env := NewEnv(NewLogger(stderr, s.Shared(&c).Log, s.Name))
		env.Log.Info("starting", "version", Version(), "config", file)
		if s.Memory != nil && os.Getenv("GOMEMLIMIT") == "" {
			debug.SetMemoryLimit(s.Memory(c))
		}
		if s.Busy {
			RunBusy()
		}
		if s.RunReloading != nil {
			err = s.RunReloading(cmd.Context(), c, onHangup(cmd.Context(), load), env)
		} else {
			outliveHangups(cmd.Context(), env.Log)
			err = s.Run(cmd.Context(), c, env)
		}
		if cmd.Context().Err() != nil && errors.Is(err, context.Canceled) {
			env.Log.Info("stopped")
			return nil
		}
		return err
	}
	root := &cobra.Command{
		Use: s.Name, Short: s.Summary, RunE: run, SilenceUsage: true, SilenceErrors: true, Args: noArguments,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return UsageError{err} })
	root.PersistentFlags().StringVar(&file, "config", envOr("DATAWATCH_CONFIG", "datawatch.yaml"), "the configuration file (or DATAWATCH_CONFIG)")
	root.AddCommand(
		&cobra.Command{Use: "run", Short: "Run the service (the default)", Args: noArguments, RunE: run},
		&cobra.Command{Use: "check", Short: "Check configuration, connections and permissions", Args: noArguments, RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := load()
			if err != nil {
				return err
			}
			return printFindings(stdout, append([]Finding{{What: "configuration " + file}}, s.Check(cmd.Context(), c)...))
		}},
		&cobra.Command{Use: "healthy", Short: "Ask the running service whether it is ready", Args: noArguments, RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := load()
			if err != nil {
				return err
			}
			return askReady(cmd.Context(), s.Listen(&c), stdout)
		}},
		&cobra.Command{Use: "version", Short: "Print the version", Args: noArguments, Run: func(*cobra.Command, []string) {
			_, _ = fmt.Fprintf(stdout, "%s %s\n", s.Name, Version())
		}},
	)
	if s.Commands != nil {
		root.AddCommand(s.Commands(load)...)
	}
	checkArguments(root)
	return root
}

func exitCode(err error, stderr io.Writer) int {
	var wrong *config.Error
	var usage UsageError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &wrong), errors.As(err, &usage):
		_, _ = fmt.Fprintln(stderr, err)
		return ExitConfig
	case errors.Is(err, ErrTooFarBack):
		_, _ = fmt.Fprintln(stderr, err)
		return ExitTooFar
	case errors.Is(err, errFindings):
		return ExitFailed
	default:
		for _, one := range apart(err) {
			line := fmt.Sprint("error: ", one)
			if do := remedyOf(one); do != "" {
				line += " (" + do + ")"
			}
			_, _ = fmt.Fprintln(stderr, line)
		}
		return ExitFailed
	}
}

// apart are the errors that were joined, each with a remedy of its own.
func apart(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || err.Error() != errors.Join(joined.Unwrap()...).Error() { // else they are part of a sentence
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, apart(one)...)
	}
	return all
}

// remedyOf is what to do about an error, "" where that isn't known.
func remedyOf(err error) string {
	_, do := reason.Of(err)
	if do.IsZero() && errors.Is(err, broker.ErrConnect) {
		return brokerRemedy
	}
	return do.String()
}

var errFindings = errors.New("check found something")

func printFindings(w io.Writer, findings []Finding) error {
	var failed error
	for _, f := range findings {
		line := "ok    " + f.What
		if f.Detail != "" {
			line += ": " + f.Detail
		}
		if f.Err != nil {
			failed = errFindings
			line = fmt.Sprintf("FAIL  %s: %v", f.What, f.Err)
			if do := cmp.Or(f.Remedy, remedyOf(f.Err)); do != "" {
				line += " (" + do + ")"
			}
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return failed
}

// signalContext ends at the first SIGINT or SIGTERM. The second one, or StopTimeout, exits hard.
func signalContext(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	finished := make(chan struct{})
	go func() {
		select {
		case <-signals:
			cancel()
		case <-finished:
			return
		}
		select {
		case <-signals:
		case <-finished:
			return
		case <-time.After(StopTimeout):
			fmt.Fprintf(os.Stderr, "not stopped within %s: exiting; what wasn't committed is read again at the next start\n", StopTimeout)
		}
		os.Exit(ExitFailed)
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(finished)
		cancel()
	}
}

// onHangup reads the configuration at each SIGHUP until ctx is done.
func onHangup[C any](ctx context.Context, load func() (C, error)) <-chan Reload[C] {
	signals, reloads := make(chan os.Signal, 1), make(chan Reload[C])
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
			}
			c, err := load()
			select {
			case <-ctx.Done():
				return
			case reloads <- Reload[C]{c, err}:
			}
		}
	}()
	return reloads
}

// outliveHangups has the process go on at a SIGHUP until ctx is done.
func outliveHangups(ctx context.Context, log *slog.Logger) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
				log.Warn("SIGHUP changes nothing: this service reads its configuration when it starts; restart it to have a change take effect")
			}
		}
	}()
}

func envOr(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}

// version is what a build without a repository is told by -ldflags "-X datawatch/pkg/daemon.version=v1.2.3".
var version string

// Version is the program's version: what the build was told, else what it recorded, the module's version or the commit.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	recorded := info.Main.Version
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 && (recorded == "" || recorded == "(devel)") {
			recorded = setting.Value[:12]
		}
	}
	return cmp.Or(recorded, "(devel)")
}
