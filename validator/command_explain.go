package validator

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/explain"
	"datawatch/validator/internal/replay"
	"datawatch/validator/internal/tally"
)

func explainCommand(load func() (Config, error)) *cobra.Command {
	var (
		flags   pastFlags
		dir     string
		offline bool
	)
	cmd := &cobra.Command{
		Use:   "explain STREAM",
		Short: "Say which schema file judges a stream, and why",
		Long: "Says which schema file applies to a stream and why, which others match, which of its rules can't run, and how many\n" +
			"of the stream's newest events can be judged and would fail.",
		Example: "  validator explain shop-db/public.orders",
		Args:    between(1, 1, "the stream: validator explain shop-db/public.orders"),
	}
	cmd.Flags().StringVar(&dir, "schemas", "", "the schema folder (default: the configured one)")
	cmd.Flags().BoolVar(&offline, "offline", false, "don't ask the broker: say nothing of the traffic")
	cmd.Flags().StringVar(&flags.since, "since", "", "count events from this time on: 2h, 7d, 2026-11-22 or 2026-11-22T08:00:00Z")
	cmd.Flags().IntVar(&flags.last, "last", defaultLast, "count that many of the stream's newest events")
	out := outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !strings.Contains(args[0], "/") {
			return usage(cmd, fmt.Sprintf("%q is no stream", args[0]), "<source>/<entity>, as in shop-db/public.orders")
		}
		flags.stream = args[0]
		r, err := flags.rangeOf(cmd, time.Now())
		if err != nil {
			return err
		}
		if err := out.check(cmd); err != nil {
			return err
		}
		var c Config
		if !offline || dir == "" {
			if c, err = load(); err != nil {
				return err
			}
		}
		dir = cmp.Or(dir, c.Validator.Schemas)
		set, err := loadFolder(cmd, dir)
		if err != nil {
			return err
		}
		var traffic *replay.Report
		var judged *tally.Count
		if !offline {
			if traffic, err = replayPast(cmd, c, r, replay.Options{Schemas: set}); err != nil {
				return err
			}
			if judged, err = judgedBefore(cmd.Context(), c, event.Stream(args[0])); err != nil {
				return err
			}
		}
		e := explain.Stream(set, event.Stream(args[0]), traffic, judged)
		if out.format == "json" {
			return writeJSON(cmd.OutOrStdout(), e)
		}
		return e.Write(cmd.OutOrStdout())
	}
	return cmd
}

// judgedBefore is how the service judged a stream's events so far; nil where it judged none.
func judgedBefore(ctx context.Context, c Config, stream event.Stream) (*tally.Count, error) {
	scanner, err := broker.OpenScanner(ctx, c.Broker, "datawatch-validator-tools")
	if err != nil {
		return nil, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	state, err := scanner.State(ctx, broker.TopicsOf(c.Broker.TopicPrefix).State, tally.Prefix)
	if err != nil {
		return nil, err
	}
	all, err := tally.Read(state)
	if err != nil {
		return nil, err
	}
	if count, ok := all.Streams()[stream]; ok {
		return &count, nil
	}
	return nil, nil
}
