package collector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datawatch/collector/internal/postgres"
	"datawatch/collector/internal/postgres/wal"
	"datawatch/pkg/reason"
)

// installed is a PostgreSQL source with what it has in the watched database: triggers and an outbox, or publications and a
// slot.
type installed interface {
	checker
	Plan(ctx context.Context) ([]postgres.Statement, error)
	Install(ctx context.Context) error
}

var (
	_ installed = (*postgres.Source)(nil)
	_ installed = (*wal.Source)(nil)
)

func openInstalled(c Config, s Source) installed {
	if s.Postgres.CapturesWAL() {
		return openWAL(c, s, nowhere())
	}
	return openPostgres(c, s, nowhere())
}

// removeInstalled removes what either way of capture left, but not the triggers of another source of the same database.
func removeInstalled(ctx context.Context, c Config, s Source) error {
	err := openWAL(c, s, nowhere()).Remove(ctx)
	if postgres.NotConnected(err) {
		return err
	}
	if s.Postgres.CapturesWAL() && errors.Is(err, reason.New(reason.WALStandby.With())) {
		return err
	}
	if s.Postgres.CapturesWAL() && slices.ContainsFunc(c.Collector.Sources, func(other Source) bool {
		return other.Name != s.Name && other.Postgres != nil && !other.Postgres.CapturesWAL() && postgres.SameDatabase(s.Postgres.DSN, other.Postgres.DSN)
	}) {
		return err
	}
	triggers := openPostgres(c, s, nowhere()).Remove(ctx)
	if errors.Is(triggers, postgres.ErrStandby) {
		return triggers
	}
	return errors.Join(err, triggers)
}

// triggersCommand is `collector triggers plan | install | status | remove`, over all PostgreSQL sources or one.
func triggersCommand(load func() (Config, error)) *cobra.Command {
	var name, output string
	parent := &cobra.Command{
		Use: "triggers", Short: "Plan, install, look at or remove what capture has in PostgreSQL: triggers, or publications and a slot", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	parent.PersistentFlags().StringVar(&name, "source", "", "only this source")
	parent.PersistentFlags().StringVar(&output, "output", "text", "text or json, of plan and status")
	each := func(do func(ctx context.Context, c Config, s Source, w io.Writer) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, _ []string) error {
			c, err := load()
			if err != nil {
				return err
			}
			if output != "text" && output != "json" {
				return usage(cmd, "--output %s: text or json", output)
			}
			sources, err := postgresSources(c, name)
			if err != nil {
				return err
			}
			var failed []error
			for _, s := range sources {
				if err := do(cmd.Context(), c, s, cmd.OutOrStdout()); err != nil {
					failed = append(failed, fmt.Errorf("source %s: %w", s.Name, err))
				}
			}
			return errors.Join(failed...)
		}
	}
	add := func(use, short string, do func(ctx context.Context, c Config, s Source, w io.Writer) error) {
		parent.AddCommand(&cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: each(do)})
	}
	add("plan", "Print the SQL that would install what is missing, with its locks, in order", func(ctx context.Context, c Config, s Source, w io.Writer) error {
		plan, err := openInstalled(c, s).Plan(ctx)
		if err != nil {
			return err
		}
		answer := map[string]any{"source": s.Name, "statements": append([]postgres.Statement{}, plan...)} // none are [], not null
		var estimate *postgres.Estimate
		if !s.Postgres.CapturesWAL() {
			reckoned, err := openPostgres(c, s, nowhere()).Estimate(ctx)
			if err != nil {
				return err
			}
			estimate, answer["estimate"] = &reckoned, reckoned
		}
		if output == "json" {
			return writeJSON(w, answer)
		}
		return writePlan(w, s.Name, plan, estimate)
	})
	add("install", "Install what is missing; installing twice changes nothing", func(ctx context.Context, c Config, s Source, w io.Writer) error {
		if err := openInstalled(c, s).Install(ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "source %s: installed\n", s.Name)
		return err
	})
	add("status", "Tell what is installed, against what the configuration asks for; exits with 1 where something is missing", func(ctx context.Context, c Config, s Source, w io.Writer) error {
		if s.Postgres.CapturesWAL() {
			status, err := openWAL(c, s, nowhere()).Status(ctx)
			if err != nil {
				return err
			}
			if output == "json" {
				err = writeJSON(w, map[string]any{"source": s.Name, "status": status})
			} else {
				err = writeWALStatus(w, s.Name, status)
			}
			return complete(status.Complete, err)
		}
		status, err := openPostgres(c, s, nowhere()).Status(ctx)
		if err != nil {
			return err
		}
		if output == "json" {
			err = writeJSON(w, map[string]any{"source": s.Name, "status": status})
		} else {
			err = writeStatus(w, s.Name, status)
		}
		if half := status.Half(); half != nil && err == nil {
			return half
		}
		return complete(status.Complete, err)
	})
	add("remove", "Remove all that was installed; what wasn't read yet is lost", func(ctx context.Context, c Config, s Source, w io.Writer) error {
		if err := removeInstalled(ctx, c, s); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "source %s: removed\n", s.Name)
		return err
	})
	return parent
}

// complete is an error where something is missing, unless its status couldn't be written.
func complete(all bool, written error) error {
	if all || written != nil {
		return written
	}
	return errors.New("not complete: `collector triggers plan` prints what is missing, `collector triggers install` installs it")
}

// postgresSources are the PostgreSQL sources of the configuration, or the one of that name.
func postgresSources(c Config, name string) ([]Source, error) {
	var found []Source
	for _, s := range c.Collector.Sources {
		switch {
		case name != "" && s.Name != name:
		case s.Postgres != nil:
			found = append(found, s)
		case name != "":
			return nil, fmt.Errorf("source %s isn't a PostgreSQL: it has no triggers", name)
		}
	}
	if len(found) == 0 && name != "" {
		_, err := sourceNamed(c, name)
		return nil, err
	}
	if len(found) == 0 {
		return nil, errors.New("the configuration has no PostgreSQL source")
	}
	return found, nil
}

func writeStatus(w io.Writer, name string, status *postgres.Status) error {
	var b strings.Builder
	switch {
	case status.Empty:
		fmt.Fprintf(&b, "source %s: the schema datawatch is without its data\n", name)
	case status.Version == 0:
		fmt.Fprintf(&b, "source %s: the schema datawatch isn't installed\n", name)
	case status.Complete:
		fmt.Fprintf(&b, "source %s: complete, version %d, outbox %d bytes\n", name, status.Version, status.OutboxBytes)
	default:
		fmt.Fprintf(&b, "source %s: incomplete, version %d, outbox %d bytes\n", name, status.Version, status.OutboxBytes)
	}
	if len(status.Missing) > 0 {
		fmt.Fprintf(&b, "  missing: %s\n", strings.Join(status.Missing, ", "))
	}
	if status.Off != nil {
		fmt.Fprintf(&b, "  capture is switched off since %s: select datawatch.on()\n", status.Off.UTC().Format(time.RFC3339))
	}
	for _, t := range status.Tables {
		fmt.Fprintf(&b, "  %s: %s\n", t.Table, tableState(t))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeWALStatus(w io.Writer, name string, status *wal.Status) error {
	var b strings.Builder
	state := "incomplete"
	if status.Complete {
		state = "complete"
	}
	if status.There {
		fmt.Fprintf(&b, "source %s: %s, slot %s (%s) holds back %d bytes of WAL\n", name, state, status.Slot, status.State, status.Retained)
	} else {
		fmt.Fprintf(&b, "source %s: %s, the slot %s isn't there\n", name, state, status.Slot)
	}
	for _, t := range status.Tables {
		fmt.Fprintf(&b, "  %s: %s\n", t.Table, walTableState(t))
	}
	if len(status.Mend) > 0 {
		b.WriteString("  what puts the publications right, a transaction each:\n")
	}
	for _, transaction := range status.Mend {
		fmt.Fprintf(&b, "    %s\n", transaction)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func walTableState(t wal.TableStatus) string {
	switch {
	case t.Missing:
		return "not published as it is to be"
	case !t.Updates:
		return "inserts and truncates only: no replica identity"
	case !t.Before:
		return "captured, without old rows: replica identity isn't full"
	default:
		return "captured, with old rows"
	}
}

func tableState(t postgres.TableStatus) string {
	switch {
	case t.Disabled:
		return "triggers of ours, _datawatch_…, are disabled: alter table " + t.Table + " enable trigger …"
	case len(t.Missing) > 0:
		return "missing " + strings.Join(t.Missing, ", ")
	case t.Outdated:
		return "outdated: the table or the configuration changed"
	case len(t.Key) == 0:
		return "captured, without a key"
	default:
		return "captured, key " + strings.Join(t.Key, ", ")
	}
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
