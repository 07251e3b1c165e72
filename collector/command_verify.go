package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"datawatch/collector/internal/clean"
	"datawatch/collector/internal/record"
	"datawatch/collector/internal/remote"
	"datawatch/collector/internal/verify"
	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
)

func verifyCommand(load func() (Config, error)) *cobra.Command {
	var stream string
	var sample int64
	var output outputFlag
	cmd := &cobra.Command{
		Use: "verify --stream STREAM", Args: cobra.NoArgs,
		Short: "Compare a table with the latest state that clean holds of it",
		Long: `Walks a PostgreSQL table by its key, in chunks, and compares each row with the latest state in clean; writes may go on. What
differs is looked at again once the collector and the preprocessor have passed that moment, so both have to run. Reports
rows that are missing in clean, extra in clean, or different, and exits with 1 where there are any. Rows of which clean holds
no event (they were there before capture, and no snapshot read them) are counted; where there are only such, it exits with 3.
Needs SELECT on the table for the role of dsn.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.check(cmd); err != nil {
				return err
			}
			if err := checkStream(cmd, event.Stream(stream)); err != nil {
				return err
			}
			if stream == "" {
				return usage(cmd, "--stream is needed, as in shop-db/public.orders")
			}
			if sample < 0 {
				return usage(cmd, "--sample %d: a number of rows", sample)
			}
			c, err := load()
			if err != nil {
				return err
			}
			v, err := openVerifier(cmd.Context(), c, event.Stream(stream), newTerminal(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			defer v.close(cmd.Context())
			cmd.PrintErrln(v.clean.Held())
			result, err := v.run(cmd.Context(), sample)
			v.terminal.end()
			if err != nil {
				return v.rights(err)
			}
			if output.json() {
				err = writeJSON(cmd.OutOrStdout(), result)
			} else {
				err = writeVerified(cmd.OutOrStdout(), result)
			}
			switch {
			case err != nil:
				return err
			case len(result.Differences) > 0:
				return fmt.Errorf("%s isn't in clean as it is in the table", stream)
			case result.Untold > 0:
				return fmt.Errorf("%w: %d rows have no event there; %s; `collector snapshot --stream %s` reads them", daemon.ErrTooFarBack, result.Untold, v.clean.Held(), stream)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&stream, "stream", "", "the stream, as in shop-db/public.orders")
	cmd.Flags().Int64Var(&sample, "sample", 0, "compare about that many rows, chosen by their keys; 0 is all")
	output.add(cmd)
	return cmd
}

// verifier is what a comparison works with.
type verifier struct {
	config   Config
	source   Source
	stream   event.Stream
	table    verifyTable
	clean    *clean.Reader
	pipeline record.Pipeline
	mask     *normalize.Masker
	rows     *normalize.Normalizer
	complete bool
	terminal *terminal
}

// settleTimeout is how long collector and preprocessor are waited for.
const settleTimeout = 2 * time.Minute

// verifyTable is a table that is open.
type verifyTable interface {
	verify.Table
	Close(ctx context.Context)
	Size() int64
}

func openVerifier(ctx context.Context, c Config, stream event.Stream, t *terminal) (*verifier, error) {
	s, err := sourceNamed(c, stream.Source())
	if err != nil {
		return nil, err
	}
	if s.Postgres == nil {
		return nil, fmt.Errorf("source %s isn't a PostgreSQL: only tables can be compared with clean", s.Name)
	}
	v := &verifier{config: c, source: s, stream: stream, terminal: t}
	if v.mask, err = normalize.NewMasker(c.Mask); err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	if v.rows, err = newNormalizer(c); err != nil {
		return nil, err
	}
	if err := broker.Reach(ctx, c.Broker, remote.ClientID); err != nil {
		return nil, err
	}
	seen, err := remote.Look(ctx, c.Broker, []string{s.Name})
	if err != nil {
		return nil, err
	}
	if !seen[s.Name].Status.Running(time.Now()) {
		return nil, fmt.Errorf("%w (%s): what isn't captured yet would look like a difference; start `collector` first", remote.ErrNobody, s.Name)
	}
	if v.clean, err = clean.Open(ctx, c.Broker, remote.ClientID); err != nil {
		return nil, err
	}
	v.complete = seen[s.Name].Snapshots.Read(stream, v.clean.All)
	scanner, err := broker.NewScanner(c.Broker, remote.ClientID)
	if err != nil {
		v.close(ctx)
		return nil, err
	}
	if v.pipeline, err = pipelineOf(c, scanner, []string{s.Name}); err != nil {
		v.close(ctx)
		return nil, err
	}
	table, err := openPostgres(c, s, nowhere()).OpenTable(ctx, stream)
	if err != nil {
		v.close(ctx)
		return nil, fmt.Errorf("source %s: %w", s.Name, err)
	}
	v.table = table // not before: an interface that holds a nil pointer isn't nil
	return v, nil
}

func (v *verifier) close(ctx context.Context) {
	if v.table != nil {
		v.table.Close(ctx)
	}
	if v.pipeline.Scanner != nil {
		_ = v.pipeline.Scanner.Close() // it only read
	}
	v.clean.Close()
}

func (v *verifier) run(ctx context.Context, sample int64) (*verify.Result, error) {
	prefix := string(v.stream) + "\n"
	wanted := func(key []byte) bool {
		return strings.HasPrefix(string(key), prefix) || string(key) == string(v.stream)
	}
	v.terminal.show("reading clean")
	return verify.Run(ctx, verify.Options{
		Stream: v.stream, Table: v.table, Complete: v.complete, Sample: sample, Estimate: v.table.Size(),
		Clean: v.asClean,
		On: func(ctx context.Context, each func(*event.Clean) error) error {
			return v.clean.On(ctx, true, wanted, each)
		},
		Progress: func(rows int64) { v.terminal.show(fmt.Sprintf("%d rows compared", rows)) },
		Settle: func(ctx context.Context) error {
			v.terminal.show("waiting for collector and preprocessor, to look again at what differs")
			ctx, cancel := context.WithTimeout(ctx, settleTimeout)
			defer cancel()
			return v.pipeline.InClean(ctx)
		},
	})
}

// rights is the error, with what grants the right to read the table where that is what the role of dsn lacks.
func (v *verifier) rights(err error) error {
	const insufficientPrivilege = "42501"
	var server *pgconn.PgError
	if !errors.As(err, &server) || server.Code != insufficientPrivilege {
		return err
	}
	dsn, unread := pgx.ParseConfig(v.source.Postgres.DSN.Reveal())
	if unread != nil {
		return err
	}
	var table pgx.Identifier
	for part := range strings.SplitSeq(v.stream.Entity(), ".") {
		plain, _ := url.PathUnescape(part) // a table was found by it
		table = append(table, plain)
	}
	role := pgx.Identifier{dsn.User}.Sanitize()
	if server.Routine == "check_enable_rls" {
		return fmt.Errorf("%w; row security hides rows from the role %s: alter role %s bypassrls", err, role, role)
	}
	return fmt.Errorf("%w; the role %s may not read the table: grant usage on schema %s to %s; grant select on %s to %s (of a partitioned table without a key, on each partition)",
		err, role, table[:1].Sanitize(), role, table.Sanitize(), role)
}

// asClean does with a row what the pipeline does.
func (v *verifier) asClean(ctx context.Context, raw *event.Raw) (*event.Clean, error) {
	if err := v.mask.Apply(raw); err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	events, err := v.rows.Events(ctx, raw)
	if err != nil {
		return nil, err
	}
	if len(events) != 1 || events[0].Change == nil {
		return nil, errors.New("a row gave no event")
	}
	return events[0], nil
}

func writeVerified(w io.Writer, r *verify.Result) error {
	var b strings.Builder
	for _, d := range r.Differences {
		fmt.Fprintf(&b, "%-9s  %s", d.Kind, d.Key)
		if d.Event != "" {
			fmt.Fprintf(&b, "  (the latest event is %s)", d.Event)
		}
		b.WriteString("\n")
	}
	if r.More {
		b.WriteString("these say enough: the rest was not compared\n")
	}
	what := "rows"
	if r.Sampled {
		what = "rows of a sample"
	}
	fmt.Fprintf(&b, "%s: %d %s compared, %d differ", r.Stream, r.Rows, what, len(r.Differences))
	if r.Untold > 0 {
		fmt.Fprintf(&b, ", %d of which clean holds no event", r.Untold)
	}
	if r.Unsettled > 0 {
		fmt.Fprintf(&b, ", %d changed at each look", r.Unsettled)
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}
