package collector

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datawatch/collector/internal/remote"
	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/broker"
)

func statusCommand(load func() (Config, error)) *cobra.Command {
	var name string
	var output outputFlag
	cmd := &cobra.Command{
		Use: "status", Args: cobra.NoArgs, Short: "Tell how each source is: state, lag, outbox, snapshots",
		Long: `Tells how each source is, as the collector that runs it said last: so it works from every machine that reaches the broker.
Exits with 1 where a source isn't captured at the moment.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.check(cmd); err != nil {
				return err
			}
			c, err := load()
			if err != nil {
				return err
			}
			var names []string
			for _, s := range c.Collector.Sources {
				if name == "" || s.Name == name {
					names = append(names, s.Name)
				}
			}
			if len(names) == 0 {
				_, err := sourceNamed(c, name)
				return err
			}
			if err := broker.Reach(cmd.Context(), c.Broker, remote.ClientID); err != nil {
				return err
			}
			seen, err := remote.Look(cmd.Context(), c.Broker, names)
			if err != nil {
				return err
			}
			all := sourcesOf(names, seen, time.Now())
			if output.json() {
				err = writeJSON(cmd.OutOrStdout(), all)
			} else {
				err = writeSources(cmd.OutOrStdout(), all)
			}
			if err == nil && slices.ContainsFunc(all, func(s sourceStatus) bool { return !s.Captured }) {
				err = errors.New("not every source is captured")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&name, "source", "", "only this source")
	output.add(cmd)
	return cmd
}

// sourceStatus is one source in the result of status.
type sourceStatus struct {
	Source   string `json:"source"`
	Captured bool   `json:"captured"`
	*remote.Status
	Remedy    string          `json:"remedy,omitempty"`
	Snapshots []*backfill.Job `json:"snapshots,omitempty"` // at work and waiting, else the last that ended
}

// unknown is the state of a source of which nothing is known.
const unknown source.State = "unknown"

func sourcesOf(names []string, seen map[string]remote.Seen, now time.Time) []sourceStatus {
	all := make([]sourceStatus, len(names))
	for i, name := range names {
		s := seen[name]
		one := sourceStatus{Source: name, Status: s.Status, Snapshots: s.Snapshots.Jobs}
		if n := len(s.Snapshots.Ended); len(one.Snapshots) == 0 && n > 0 {
			one.Snapshots = s.Snapshots.Ended[n-1:]
		}
		for _, j := range one.Snapshots {
			for _, p := range j.Parts {
				p.Cursor = nil // values of a key, which mask may hide
			}
		}
		switch {
		case s.Status == nil:
			one.Status = &remote.Status{State: unknown}
			one.Remedy = "no collector has run this source yet: start `collector` with this configuration"
		case s.Status.State == remote.Stopped:
			one.Remedy = "its collector was stopped: start `collector` with this configuration"
		case !s.Status.Running(now):
			silent := *s.Status
			silent.State, silent.Since = remote.Stopped, s.Status.At
			silent.Reason = fmt.Sprintf("its collector said %q last, and is silent since", s.Status.State)
			one.Status = &silent
			one.Remedy = "start `collector` with this configuration; its log tells how the last one ended"
		default:
			one.Captured, one.Remedy = captured(s.Status.State)
		}
		all[i] = one
	}
	return all
}

// captured tells whether changes come through in a state, and what to do where they don't.
func captured(state source.State) (bool, string) {
	switch state {
	case source.Streaming, source.Snapshot:
		return true, ""
	case source.Stalled:
		return false, "the reason says what it waits for; `collector check` looks at connections and rights"
	case source.Failed:
		return false, "it is tried again by itself; `collector check` looks at connections and rights"
	default:
		return false, ""
	}
}

func writeSources(w io.Writer, all []sourceStatus) error {
	var b strings.Builder
	for _, s := range all {
		fmt.Fprintf(&b, "%s: %s", s.Source, s.State)
		if s.State != unknown {
			fmt.Fprintf(&b, " since %s", s.Since.UTC().Format(time.RFC3339))
		}
		if s.Captured {
			fmt.Fprintf(&b, ", %s behind", (time.Duration(s.LagSeconds * float64(time.Second))).Round(10*time.Millisecond))
			if s.BacklogBytes != nil {
				fmt.Fprintf(&b, ", outbox %s", size(*s.BacklogBytes))
			}
		}
		if s.Host != "" {
			fmt.Fprintf(&b, ", on %s", s.Host)
		}
		b.WriteString("\n")
		if s.Reason != "" && s.State != source.Snapshot {
			fmt.Fprintf(&b, "  reason: %s\n", strings.ReplaceAll(s.Reason, "\n", "\n          "))
		}
		if s.Remedy != "" {
			fmt.Fprintf(&b, "  remedy: %s\n", s.Remedy)
		}
		for _, j := range s.Snapshots {
			b.WriteString("  " + snapshotLine(j) + "\n")
			for _, p := range j.Problems() {
				fmt.Fprintf(&b, "    left out: %s\n", p)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func snapshotLine(j *backfill.Job) string {
	what := "of everything"
	if j.Stream != "" {
		what = "of " + string(j.Stream)
	}
	if j.Ended.IsZero() {
		return fmt.Sprintf("snapshot %s: %s", what, j)
	}
	read, _ := j.Rows()
	return fmt.Sprintf("snapshot %s: ended %s, %d rows", what, j.Ended.UTC().Format(time.RFC3339), read)
}

// size is a number of bytes for people.
func size(n int64) string {
	const units = "KMGT"
	if n < 1<<10 {
		return fmt.Sprintf("%d bytes", n)
	}
	value, unit := float64(n)/(1<<10), 0
	for value >= 1<<10 && unit < len(units)-1 {
		value /= 1 << 10
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", value, units[unit])
}
