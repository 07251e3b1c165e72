package wal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/postgres"
	"datawatch/pkg/daemon"
	"datawatch/pkg/reason"
)

// Check finds out whether the source could work.
func (s *Source) Check(ctx context.Context) []daemon.Finding {
	what := "source " + s.name
	db, err := s.connectReader(ctx)
	if err != nil {
		return []daemon.Finding{{What: what + " connection", Err: err}}
	}
	defer postgres.CloseConn(ctx, db)
	server, slot, err := s.survey(ctx, db)
	if err != nil {
		return []daemon.Finding{{What: what + " connection", Err: err}}
	}
	findings := []daemon.Finding{{What: what + " connection", Detail: fmt.Sprintf("PostgreSQL %d", server.version/10000)}}
	if err := server.fit(s.config.AllowUnboundedWAL); err != nil {
		findings = append(findings, daemon.Finding{What: what + " capture: wal", Err: err, Remedy: "or use capture: triggers, which needs none of it"})
		if server.standby {
			return findings
		}
	}
	findings = append(findings, s.checkSlot(ctx, db, &server, slot)...)
	findings = append(findings, checkIdle(ctx, what, db)...)
	findings = append(findings, checkLeft(ctx, what, db)...)
	findings = append(findings, s.checkKeeping(ctx, db)...)
	findings = append(findings, s.newWalker().Check(ctx, db)...)
	return append(findings, s.checkTables(ctx, db, &server, slot != nil)...)
}

func (s *Source) checkSlot(ctx context.Context, db *pgx.Conn, server *server, slot *slot) (findings []daemon.Finding) {
	what := "source " + s.name + " slot"
	if server.sendersUsed >= server.senders && (slot == nil || !slot.Active) { // else ours is among them
		findings = append(findings, daemon.Finding{What: what, Err: fmt.Errorf("all %d senders of WAL are taken", server.senders), Remedy: reason.DoPostgresSender.With().String()})
	}
	if slot != nil {
		if err := slot.usable(s.names.slot, *server); err != nil {
			return append(findings, daemon.Finding{What: what, Err: err, Remedy: "name the source otherwise"})
		}
		if slot.making() {
			f := daemon.Finding{What: what, Detail: reason.SlotMaking.With(s.names.slot).String()}
			if open, err := oldestOpen(ctx, db); err != nil {
				f.Err = err
			} else if !open.IsZero() {
				f.Detail += ", the oldest of " + open.String()
			}
			return append(findings, f)
		}
		if why := slot.lost(); !why.IsZero() {
			return append(findings, daemon.Finding{What: what, Err: reason.New(reason.SlotIsLost.With(s.names.slot, why)), Remedy: "the collector makes a new one at its start, and tells the gap"})
		}
		return append(findings, daemon.Finding{What: what, Detail: fmt.Sprintf("%s, %s, holds back %d bytes of WAL", s.names.slot, slot.WALStatus, slot.Retained)})
	}
	if server.slotsUsed >= server.slots {
		findings = append(findings, daemon.Finding{What: what, Err: fmt.Errorf("all %d slots are taken", server.slots), Remedy: "raise max_replication_slots, or drop a slot that nobody needs"})
	}
	switch {
	case len(findings) > 0:
	case s.config.ManageTriggers:
		findings = append(findings, daemon.Finding{What: what, Detail: "to be made at start"})
	default:
		findings = append(findings, daemon.Finding{What: what, Err: fmt.Errorf("the slot %s isn't there", s.names.slot), Remedy: "have a DBA run what `collector triggers plan` prints"})
	}
	return findings
}

// shortAway is how long a collector may well be away, for an upgrade that goes wrong.
const shortAway = time.Hour

// checkIdle tells where the server (18) drops a slot soon that nobody reads.
func checkIdle(ctx context.Context, what string, db *pgx.Conn) []daemon.Finding {
	f := daemon.Finding{What: what + " idle_replication_slot_timeout"}
	var after string
	var short bool
	err := db.QueryRow(ctx, `select after, after::interval > '0' and after::interval < make_interval(secs => $1)
		from coalesce(current_setting('idle_replication_slot_timeout', true), '0') after`, shortAway.Seconds()).Scan(&after, &short)
	switch {
	case err != nil:
		f.Err = fmt.Errorf("ask for it: %w", err)
	case !short:
		return nil
	default:
		f.Detail = after + ": a collector that is away for longer loses its slot, and what wasn't read is a gap. Set it to a day, say, or to 0"
	}
	return []daemon.Finding{f}
}

// checkLeft tells of triggers that are left from the other way of capture.
func checkLeft(ctx context.Context, what string, db *pgx.Conn) []daemon.Finding {
	var tables, bytes int64
	err := db.QueryRow(ctx, `select (select count(*) from pg_trigger t join pg_proc p on p.oid = t.tgfoid where t.tgname = '_datawatch_insert' and p.pronamespace = to_regnamespace('datawatch')),
		coalesce((select sum(pg_total_relation_size(oid)) from pg_class where relnamespace = to_regnamespace('datawatch') and relkind = 'r'), 0)::bigint`).Scan(&tables, &bytes)
	switch {
	case err != nil:
		return []daemon.Finding{{What: what + " triggers", Err: err}}
	case tables == 0:
		return nil
	}
	return []daemon.Finding{{
		What: what + " triggers", Err: fmt.Errorf("those of capture: triggers are left on %d tables: each write costs what they do, for an outbox of %d bytes that nobody reads", tables, bytes),
		Remedy: "stop the collector, run `collector triggers remove`, which takes away what both ways left, and start it: a gap tells of the time between",
	}}
}

// checkTables tells what of which table can't be told, and what is missing.
func (s *Source) checkTables(ctx context.Context, db *pgx.Conn, server *server, running bool) []daemon.Finding {
	what := "source " + s.name + " "
	tables, err := s.listTables(ctx, db, server.version)
	if err != nil {
		return []daemon.Finding{{What: what + "tables", Err: err}}
	}
	steps, err := s.planPublications(ctx, db, *server, running, nil)
	if err != nil {
		return []daemon.Finding{{What: what + "publications", Err: err}}
	}
	findings := []daemon.Finding{s.installable(ctx, tables, mending(steps))}
	var counts bool
	if err := db.QueryRow(ctx, "select current_setting('track_counts')::boolean").Scan(&counts); err != nil {
		return append(findings, daemon.Finding{What: what + "statistics", Err: fmt.Errorf("ask for track_counts: %w", err)})
	}
	if len(withoutUpdates(tables)) > 0 && !counts {
		findings = append(findings, daemon.Finding{
			What: what + "statistics", Err: errors.New("track_counts is off: updates and deletes of tables without a usable replica identity are lost without a word"), Remedy: "set it on",
		})
	}
	for _, t := range withoutUpdates(tables) {
		findings = append(findings, daemon.Finding{What: what + t.ident(), Detail: "no usable replica identity: its inserts and truncates come, its updates and deletes are told as gaps. " +
			"Give it a primary key that isn't deferrable, or: alter table " + t.ident() + " replica identity full"})
	}
	if !server.publishesComputed() {
		findings = append(findings, s.checkUpgrade(ctx, db, tables)...)
	}
	findings = append(findings, daemon.Finding{What: what + "capture", Detail: compare(server, s.config.AllowUnboundedWAL, tables)})
	for _, t := range tables {
		if !t.permanent && s.config.Selects(t.rootSchema, t.rootName) {
			findings = append(findings, daemon.Finding{What: what + t.ident(), Detail: "unlogged: it isn't in the WAL, and isn't captured"})
		}
	}
	return findings
}

// checkUpgrade names the tables whose updates and deletes PostgreSQL 18 refuses with the publication as a server before it has it: their old
// rows come whole, and have stored generated columns, which the publication is to have there.
func (s *Source) checkUpgrade(ctx context.Context, db *pgx.Conn, tables []*table) []daemon.Finding {
	f := daemon.Finding{What: "source " + s.name + " upgrades"}
	var computed []uint32
	err := db.QueryRow(ctx, "select array(select attrelid from pg_attribute where attgenerated = 's' and not attisdropped)").Scan(&computed)
	var named []string
	for _, t := range tables {
		if !t.partitioned && t.identity == "f" && captures(tables, t) && slices.Contains(computed, t.oid) {
			named = append(named, t.ident())
		}
	}
	switch {
	case err != nil:
		f.Err = fmt.Errorf("look for generated columns: %w", err)
	case len(named) == 0:
		return nil
	default:
		if more := len(named) - mostShown; more > 0 {
			named = append(named[:mostShown], fmt.Sprintf("and %d more", more))
		}
		f.Detail = "PostgreSQL 18, upgraded to or given a dump of this database, refuses updates and deletes of " + strings.Join(named, ", ") +
			" until the collector runs there, or somebody has run: alter publication " + s.names.all + " set (publish_generated_columns = stored)"
	}
	return []daemon.Finding{f}
}

// installable tells what is missing, and whether the collector may make it: a table's owner adds it to a publication, and
// whoever makes one needs CREATE on the database.
func (s *Source) installable(ctx context.Context, tables []*table, missing []string) daemon.Finding {
	f := daemon.Finding{What: "source " + s.name + " publications"}
	if len(missing) == 0 {
		f.Detail = "as they are to be"
		return f
	}
	if !s.config.ManageTriggers {
		f.Err, f.Remedy = unmanaged(tables), "`collector triggers install`, or have a DBA run: "+strings.Join(missing[:min(len(missing), mostShown)], " ")
		if more := len(missing) - mostShown; more > 0 {
			f.Remedy += fmt.Sprintf(" … and %d transactions more, which `collector triggers plan` prints", more)
		}
		return f
	}
	db, err := s.connectInstaller(ctx)
	if err != nil {
		f.Err = err
		return f
	}
	defer postgres.CloseConn(ctx, db)
	var oids []uint32
	for _, t := range tables {
		if t.missing() {
			oids = append(oids, t.oid)
		}
	}
	var may bool
	var foreign []string
	err = db.QueryRow(ctx, `select coalesce((select bool_and(pg_has_role(p.pubowner, 'usage')) from pg_publication p where p.pubname = any ($2)),
		has_database_privilege(current_database(), 'create')), array(select c.oid::regclass::text from pg_class c where c.oid = any ($1) and not pg_has_role(c.relowner, 'usage') order by 1)`, oids, []string{s.names.all, s.names.inserts}).Scan(&may, &foreign)
	switch {
	case err != nil:
		f.Err = err
	case !may:
		f.Err = errors.New("the role may not make, or change, the publications")
		f.Remedy = "grant create on database … to it, or name a role that may, or that owns them, in install_dsn"
	case len(foreign) > 0:
		f.Err = fmt.Errorf("only its owner may publish a table: %s", strings.Join(foreign, ", "))
		f.Remedy = "name a role in install_dsn that is a member of the owner's"
	default:
		f.Detail = fmt.Sprintf("to be made at start: %d transactions", len(missing))
	}
	return f
}

// mostShown is how many transactions, or tables, are named.
const mostShown = 5

// unmanaged names the tables that aren't published as they are to be, where the collector publishes none.
func unmanaged(tables []*table) error {
	var named []string
	for _, t := range tables {
		if t.missing() {
			named = append(named, t.ident())
		}
	}
	if more := len(named) - mostShown; more > 0 {
		named = append(named[:mostShown], fmt.Sprintf("and %d more", more))
	}
	if len(named) == 0 {
		return errors.New("manage_triggers is off, and the publications aren't as they are to be")
	}
	return fmt.Errorf("manage_triggers is off, and not published as they are to be: %s", strings.Join(named, ", "))
}
