package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datawatch/collector/internal/record"
	"datawatch/collector/internal/remote"
	"datawatch/collector/internal/source"
	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/hide"
)

// recordFlags are those of `collector record`.
type recordFlags struct {
	tag, expect, output, sources string
	update                       bool
	timeout                      time.Duration
}

// recordCommand runs a command and tells what it changed.
func recordCommand(load func() (Config, error)) *cobra.Command {
	var f recordFlags
	cmd := &cobra.Command{
		Use:   "record [flags] -- COMMAND [ARGUMENT…]",
		Short: "Run a command and tell what it changed; with --expect, fail where that differs",
		Long: `Run a command, wait until everything that was committed meanwhile has been captured and judged, and print it.

With --expect, exit with 1 where the changes or the broken rules differ from those in the file. Generated ids and times
are recognized; --update writes the file. With --tag only what carries the tag is recorded, and the command gets it in
its environment: in PGOPTIONS for PostgreSQL's clients, in DATAWATCH_TAG for the rest. The collector, the preprocessor
and the validator have to run.`,
		Example: `  collector record --tag checkout-test --expect testdata/checkout.golden -- go test ./checkout`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.MinimumNArgs(1)(cmd, args); err != nil {
				return daemon.UsageError{Err: errors.New("record needs a command: collector record -- go test ./checkout")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := load()
			if err != nil {
				return err
			}
			switch {
			case f.output != "text" && f.output != "json" && f.output != "html":
				return daemon.UsageError{Err: fmt.Errorf("--output %s: text, json or html", f.output)}
			case f.update && f.expect == "":
				return daemon.UsageError{Err: errors.New("--update writes the file that --expect names")}
			}
			return f.run(cmd.Context(), c, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&f.tag, "tag", "", "record only what carries this tag, and give it to the command")
	cmd.Flags().StringVar(&f.expect, "expect", "", "the file that says what is to come out")
	cmd.Flags().BoolVar(&f.update, "update", false, "write that file anew")
	cmd.Flags().StringVar(&f.output, "output", "text", "text, json (JSON Lines) or html")
	cmd.Flags().StringVar(&f.sources, "source", "", "wait for and record these sources only, separated by commas")
	cmd.Flags().DurationVar(&f.timeout, "timeout", time.Minute, "how long to wait for what was committed to arrive")
	return cmd
}

// ErrDiffers says that a recording isn't as expected.
var ErrDiffers = errors.New("what was recorded differs from what was expected")

func (f *recordFlags) run(ctx context.Context, c Config, command []string, stdout, stderr io.Writer) error {
	scanner, err := broker.OpenScanner(ctx, c.Broker, remote.ClientID)
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }() // it only read
	pipeline, err := pipelineOf(c, scanner, f.named())
	if err != nil {
		return err
	}
	topics := broker.TopicsOf(c.Broker.TopicPrefix)
	hide, stop, err := hidden(ctx, c, stderr)
	if err != nil {
		return err
	}
	defer stop()
	from, err := f.arrived(ctx, pipeline)
	if err != nil {
		return fmt.Errorf("before the command: %w", err)
	}
	failed := f.execute(ctx, command, stderr)
	to, err := f.arrived(ctx, pipeline)
	if err != nil {
		return errors.Join(failed, err)
	}
	r, err := record.Collect(ctx, scanner, topics, from, to, record.Options{Tag: f.tag, Sources: f.named(), Hide: hide})
	if err != nil {
		return errors.Join(failed, err)
	}
	if err := f.write(r, stdout); err != nil {
		return err
	}
	return errors.Join(failed, f.compare(r, stdout, stderr))
}

// hidden learns what no one may be shown, and follows it until stop.
func hidden(ctx context.Context, c Config, stderr io.Writer) (show func(event.Stream, *event.Change) *event.Change, stop func(), err error) {
	follower := hide.NewFollower(c.Broker, remote.ClientID, slog.New(slog.NewTextHandler(stderr, nil)))
	running, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = follower.Run(running) // its only error is the context's
	}()
	stop = func() {
		cancel()
		<-ended
	}
	select {
	case <-follower.Known():
		return func(s event.Stream, change *event.Change) *event.Change { return follower.For(s).Change(change) }, stop, nil
	case <-ctx.Done():
		stop()
		return nil, nil, ctx.Err()
	}
}

// arrived is the place behind everything that is committed now.
func (f *recordFlags) arrived(ctx context.Context, p record.Pipeline) (record.Place, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	if err := p.Arrive(ctx); err != nil {
		return record.Place{}, err
	}
	return record.Now(p.Scanner, broker.TopicsOf(p.Broker.TopicPrefix))
}

func (f *recordFlags) named() []string {
	if f.sources == "" {
		return nil
	}
	return strings.Split(f.sources, ",")
}

// pipelineOf has the sources that are waited for: those that are named, or all.
func pipelineOf(c Config, scanner *broker.Scanner, named []string) (record.Pipeline, error) {
	p := record.Pipeline{Broker: c.Broker, Scanner: scanner, Sources: map[string]source.Checkpointer{}}
	wanted := map[string]bool{}
	for _, name := range named {
		wanted[name] = true
	}
	for _, s := range c.Collector.Sources {
		if len(named) > 0 && !wanted[s.Name] {
			continue
		}
		delete(wanted, s.Name)
		p.Sources[s.Name] = open(c, s, nowhere())
	}
	for name := range wanted {
		_, err := sourceNamed(c, name)
		return p, err
	}
	return p, nil
}

// arrive waits until everything that the sources hold now has come to clean and was judged.
func arrive(ctx context.Context, c Config) error {
	scanner, err := broker.NewScanner(c.Broker, "datawatch-collector")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }() // it only read
	p, err := pipelineOf(c, scanner, nil)
	if err != nil {
		return err
	}
	return p.Arrive(ctx)
}

// execute runs the command; what it says goes to standard error, since results are ours.
func (f *recordFlags) execute(ctx context.Context, command []string, stderr io.Writer) error {
	child := exec.CommandContext(ctx, command[0], command[1:]...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, stderr, stderr
	child.Env = os.Environ()
	if f.tag != "" {
		options := strings.TrimSpace(os.Getenv("PGOPTIONS") + " -c datawatch.tag=" + strings.ReplaceAll(strings.ReplaceAll(f.tag, `\`, `\\`), " ", `\ `))
		child.Env = append(child.Env, "PGOPTIONS="+options, "DATAWATCH_TAG="+f.tag)
	}
	if err := child.Run(); err != nil {
		return fmt.Errorf("%s: %w", command[0], err)
	}
	return nil
}

func (f *recordFlags) write(r *record.Recording, w io.Writer) error {
	switch f.output {
	case "json":
		return r.WriteJSONLines(w)
	case "html":
		page, err := r.HTML(math.MaxInt, "en")
		if err == nil {
			_, err = w.Write(page)
		}
		return err
	default:
		return r.WriteText(w)
	}
}

// compare holds the recording against the file.
func (f *recordFlags) compare(r *record.Recording, stdout, stderr io.Writer) error {
	if f.expect == "" {
		return nil
	}
	is := record.Canonical(r)
	if f.update {
		text, err := record.Golden(is)
		if err != nil {
			return err
		}
		if err := os.WriteFile(f.expect, text, 0o644); err != nil {
			return err
		}
		_, err = fmt.Fprintf(stderr, "%s: %d changes written\n", f.expect, len(is))
		return err
	}
	text, err := os.ReadFile(f.expect)
	if err != nil {
		return fmt.Errorf("%w (--update writes it)", err)
	}
	was, err := record.ParseGolden(text)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.expect, err)
	}
	differences := record.Compare(was, is)
	if len(differences) == 0 {
		return nil
	}
	w := stdout
	if f.output != "text" {
		w = stderr // the recording is for a program
	}
	if err := record.WriteDifferences(w, differences); err != nil {
		return err
	}
	return fmt.Errorf("%w: %d differences from %s", ErrDiffers, len(differences), f.expect)
}

// compareCommand compares two recordings.
func compareCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "compare A B", Short: "Tell how two recordings (JSON Lines) differ, ids and times aside", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var lines [2][]record.Line
			for i, file := range args {
				text, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				r, err := record.ReadJSONLines(text)
				if err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				lines[i] = record.Canonical(r)
			}
			differences := record.Compare(lines[0], lines[1])
			switch output {
			case "json":
				if err := writeJSON(cmd.OutOrStdout(), differences); err != nil {
					return err
				}
			case "text":
				if err := record.WriteDifferences(cmd.OutOrStdout(), differences); err != nil {
					return err
				}
			default:
				return daemon.UsageError{Err: fmt.Errorf("--output %s: text or json", output)}
			}
			if len(differences) > 0 {
				return fmt.Errorf("%w: %d differences", ErrDiffers, len(differences))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&output, "output", "text", "text or json")
	return cmd
}
