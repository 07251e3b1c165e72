package validator

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/wrongrows"
)

// wrongRow is a row that is wrong now, by one rule.
type wrongRow struct {
	Stream event.Stream    `json:"stream"`
	Key    json.RawMessage `json:"key"`
	// Transaction and Actor are of the event that it stands by: who did it, where the source says so.
	Transaction string         `json:"transaction,omitempty"`
	Actor       *event.Actor   `json:"actor,omitempty"`
	Since       string         `json:"event_time"` // of that event
	Rule        string         `json:"rule"`
	Severity    event.Severity `json:"severity"`
	Place       string         `json:"place"`
	Message     string         `json:"message"`
	Expected    string         `json:"expected"`
	Actual      string         `json:"actual"`
	Group       string         `json:"group"` // the fingerprint that alerts group by
	EventID     string         `json:"event_id"`
	Owner       string         `json:"owner,omitempty"`
}

// wrongFilter says which rows are asked for; what is empty asks for all.
type wrongFilter struct{ stream, rule, group string }

func wrongCommand(load func() (Config, error)) *cobra.Command {
	var filter wrongFilter
	cmd := &cobra.Command{
		Use:   "wrong",
		Short: "List the rows that are wrong now",
		Long: "Lists the rows that are wrong now, one line a row and rule: those whose newest event violates its schema or a rule.\n" +
			"Keys and values are masked as in alerts.",
		Example: "  validator wrong --stream shop-db/public.orders --output csv > wrong.csv",
		Args:    between(0, 0, "flags only: validator wrong --stream shop-db/public.orders"),
	}
	cmd.Flags().StringVar(&filter.stream, "stream", "", "of this stream only")
	cmd.Flags().StringVar(&filter.rule, "rule", "", "by this rule only; \"schema\" is the schema itself")
	cmd.Flags().StringVar(&filter.group, "group", "", "of this group of alerts only")
	out := outputFlag(cmd, "table", "csv", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := out.check(cmd); err != nil {
			return err
		}
		c, err := load()
		if err != nil {
			return err
		}
		rows, err := wrongNow(cmd, c, filter)
		if err != nil {
			return err
		}
		switch out.format {
		case "csv":
			return writeWrongCSV(cmd.OutOrStdout(), rows)
		case "json":
			return writeJSON(cmd.OutOrStdout(), rows)
		default:
			return writeWrongTable(cmd.OutOrStdout(), rows)
		}
	}
	return cmd
}

// wrongNow reads what stands in the topic wrong. A name that nothing has is an error rather than no rows.
func wrongNow(cmd *cobra.Command, c Config, filter wrongFilter) ([]wrongRow, error) {
	scanner, err := broker.OpenScanner(cmd.Context(), c.Broker, "datawatch-validator-tools")
	if err != nil {
		return nil, err
	}
	defer func() { _ = scanner.Close() }()
	topic := broker.TopicsOf(c.Broker.TopicPrefix).Wrong
	partitions, err := scanner.Partitions(topic)
	if errors.Is(err, broker.ErrUnknownTopic) {
		return nil, fmt.Errorf("topic %s isn't there yet: nothing was judged (see broker.topic_prefix)", topic)
	}
	if err != nil {
		return nil, fmt.Errorf("read wrong rows: %w", err)
	}
	standing, seen := map[string][]wrongRow{}, newNames()
	for _, p := range partitions {
		if err := readWrong(cmd.Context(), scanner, topic, p, filter, standing, seen); err != nil {
			return nil, fmt.Errorf("read wrong rows: %w", err)
		}
	}
	rows := []wrongRow{}
	for _, key := range slices.Sorted(maps.Keys(standing)) { // errors of one row at one place stay in the violation's order
		rows = append(rows, standing[key]...)
	}
	slices.SortStableFunc(rows, func(a, b wrongRow) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Since, b.Since),
			cmp.Compare(string(a.Key), string(b.Key)), cmp.Compare(a.Place, b.Place))
	})
	if len(rows) == 0 {
		return rows, filter.check(cmd, c, scanner, seen)
	}
	return rows, nil
}

func readWrong(ctx context.Context, scanner *broker.Scanner, topic string, partition int32, filter wrongFilter, standing map[string][]wrongRow, seen names) error {
	from, err := scanner.Oldest(topic, partition)
	if err != nil {
		return err
	}
	to, err := scanner.End(topic, partition)
	if err != nil {
		return err
	}
	return scanner.Scan(ctx, topic, partition, from, to, func(r broker.Record) error {
		_, stream, rule, err := wrongrows.ParseKey(r.Key)
		if err != nil {
			return err
		}
		seen.add(stream, rule)
		if filter.stream != "" && filter.stream != string(stream) || filter.rule != "" && filter.rule != rule {
			return nil
		}
		if r.Value == nil {
			delete(standing, string(r.Key))
			return nil
		}
		var v event.Violation
		if err := json.Unmarshal(r.Value, &v); err != nil {
			return fmt.Errorf("%s/%d/%d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		standing[string(r.Key)] = filter.rows(&v, rule)
		return nil
	})
}

// rows is the row, once for each group of its errors by the rule that is asked for: the first of each.
func (f wrongFilter) rows(v *event.Violation, rule string) []wrongRow {
	row := wrongRow{Stream: v.Stream, Key: v.Key, Rule: rule, Severity: v.Severity, Since: v.EventTime, EventID: v.EventID, Owner: v.Owner, Actor: v.Actor}
	if v.Transaction != nil {
		row.Transaction = *v.Transaction
	}
	var rows []wrongRow
	for i := range v.Errors {
		e := &v.Errors[i]
		if wrongrows.RuleOf(e) != rule || f.group != "" && f.group != e.Fingerprint {
			continue
		}
		if slices.ContainsFunc(rows, func(r wrongRow) bool { return r.Group == e.Fingerprint }) {
			continue
		}
		one := row
		one.Severity, one.Place, one.Message, one.Expected, one.Actual, one.Group = e.Severity, e.InstanceLocation, e.Message, e.Expected, e.Actual, e.Fingerprint
		rows = append(rows, one)
	}
	if len(rows) == 0 && f.group == "" { // the rule's error was beyond those that a violation lists
		rows = append(rows, row)
	}
	return rows
}

var wrongColumns = []string{
	"stream", "key", "transaction", "actor", "event_time", "rule", "severity", "place", "message", "expected", "actual", "group", "event_id", "owner",
}

func (r *wrongRow) columns() []string {
	return []string{
		string(r.Stream), string(r.Key), r.Transaction, who(r.Actor), r.Since, r.Rule, string(r.Severity), r.Place, r.Message, r.Expected, r.Actual,
		r.Group, r.EventID, r.Owner,
	}
}

// who is an actor as a person reads it: application as user from client, as far as they are known.
func who(a *event.Actor) string {
	if a == nil {
		return ""
	}
	text := a.Application
	for _, part := range [][2]string{{"as ", a.User}, {"from ", a.Client}} {
		if part[1] != "" {
			text = strings.TrimPrefix(text+" ", " ") + part[0] + part[1]
		}
	}
	return text
}

func writeWrongCSV(to io.Writer, rows []wrongRow) error {
	w := csv.NewWriter(to)
	if err := w.Write(wrongColumns); err != nil {
		return err
	}
	for i := range rows {
		if err := w.Write(rows[i].columns()); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

func writeWrongTable(to io.Writer, rows []wrongRow) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(to, "no row is wrong")
		return err
	}
	const shown = 11 // what is behind is for machines
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	lines := [][]string{wrongColumns}
	for i := range rows {
		lines = append(lines, rows[i].columns())
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, strings.TrimRight(strings.Join(line[:shown], "\t"), "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}
