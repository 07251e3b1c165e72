package validator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/validator/internal/replay"
	"datawatch/validator/internal/schemas"
)

// pastFlags are the flags of commands that read past traffic.
type pastFlags struct {
	stream string
	since  string
	last   int
}

func (f *pastFlags) add(cmd *cobra.Command, last int) {
	cmd.Flags().StringVar(&f.stream, "stream", "", "the stream, as in shop-db/public.orders")
	cmd.Flags().StringVar(&f.since, "since", "", "from this time on: "+daemon.SinceForms)
	cmd.Flags().IntVar(&f.last, "last", last, "that many of the newest events")
}

// rangeOf reads the flags. What wasn't asked for by a flag takes what there is.
func (f *pastFlags) rangeOf(cmd *cobra.Command, now time.Time) (replay.Range, error) {
	r := replay.Range{Stream: event.Stream(f.stream), Last: f.last, Lenient: !cmd.Flags().Changed("last") && f.since == ""}
	if f.stream != "" && !strings.Contains(f.stream, "/") {
		return r, usage(cmd, fmt.Sprintf("%q is no stream", f.stream), "<source>/<entity>, as in shop-db/public.orders")
	}
	if f.since == "" {
		if f.last <= 0 {
			return r, usage(cmd, "--last has to be above 0", "")
		}
		return r, nil
	}
	if cmd.Flags().Changed("last") {
		return r, usage(cmd, "--last and --since exclude each other", "one of them")
	}
	since, err := daemon.ParseSince(f.since, now)
	if err != nil {
		return r, usage(cmd, "--since: "+err.Error(), daemon.SinceForms)
	}
	r.Last, r.Since = 0, since
	return r, nil
}

// openPast connects to the broker and finds the range; whoever called closes the scanner.
func openPast(ctx context.Context, c Config, r replay.Range) (*replay.Past, func(), error) {
	scanner, err := broker.OpenScanner(ctx, c.Broker, "datawatch-validator-tools")
	if err != nil {
		return nil, nil, err
	}
	past, err := replay.Open(ctx, scanner, broker.TopicsOf(c.Broker.TopicPrefix).Clean, r)
	if err != nil {
		_ = scanner.Close()
		return nil, nil, err
	}
	return past, func() { _ = scanner.Close() }, nil
}

// stopped says in words that a person ended the command; any other error stays.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return errors.New("interrupted; nothing was written")
	}
	return err
}

// loadFolder loads a schema folder, and tells on stderr of files that are left out since they are wrong.
func loadFolder(cmd *cobra.Command, dir string) (*schemas.Set, error) {
	set, err := schemas.Load(dir)
	if err != nil {
		return nil, err
	}
	for _, f := range set.Failures() {
		cmd.PrintErrln("left out:", f.Problem)
	}
	return set, nil
}

// progress shows how far of at most so many events a command is, where somebody looks at it; end wipes that.
func progress(w io.Writer, what string, most int) (show func(int), end func()) {
	file, ok := w.(*os.File)
	if !ok {
		return nil, func() {}
	}
	if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil, func() {}
	}
	return func(n int) {
		_, _ = fmt.Fprintf(w, "\r%s: %s of %s events", what, replay.Number(n), replay.Number(max(n, most)))
	}, func() { _, _ = fmt.Fprint(w, "\r\x1b[K") }
}
