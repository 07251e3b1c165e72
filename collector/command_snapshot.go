package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datawatch/collector/internal/remote"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/broker"
	"datawatch/pkg/event"
)

func snapshotCommand(load func() (Config, error)) *cobra.Command {
	var name, stream string
	var replace bool
	var output outputFlag
	cmd := &cobra.Command{
		Use: "snapshot --source NAME", Args: cobra.NoArgs,
		Short: "Read what a source holds now, as op read, while the collector runs",
		Long: `Asks the collector that runs the source, on whichever machine, to read what is there now: of one stream, or of all that
are captured. Each row or document comes as an event with op read, in its place among the changes: no older image follows a
newer one. With --replace each stream ends first (a truncate, reason snapshot), so that rows go whose deletes are missing, as behind a
gap. The command follows until it is done; interrupted, it leaves the snapshot at work ('collector status' shows it).`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.check(cmd); err != nil {
				return err
			}
			if err := checkStream(cmd, event.Stream(stream)); err != nil {
				return err
			}
			c, err := load()
			if err != nil {
				return err
			}
			if name == "" && stream != "" {
				name = event.Stream(stream).Source()
			}
			if name == "" {
				return usage(cmd, "--source is needed")
			}
			s, err := sourceNamed(c, name)
			if err != nil {
				return err
			}
			if s.Kafka != nil {
				return fmt.Errorf("source %s is a Kafka: its topics hold their past themselves; start: earliest reads them from the beginning", name)
			}
			if stream != "" && event.Stream(stream).Source() != name {
				return usage(cmd, "--stream %s isn't of source %s", stream, name)
			}
			job, err := takeSnapshot(cmd.Context(), c, name, event.Stream(stream), replace, newTerminal(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			if output.json() {
				err = writeJSON(cmd.OutOrStdout(), job)
			} else {
				err = writeSnapshot(cmd.OutOrStdout(), job)
			}
			if err == nil && len(job.Problems()) > 0 {
				err = errors.New("not everything could be read")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&name, "source", "", "the source")
	cmd.Flags().StringVar(&stream, "stream", "", "only this stream, as in shop-db/public.orders")
	cmd.Flags().BoolVar(&replace, "replace", false, "end each stream before it is read")
	output.add(cmd)
	return cmd
}

// takeSnapshot asks for a snapshot and follows it to its end.
func takeSnapshot(ctx context.Context, c Config, name string, stream event.Stream, replace bool, t *terminal) (*backfill.Job, error) {
	if err := broker.Reach(ctx, c.Broker, remote.ClientID); err != nil {
		return nil, err
	}
	id, err := remote.AskSnapshot(ctx, c.Broker, name, stream, replace)
	if errors.Is(err, remote.ErrNobody) {
		return nil, fmt.Errorf("%w (%s): start `collector` with this configuration, and ask again; `collector status` tells how it is", err, name)
	}
	if err != nil {
		return nil, err
	}
	t.show("asked for; waiting for the collector")
	job, err := remote.Follow(ctx, c.Broker, name, id, func(j *backfill.Job) { t.show(j.String()) })
	t.end()
	switch {
	case errors.Is(err, remote.ErrNobody):
		return nil, fmt.Errorf("%w any more: the snapshot %s goes on with the next collector; `collector status` shows it", err, id)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("interrupted; the snapshot %s goes on, and `collector status` shows it", id)
	}
	return job, err
}

func writeSnapshot(w io.Writer, job *backfill.Job) error {
	var b strings.Builder
	for _, p := range job.Parts {
		fmt.Fprintf(&b, "%s: ", p.Stream)
		if p.Problem != "" {
			fmt.Fprintf(&b, "left out after %d rows: %s\n", p.Rows, p.Problem)
			continue
		}
		fmt.Fprintf(&b, "%d rows", p.Rows)
		if p.Note != "" {
			b.WriteString("; " + p.Note)
		}
		b.WriteString("\n")
	}
	if job.Problem != "" {
		b.WriteString(job.Problem + "\n")
	}
	read, _ := job.Rows()
	fmt.Fprintf(&b, "%d rows in %s\n", read, job.Ended.Sub(job.Began).Round(100*time.Millisecond))
	_, err := io.WriteString(w, b.String())
	return err
}
