package collector

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datawatch/collector/internal/clean"
	"datawatch/collector/internal/feed"
	"datawatch/collector/internal/remote"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/filter"
	"datawatch/pkg/hide"
)

func tailCommand(load func() (Config, error)) *cobra.Command {
	var where, tag, since string
	var once bool
	var output outputFlag
	cmd := &cobra.Command{
		Use: "tail [STREAM…]", Short: "The live feed, in the terminal",
		Long: `Shows changes as the live feed does, transaction by transaction, from now on until Ctrl-C. STREAM is a stream or a glob of
streams, as in 'shop-db/public.orders' or 'shop-db/*'. --where takes CEL with the names of rules (self, old, root, op, key,
stream, time, actor, tag): what names an image that an event doesn't have leaves it out. With --output json it prints the
clean events themselves, one a line. Asked by --since for more than clean holds, it exits with 3; with --no-follow it shows
first what there is.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := output.check(cmd); err != nil {
				return err
			}
			pick := picker{globs: args, tag: tag, met: map[string]bool{}}
			for _, glob := range args {
				if _, err := path.Match(glob, ""); err != nil || !strings.Contains(glob, "/") {
					return usage(cmd, "%q is no stream or glob of streams, as in shop-db/public.orders or 'shop-db/*'", glob)
				}
			}
			if where != "" {
				var err error
				if pick.where, err = filter.Compile(where); err != nil {
					return usage(cmd, "--where: %v", err)
				}
			}
			from, err := sinceOf(cmd, since)
			if err != nil {
				return err
			}
			c, err := load()
			if err != nil {
				return err
			}
			for _, glob := range args {
				warnOfSource(cmd, c, glob)
			}
			r, err := clean.Open(cmd.Context(), c.Broker, remote.ClientID)
			if err != nil {
				return err
			}
			defer r.Close()
			lacking := beginTail(cmd, r, from, once)
			if lacking != nil && !(once && errors.Is(lacking, daemon.ErrTooFarBack)) {
				return lacking
			}
			if pick.hidden, err = remote.Hidden(cmd.Context(), c.Broker); err != nil {
				return err
			}
			out, err := openTail(cmd.OutOrStdout(), c.Telegram, output.json())
			if err != nil {
				return err
			}
			err = follow(cmd.Context(), r, pick, out, once)
			if cmd.Context().Err() != nil && errors.Is(err, context.Canceled) {
				return nil // Ctrl-C is how it ends
			}
			for _, glob := range args {
				if err == nil && !pick.met[glob] {
					cmd.PrintErrf("no event is of %s\n", glob)
				}
			}
			return cmp.Or(err, lacking)
		},
	}
	cmd.Flags().StringVar(&where, "where", "", "only what this CEL holds of, as in 'self.total > 100'")
	cmd.Flags().StringVar(&tag, "tag", "", "only what carries this tag")
	cmd.Flags().StringVar(&since, "since", "", "begin at this time: "+daemon.SinceForms)
	cmd.Flags().BoolVar(&once, "no-follow", false, "end at the present")
	output.add(cmd)
	return cmd
}

// beginTail sets where tail begins: at a time, at the beginning of what is held, or now.
func beginTail(cmd *cobra.Command, r *clean.Reader, from time.Time, once bool) error {
	switch {
	case !from.IsZero():
		return r.Since(from)
	case once:
		cmd.PrintErrln(r.Held())
		return nil
	default:
		return r.FromNow()
	}
}

// picker decides what tail shows.
type picker struct {
	globs []string
	met   map[string]bool // globs that a record was of
	tag   string
	where *filter.Filter
	// hidden is taken from what is shown; it is there for the expression, as for the feed's followers.
	hidden *hide.Set
}

func (p *picker) key(key []byte) bool {
	if len(p.globs) == 0 {
		return true
	}
	stream, _, _ := bytes.Cut(key, []byte{'\n'})
	wanted := false
	for _, glob := range p.globs {
		if matched, _ := path.Match(glob, string(stream)); matched || glob == string(stream) { // it was tried
			wanted, p.met[glob] = true, true
		}
	}
	return wanted
}

func (p *picker) takes(ctx context.Context, e *event.Clean) (bool, error) {
	if e.Change == nil {
		return p.tag == "" && p.where == nil, nil
	}
	if p.tag != "" && e.Change.Origin.Tag != p.tag {
		return false, nil
	}
	if p.where == nil {
		return true, nil
	}
	matches, applies, err := p.where.Match(ctx, e)
	if err != nil && ctx.Err() == nil {
		return false, nil // a field that this stream's rows don't have: it isn't what was looked for
	}
	return matches && applies, err
}

// tailOut prints events: as the feed does, or as they are.
type tailOut interface {
	Take(e *event.Clean) error
	Flush(all bool) error
}

// tailLinger is how long the changes of a transaction may lie apart in clean, which the preprocessor fills partition by
// partition.
const tailLinger = 300 * time.Millisecond

func openTail(w io.Writer, c config.Telegram, asJSON bool) (tailOut, error) {
	if asJSON {
		return lines{w}, nil
	}
	return feed.NewPrinter(w, c.Language, c.Timezone.Location, tailLinger)
}

type lines struct{ w io.Writer }

func (l lines) Take(e *event.Clean) error {
	_, err := l.w.Write(append(e.AppendJSON(nil), '\n'))
	return err
}

func (lines) Flush(bool) error { return nil }

const tailEvery = 100 * time.Millisecond

// follow shows what comes, in the order of positions as far as it comes together.
func follow(ctx context.Context, r *clean.Reader, pick picker, out tailOut, once bool) error {
	for {
		var found []*event.Clean
		flush := func() error {
			slices.SortStableFunc(found, func(a, b *event.Clean) int {
				return cmp.Or(strings.Compare(a.Stream.Source(), b.Stream.Source()), strings.Compare(event.PositionOf(a.ID), event.PositionOf(b.ID)))
			})
			for _, e := range found {
				if err := out.Take(e); err != nil {
					return err
				}
			}
			found = found[:0]
			return nil
		}
		err := r.On(ctx, once, pick.key, func(e *event.Clean) error {
			takes, err := pick.takes(ctx, e)
			if err != nil || !takes {
				return err
			}
			if e.Change != nil {
				e.Change = pick.hidden.For(e.Stream).Change(e.Change)
			}
			if found = append(found, e); len(found) >= maxTogether {
				return flush()
			}
			return nil
		})
		if err == nil {
			err = flush()
		}
		if err == nil {
			err = out.Flush(once)
		}
		if err != nil || once {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(out.Flush(true), ctx.Err())
		case <-time.After(tailEvery):
		}
	}
}

// maxTogether bounds what is held to be put in order.
const maxTogether = 20_000
