package collector

import (
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
)

// commands are the collector's own.
func commands(load func() (Config, error)) []*cobra.Command {
	return []*cobra.Command{
		triggersCommand(load), chatCommand(load), recordCommand(load), compareCommand(), statusCommand(load), snapshotCommand(load), gapsCommand(load), tailCommand(load), verifyCommand(load),
	}
}

// usage is a command line that can't be understood.
func usage(cmd *cobra.Command, format string, args ...any) error {
	return daemon.UsageError{Err: fmt.Errorf("%s: %s", cmd.CommandPath(), fmt.Sprintf(format, args...))}
}

// outputFlag is --output of commands whose result is data.
type outputFlag string

func (o *outputFlag) add(cmd *cobra.Command) {
	cmd.Flags().StringVar((*string)(o), "output", "text", "text or json")
}

func (o *outputFlag) check(cmd *cobra.Command) error {
	if *o != "text" && *o != "json" {
		return usage(cmd, "--output %s: text or json", *o)
	}
	return nil
}

func (o *outputFlag) json() bool { return *o == "json" }

// sourceNamed is the source of the configuration with that name.
func sourceNamed(c Config, name string) (Source, error) {
	var known []string
	for _, s := range c.Collector.Sources {
		if s.Name == name {
			return s, nil
		}
		known = append(known, s.Name)
	}
	return Source{}, daemon.UsageError{Err: fmt.Errorf("the configuration has no source %q: it has %s", name, strings.Join(known, ", "))}
}

// sinceOf is the time that --since says, zero where it isn't given.
func sinceOf(cmd *cobra.Command, since string) (time.Time, error) {
	if since == "" {
		return time.Time{}, nil
	}
	from, err := daemon.ParseSince(since, time.Now())
	if err != nil {
		return time.Time{}, usage(cmd, "--since: %v: %s", err, daemon.SinceForms)
	}
	return from, nil
}

// checkStream tells whether a flag's stream could be one.
func checkStream(cmd *cobra.Command, stream event.Stream) error {
	if stream != "" && (stream.Source() == "" || stream.Entity() == "") {
		return usage(cmd, "%q is no stream: <source>/<entity>, as in shop-db/public.orders", stream)
	}
	return nil
}

// warnOfSource tells where no source of the configuration has the name, or glob, that a stream begins with. It may be right: the
// preprocessor renames streams, and clean holds what sources that are gone have written.
func warnOfSource(cmd *cobra.Command, c Config, stream string) {
	glob, _, _ := strings.Cut(stream, "/")
	var known []string
	for _, s := range c.Collector.Sources {
		if matched, _ := path.Match(glob, s.Name); matched || stream == "" {
			return
		}
		known = append(known, s.Name)
	}
	cmd.PrintErrf("%s: the configuration has no source %q: it has %s\n", stream, glob, strings.Join(known, ", "))
}

// terminal shows how far a command is in one line of a terminal; on anything else it shows a line now and then.
type terminal struct {
	w     io.Writer
	live  bool
	shown time.Time
	last  string
}

const plainEvery = 10 * time.Second

func newTerminal(w io.Writer) *terminal {
	file, ok := w.(*os.File)
	if !ok {
		return &terminal{w: w}
	}
	info, err := file.Stat()
	return &terminal{w: w, live: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (t *terminal) show(line string) {
	if line == t.last || !t.live && time.Since(t.shown) < plainEvery {
		return
	}
	t.last, t.shown = line, time.Now()
	if t.live {
		_, _ = fmt.Fprint(t.w, "\r\x1b[K"+line)
	} else {
		_, _ = fmt.Fprintln(t.w, line)
	}
}

// end takes the line away.
func (t *terminal) end() {
	if t.live && t.last != "" {
		_, _ = fmt.Fprint(t.w, "\r\x1b[K")
	}
}
