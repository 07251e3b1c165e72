package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const (
	slots = 3
	// rotateBytes is when triggers are sent to the next table; a cap below its double halves it.
	rotateBytes = 64 << 20
	// truncateTimeout: a TRUNCATE that waits has others wait behind it.
	truncateTimeout = "50ms"
)

// rotate empties tables that triggers no longer write to and whose packs are all committed, and sends triggers on when
// the current table has become large and the next one is empty.
//
// A table is emptied in two phases, as PgQ does it. At the switch a transaction id is noted, and the sequence's value
// before it. Once the committed snapshot is past that id, every transaction that the switch found at work has ended and
// was read. Who began before the switch but took its id later drew its numbers after the noted one: so under the lock,
// which lets no writer be at work, only packs above that number are looked at.
func (s *Source) rotate(ctx context.Context, db *pgx.Conn) error {
	for slot := range slots {
		if err := s.empty(ctx, db, slot); err != nil {
			return err
		}
	}
	return s.switchOn(ctx, db)
}

func (s *Source) empty(ctx context.Context, db *pgx.Conn, slot int) error {
	var ready bool
	err := db.QueryRow(ctx, `select coalesce(s.slot <> q.current and s.switched_xid < pg_snapshot_xmin(p.snapshot)
			and pg_relation_size(('datawatch.outbox_' || s.slot)::regclass) > 0, false)
		from datawatch.slots s, datawatch.queue q, datawatch.progress p where s.slot = $1`, slot).Scan(&ready)
	if err != nil {
		return fmt.Errorf("look at outbox_%d: %w", slot, err)
	}
	if !ready {
		return nil
	}
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		table := fmt.Sprintf("datawatch.outbox_%d", slot)
		if _, err := tx.Exec(ctx, "set local lock_timeout = '"+truncateTimeout+"'"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "lock table "+table+" in access exclusive mode"); err != nil {
			return err
		}
		var unread bool
		if err := tx.QueryRow(ctx, `select exists (select from `+table+` o, datawatch.slots s, datawatch.progress p
			where s.slot = $1 and o.behind is null and o.seq > s.switched_seq and not pg_visible_in_snapshot(o.txid, p.snapshot))
			or exists (select from `+table+` o, datawatch.slots s, datawatch.progress p
			where s.slot = $1 and o.behind is not null and o.seq > s.switched_seq and not pg_visible_in_snapshot(o.txid, p.snapshot))`, slot).Scan(&unread); err != nil || unread {
			return err
		}
		_, err := tx.Exec(ctx, "truncate "+table)
		return err
	})
	if err != nil {
		return fmt.Errorf("empty outbox_%d: %w", slot, err)
	}
	return s.keepAlive(ctx, db) // there is more room now
}

func (s *Source) switchOn(ctx context.Context, db *pgx.Conn) error {
	threshold := min(int64(rotateBytes), s.room()/4)
	var current int
	var due bool
	err := db.QueryRow(ctx, `select q.current,
			coalesce(pg_relation_size(q.main), 0) + coalesce(pg_relation_size(nullif(q.toast, 0)), 0) > $1
			and pg_relation_size(('datawatch.outbox_' || (q.current + 1) % 3)::regclass) = 0
		from datawatch.queue q`, threshold).Scan(&current, &due)
	if err != nil {
		return fmt.Errorf("look at the current outbox: %w", err)
	}
	if !due {
		return nil
	}
	// The number is read before the transaction has an id.
	var seq int64
	if err := db.QueryRow(ctx, "select last_value from datawatch.seq").Scan(&seq); err != nil {
		return fmt.Errorf("read the sequence: %w", err)
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
