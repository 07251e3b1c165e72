package wal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"datawatch/pkg/reason"
)

// server is what the server says of itself.
type server struct {
	version                   int // as in 150004
	standby                   bool
	level                     string // wal_level
	system                    string // identifier of the cluster, and oid of the database
	database                  string
	unbounded                 bool   // max_slot_wal_keep_size is -1
	synchronous               string // synchronous_standby_names
	slots, slotsUsed, senders int
	sendersUsed               int
	role                      string
	mayReplicate              bool
	lsn                       pglogrepl.LSN
}

// Who reads WAL is in pg_stat_replication for everybody to count; in pg_stat_activity, it is for those who may see others' sessions.
const serverSQL = `select current_setting('server_version_num')::int, pg_is_in_recovery(), current_setting('wal_level'),
       case when has_function_privilege('pg_catalog.pg_control_system()', 'execute')
            then (select system_identifier::text from pg_control_system()) else '' end || '/' || d.oid::text, d.datname,
       coalesce(current_setting('max_slot_wal_keep_size', true), '-1') = '-1', current_setting('synchronous_standby_names'),
       current_setting('max_replication_slots')::int, (select count(*) from pg_replication_slots),
       current_setting('max_wal_senders')::int, (select count(*) from pg_stat_replication),
       current_user, (select rolreplication or rolsuper from pg_roles where rolname = current_user)
from pg_database d where d.datname = current_database()`

func askServer(ctx context.Context, db *pgx.Conn) (server, error) {
	var s server
	err := db.QueryRow(ctx, serverSQL).Scan(&s.version, &s.standby, &s.level, &s.system, &s.database, &s.unbounded, &s.synchronous,
		&s.slots, &s.slotsUsed, &s.senders, &s.sendersUsed, &s.role, &s.mayReplicate)
	if err != nil {
		return s, fmt.Errorf("ask the server about itself: %w", err)
	}
	if s.standby {
		return s, nil
	}
	var lsn string
	if err := db.QueryRow(ctx, "select pg_current_wal_flush_lsn()::text").Scan(&lsn); err != nil {
		return s, fmt.Errorf("ask the server about itself: %w", err)
	}
	s.lsn, err = pglogrepl.ParseLSN(lsn)
	return s, err
}

// publishesComputed tells whether the server can publish stored generated columns, and on the other hand has an UPDATE fail
// where the replica identity holds one that isn't published.
func (s *server) publishesComputed() bool { return s.version >= 180000 }

// tellsMessages tells whether pgoutput sends what pg_logical_emit_message wrote.
func (s *server) tellsMessages() bool { return s.version >= 140000 }

// followsPartitions tells whether the server looks anew how a partition is published when it was attached or detached; else it publishes it as
// when it first told of it, until a publication changes.
func (s *server) followsPartitions() bool { return s.version >= 150000 }

// Errors of servers that can't be captured from the WAL.
var (
	errVersion     = reason.New(reason.WALVersion.With())
	errStandby     = reason.New(reason.WALStandby.With())
	errLevel       = reason.New(reason.WALLevel.With())
	errUnbounded   = reason.New(reason.WALUnbounded.With())
	errSynchronous = reason.New(reason.WALSynchronous.With())
	errReplication = reason.New(reason.WALReplication.With())
)

const oldestVersion = 130000

// fit tells what keeps the server from being captured.
func (s *server) fit(allowUnbounded bool) error {
	switch {
	case s.version < oldestVersion:
		return errVersion
	case s.standby:
		return errStandby
	case s.level != "logical":
		return errLevel
	case !s.mayReplicate:
		return reason.New(reason.WALReplication.With(s.role))
	case s.unbounded && !allowUnbounded:
		return errUnbounded
	case takesAny(s.synchronous):
		return errSynchronous
	default:
		return nil
	}
}

// takesAny tells whether our sender of WAL could become a synchronous standby.
func takesAny(synchronous string) bool {
	for _, name := range strings.FieldsFunc(synchronous, func(r rune) bool { return strings.ContainsRune(` ,()"`, r) }) {
		if name == "*" || strings.EqualFold(name, applicationName) {
			return true
		}
	}
	return false
}

// slot is a replication slot as pg_replication_slots and pg_stat_replication_slots show it; columns that a version lacks
// are zero.
type slot struct {
	Plugin    string `json:"plugin"`
	Database  string `json:"database"`
	Active    bool   `json:"active"`
	Confirmed string `json:"confirmed_flush_lsn"`
	Restart   string `json:"restart_lsn"`
	WALStatus string `json:"wal_status"`    // 13: reserved, extended, unreserved, lost
	Safe      *int64 `json:"safe_wal_size"` // bytes that may be written until it is lost
	Conflict  bool   `json:"conflicting"`   // 16
	TwoPhase  bool   `json:"two_phase"`     // 14: tells of prepared transactions before they are committed; ours don't
	Invalid   string `json:"invalidation_reason"`
	Retained  int64  `json:"retained"`
	Unread    int64  `json:"unread"` // bytes behind what was confirmed
	Used      bool   `json:"used"`   // something was read from it, as far as statistics tell

	confirmed pglogrepl.LSN
}

// Of a slot that was never used statistics are zero or not there.
const slotSQL = `select (to_jsonb(s) || jsonb_build_object('retained', coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0)::bigint,
	'unread', coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), s.confirmed_flush_lsn), 0)::bigint))::text
from pg_replication_slots s where s.slot_name = $1`

// askSlot looks at the slot; nil where there is none.
func askSlot(ctx context.Context, db *pgx.Conn, name string, version int) (*slot, error) {
	var text []byte
	err := db.QueryRow(ctx, slotSQL, name).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at the slot %s: %w", name, err)
	}
	s := new(slot)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("look at the slot %s: %w", name, err)
	}
	if s.Confirmed != "" {
		if s.confirmed, err = pglogrepl.ParseLSN(s.Confirmed); err != nil {
			return nil, fmt.Errorf("look at the slot %s: %w", name, err)
		}
	}
	if version < 140000 {
		return s, nil
	}
	err = db.QueryRow(ctx, "select coalesce((select total_txns > 0 from pg_stat_replication_slots where slot_name = $1), false)", name).Scan(&s.Used)
	if err != nil {
		return nil, fmt.Errorf("look at the slot %s: %w", name, err)
	}
	return s, nil
}

// lost tells why the slot can't be read any more; it says nothing where it can.
func (s *slot) lost() reason.Text {
	switch {
	case s.Invalid != "":
		return reason.SlotInvalid.With(s.Invalid)
	case s.TwoPhase:
		return reason.SlotInvalid.With("two_phase")
	case s.WALStatus == "lost":
		return reason.SlotExceeded.With()
	case s.Conflict:
		return reason.SlotConflicted.With()
	case s.Restart == "" || s.Confirmed == "":
		return reason.SlotNowhere.With()
	default:
		return reason.Text{}
	}
}

// making tells whether somebody is making the slot, and waits for transactions.
func (s *slot) making() bool { return s.Active && s.Confirmed == "" && s.WALStatus != "lost" }

// A slot can begin where its server notes which transactions run, every 15 s (LOG_SNAPSHOT_INTERVAL_MS in src/backend/postmaster/bgwriter.c): no
// newer one holds it back. When a transaction began is for those who may see others' sessions.
const openSQL = `select pid, gid, coalesce(to_char(since at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), '?') from (
	select pid, '' as gid, backend_xid as xid, xact_start as since from pg_stat_activity where backend_xid is not null
	union all select 0, gid, transaction, prepared from pg_prepared_xacts) open
where since is null or since < clock_timestamp() - interval '15 s' order by age(xid) desc limit 1`

// oldestOpen names the oldest transaction that holds slots back; it says nothing where there is none.
func oldestOpen(ctx context.Context, db *pgx.Conn) (reason.Text, error) {
	var pid int32
	var gid, since string
	switch err := db.QueryRow(ctx, openSQL).Scan(&pid, &gid, &since); {
	case errors.Is(err, pgx.ErrNoRows):
		return reason.Text{}, nil
	case err != nil:
		return reason.Text{}, fmt.Errorf("look for open transactions: %w", err)
	case pid == 0:
		return reason.SlotOpenPrepared.With(strconv.Quote(gid), since), nil
	default:
		return reason.SlotOpenSession.With(pid, since), nil
	}
}

// usable tells whether the slot is one that could be ours.
func (s *slot) usable(name string, db server) error {
	if s.Plugin != "pgoutput" || s.Database != db.database {
		return reason.New(reason.SlotOthers.With(name, strconv.Quote(s.Database), strconv.Quote(s.Plugin)))
	}
	return nil
}

// surveyOwn is survey where nothing is to be done, or said, with the slot of another database's source.
func (s *Source) surveyOwn(ctx context.Context, db *pgx.Conn) (server, *slot, error) {
	about, slot, err := s.survey(ctx, db)
	if err == nil && slot != nil {
		err = slot.usable(s.names.slot, about)
	}
	return about, slot, err
}

// survey asks about the server, and the source's slot on it; nil where there is none, or the server is a standby.
func (s *Source) survey(ctx context.Context, db *pgx.Conn) (server, *slot, error) {
	about, err := askServer(ctx, db)
	if err != nil || about.standby {
		return about, nil, err
	}
	slot, err := askSlot(ctx, db, s.names.slot, about.version)
	return about, slot, err
}

// createSlot waits for the transactions that run, since decoding begins where none is half done.
func createSlot(ctx context.Context, db *pgx.Conn, name string, version int) error {
	if _, err := db.Exec(ctx, createSlotSQL(name, version)); err != nil {
		return fmt.Errorf("create the slot %s: %w", name, err)
	}
	return nil
}

// createSlotSQL has a slot that a standby may keep a copy of, where the server can (17).
func createSlotSQL(name string, version int) string {
	if version >= 170000 {
		return "select pg_create_logical_replication_slot('" + name + "', 'pgoutput', failover => true)"
	}
	return "select pg_create_logical_replication_slot('" + name + "', 'pgoutput')"
}

// ourSlot is the slot $1, if it could be ours: names are the cluster's, and another database's source may have the same.
const ourSlot = "pg_replication_slots where slot_name = $1 and database = current_database() and plugin = 'pgoutput'"

const dropSlotSQL = `select pg_drop_replication_slot(slot_name) from ` + ourSlot

// dropSlot drops the slot, if it is there and could be ours, and ends whoever reads from it.
func dropSlot(ctx context.Context, db *pgx.Conn, name string) error {
	_, err := db.Exec(ctx, dropSlotSQL, name)
	if err != nil && hasCode(err, codeInUse) {
		err = retry(ctx, func() error {
			if err := endReader(ctx, db, name); err != nil {
				return err
			}
			_, err := db.Exec(ctx, dropSlotSQL, name)
			return err
		}, codeInUse)
	}
	if err != nil {
		return fmt.Errorf("drop the slot %s: %w", name, err)
	}
	return nil
}

// endReader ends the session that reads from the slot: of one collector that was fenced, or whose connection the server
// still believes in.
func endReader(ctx context.Context, db *pgx.Conn, name string) error {
	_, err := db.Exec(ctx, "select pg_terminate_backend(active_pid) from "+ourSlot+" and active", name)
	return err
}

// slotHolder names the session that reads from the slot.
func slotHolder(ctx context.Context, db *pgx.Conn, name string) reason.Text {
	var pid int32
	var role string
	err := db.QueryRow(ctx, `select coalesce(s.active_pid, 0), coalesce(a.usename, '') from pg_replication_slots s left join pg_stat_activity a on a.pid = s.active_pid
		where s.slot_name = $1`, name).Scan(&pid, &role)
	if err != nil { // which whoever asks next is told
		pid, role = 0, ""
	}
	return reason.SlotHeld.With(name, pid, strconv.Quote(role))
}

// switchedAt is where the server left a timeline, as its history says; 0 where it doesn't name it.
func switchedAt(history []byte, timeline int32) pglogrepl.LSN {
	for line := range strings.Lines(string(history)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != strconv.Itoa(int(timeline)) {
			continue
		}
		if at, err := pglogrepl.ParseLSN(fields[1]); err == nil {
			return at
		}
	}
	return 0
}
