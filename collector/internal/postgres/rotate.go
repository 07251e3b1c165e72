package postgres

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

const (
	slots = 3
	// rotateBytes is when triggers are sent to the next table; a cap below its double halves it.
	rotateBytes = 64 << 20
	// truncateTimeout: a TRUNCATE that waits has others wait behind it.
	truncateTimeout = "50ms"
)

// rotate empties the tables of slots that triggers no longer write to and whose packs are all committed, and sends triggers on when
// the current table has become large and the next one is empty.
//
// A table is emptied in two phases, as PgQ does it. At the switch a transaction id is noted, and a number below
// those that come next, before it. Once the committed snapshot is past that id, every transaction that the switch found at work has ended and
// was read. Who began before the switch but took its id later drew its numbers after the noted one: so under the lock,
// which lets no writer be at work, only packs above that number are looked at.
//
// The snapshot isn't past it while any transaction of the server is open that is older, of another database perhaps, and there may be no
// id, where a switch was undone that writers had seen. Then all packs are looked at: without the lock first, where nobody has written there
// who is still at work, and under it again.
func (s *Source) rotate(ctx context.Context, db *pgx.Conn, installed int) error {
	wanting := false
	for slot := range slots {
		behind, err := s.empty(ctx, db, slot)
		if err != nil {
			return err
		}
		wanting = wanting || behind
	}
	s.wanting.Store(wanting)
	return s.switchOn(ctx, db, installed)
}

// slotTables are the tables of a slot, in the order in which they are locked, as an installation of that version has them.
func slotTables(version, slot int) []string {
	tables := []string{fmt.Sprintf("datawatch.outbox_%d", slot)}
	if version >= versionSingles {
		tables = append(tables, fmt.Sprintf("datawatch.single_%d", slot))
	}
	return tables
}

// allTables are those of all slots.
func allTables(version int) string {
	var tables []string
	for slot := range slots {
		tables = append(tables, slotTables(version, slot)...)
	}
	return strings.Join(tables, ", ")
}

// bytesSQL is the size of the tables of those slots for whose number, a text, the condition on slot holds.
func bytesSQL(condition string) string {
	return `(select coalesce(sum(pg_relation_size(c.oid) + coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0)), 0)::bigint
		from pg_class c join pg_namespace n on n.oid = c.relnamespace, right(c.relname, 1) slot
		where n.nspname = 'datawatch' and c.relname ~ '^(outbox|single)_[0-9]$' and ` + condition + `)`
}

// empty empties a slot whose packs were all read. It tells whether the progress that was committed is of before the switch: where the
// outbox is full no pack follows, with which the next one would come.
func (s *Source) empty(ctx context.Context, db *pgx.Conn, slot int) (behind bool, err error) {
	var installed int
	var filled, past, seen bool
	err = db.QueryRow(ctx, `select m.version, s.slot <> q.current and `+bytesSQL("slot = s.slot::text")+` > 0,
			coalesce(s.switched_xid < pg_snapshot_xmin(p.snapshot), false), coalesce(s.switched_xid < pg_snapshot_xmax(p.snapshot), true)
		from datawatch.meta m, datawatch.slots s, datawatch.queue q, datawatch.progress p where s.slot = $1`, slot).Scan(&installed, &filled, &past, &seen)
	if err != nil {
		return false, fmt.Errorf("look at slot %d of the outbox: %w", slot, err)
	}
	if !filled || !seen {
		return filled, nil
	}
	tables := slotTables(installed, slot)
	unread := unreadSQL(tables, slot, past)
	if !past {
		var waits bool
		err := db.QueryRow(ctx, `select exists (select from pg_locks l join pg_database d on d.oid = l.database and d.datname = current_database()
			where l.mode = 'RowExclusiveLock' and l.relation = any ($1::text[]::regclass[])) or `+unread, tables).Scan(&waits)
		if err != nil {
			return false, fmt.Errorf("look at slot %d of the outbox: %w", slot, err)
		}
		if waits {
			return false, nil
		}
	}
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { return emptySlot(ctx, tx, tables, unread) })
	if err != nil {
		return false, fmt.Errorf("empty slot %d of the outbox: %w", slot, err)
	}
	return false, s.keepAlive(ctx, db) // there is more room now
}

// unreadSQL tells whether a slot's tables hold what wasn't read: behind the switch, where the committed snapshot is past it, else anywhere.
func unreadSQL(tables []string, slot int, past bool) string {
	unread := fmt.Sprintf("exists (select from %%s o, datawatch.slots s, datawatch.progress p where s.slot = %d and not pg_visible_in_snapshot(o.txid, p.snapshot)", slot)
	if past {
		unread += " and o.seq > s.switched_seq"
	}
	// The outbox's indexes are of the one or of the other.
	parts := []string{fmt.Sprintf(unread+" and o.behind is null)", tables[0]), fmt.Sprintf(unread+" and o.behind is not null)", tables[0])}
	for _, table := range tables[1:] {
		parts = append(parts, fmt.Sprintf(unread+")", table))
	}
	return strings.Join(parts, " or ")
}

// emptySlot truncates a slot's tables unless they hold what wasn't read.
func emptySlot(ctx context.Context, tx pgx.Tx, tables []string, unread string) error {
	if _, err := tx.Exec(ctx, "set local lock_timeout = '"+truncateTimeout+"'"); err != nil {
		return err
	}
	all := strings.Join(tables, ", ")
	if _, err := tx.Exec(ctx, "lock table "+all+" in access exclusive mode"); err != nil {
		return err
	}
	var waits bool
	if err := tx.QueryRow(ctx, "select "+unread).Scan(&waits); err != nil || waits {
		return err
	}
	_, err := tx.Exec(ctx, "truncate "+all)
	return err
}

func (s *Source) switchOn(ctx context.Context, db *pgx.Conn, installed int) error {
	threshold := min(cmp.Or(s.limits.rotateBytes, rotateBytes), s.room()/4)
	if installed < versionPlaces {
		threshold = min(threshold, cmp.Or(s.limits.upgradeBytes, upgradeBytes)/4)
	}
	var current int
	var due bool
	err := db.QueryRow(ctx, "select q.current, "+bytesSQL("slot = q.current::text")+" > $1 and "+bytesSQL("slot = ((q.current + 1) % 3)::text")+
		" = 0 from datawatch.queue q", threshold).Scan(&current, &due)
	if err != nil {
		return fmt.Errorf("look at the current outbox: %w", err)
	}
	if !due {
		return nil
	}
	// The number is read before the transaction has an id.
	var seq int64
	if err := db.QueryRow(ctx, "select "+drawnSQL(installed)).Scan(&seq); err != nil {
		return fmt.Errorf("ask which number comes next: %w", err)
	}
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "update datawatch.slots set switched_xid = pg_current_xact_id(), switched_seq = $2 where slot = $1", current, seq); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "update datawatch.queue set current = ($1 + 1) % 3", current); err != nil {
			return err
		}
		return s.keepAlive(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("switch the outbox: %w", err)
	}
	return nil
}
