package collector

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datawatch/collector/internal/clean"
	"datawatch/collector/internal/remote"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
)

func gapsCommand(load func() (Config, error)) *cobra.Command {
	var stream, since string
	var output outputFlag
	cmd := &cobra.Command{
		Use: "gaps", Args: cobra.NoArgs, Short: "List what was not captured, with cause and remedy",
		Long: `Lists the gaps that clean holds: each a stretch of a stream that was not captured. Reads the whole topic, and says since when
it holds events; asked by --since for more, it lists what there is, and exits with 3.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.check(cmd); err != nil {
				return err
			}
			if err := checkStream(cmd, event.Stream(stream)); err != nil {
				return err
			}
			from, err := sinceOf(cmd, since)
			if err != nil {
				return err
			}
			c, err := load()
			if err != nil {
				return err
			}
			warnOfSource(cmd, c, stream)
			r, err := clean.Open(cmd.Context(), c.Broker, remote.ClientID)
			if err != nil {
				return err
			}
			defer r.Close()
			var lacking error
			if !from.IsZero() {
				if lacking = r.Since(from); lacking != nil && !errors.Is(lacking, daemon.ErrTooFarBack) {
					return lacking
				}
			}
			found := []gapFound{}
			// A gap's record has the stream alone for its key, as a truncate's has.
			wanted := func(key []byte) bool {
				return !bytes.Contains(key, []byte{'\n'}) && (stream == "" || string(key) == stream)
			}
			err = r.On(cmd.Context(), false, wanted, func(e *event.Clean) error {
				if e.Gap != nil {
					found = append(found, gapFound{Stream: e.Stream, ID: e.ID, Gap: *e.Gap})
				}
				return nil
			})
			if err != nil {
				return err
			}
			slices.SortFunc(found, func(a, b gapFound) int {
				return cmp.Or(a.Gap.To.Compare(b.Gap.To), cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.ID, b.ID))
			})
			if output.json() {
				err = writeJSON(cmd.OutOrStdout(), gapsResult{r.HeldSince.UTC(), found})
			} else {
				cmd.PrintErrln(r.Held())
				err = writeGaps(cmd.OutOrStdout(), found)
			}
			return cmp.Or(err, lacking)
		},
	}
	cmd.Flags().StringVar(&stream, "stream", "", "only this stream, as in shop-db/public.orders")
	cmd.Flags().StringVar(&since, "since", "", "only what was told from this time on: "+daemon.SinceForms)
	output.add(cmd)
	return cmd
}

// gapsResult is the result of gaps as JSON.
type gapsResult struct {
	HeldSince time.Time  `json:"held_since"`
	Gaps      []gapFound `json:"gaps"`
}

type gapFound struct {
	Stream event.Stream `json:"stream"`
	ID     string       `json:"id"`
	Gap    event.Gap    `json:"gap"`
}

func writeGaps(w io.Writer, found []gapFound) error {
	var b strings.Builder
	for _, g := range found {
		fmt.Fprintf(&b, "%s: %s\n", g.Stream, g.Gap.Cause)
		fmt.Fprintf(&b, "  from:   %s\n  to:     %s\n", g.Gap.From.UTC().Format(time.RFC3339Nano), g.Gap.To.UTC().Format(time.RFC3339Nano))
		if g.Gap.Lost != nil {
			fmt.Fprintf(&b, "  lost:   %d\n", *g.Gap.Lost)
		}
		fmt.Fprintf(&b, "  remedy: %s\n", g.Gap.Remedy)
	}
	if len(found) == 0 {
		b.WriteString("no gaps\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
