package model

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Writer does random transactions on the tables that [DDL] makes: several statements of every kind, with savepoints, some
// long, some rolled back.
type Writer struct {
	Swaps bool          // also shifts all keys of the table that [Swaps] makes
	Bulk  int           // rows that a large statement inserts
	Pause time.Duration // between transactions, about
}

// Run writes until ctx is done. What a database may answer to whom others get in the way is no error.
func (w Writer) Run(ctx context.Context, db *pgx.Conn, rng *rand.Rand) error {
	for ctx.Err() == nil {
		err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { return w.transaction(ctx, tx, rng) })
		if err != nil && ctx.Err() == nil && !errors.Is(err, errRollback) && !expected(err) {
			return err
		}
		if w.Pause > 0 {
			time.Sleep(time.Duration(rng.Int64N(int64(2 * w.Pause))))
		}
	}
	return nil
}

var errRollback = errors.New("roll back")

// expected: deadlocks, keys that are there, rows of kids without a parent, locks that are held, columns that are gone.
func expected(err error) bool {
	var server interface{ SQLState() string }
	return errors.As(err, &server) && slices.Contains([]string{"40P01", "40001", "23503", "23505", "42701", "42703", "55P03", "57014"}, server.SQLState())
}

func (w Writer) transaction(ctx context.Context, tx pgx.Tx, rng *rand.Rand) error {
	for range 1 + rng.IntN(6) {
		if err := w.statement(ctx, tx, rng); err != nil {
			return err
		}
		if rng.IntN(40) == 0 {
			time.Sleep(time.Duration(rng.IntN(150)) * time.Millisecond) // a long transaction overlaps many others
		}
	}
	if rng.IntN(6) == 0 {
		return errRollback
	}
	return nil
}

func (w Writer) statement(ctx context.Context, tx pgx.Tx, rng *rand.Rand) error {
	table := Tables[rng.IntN(len(Tables))]
	id, text := rng.IntN(60), fmt.Sprint(rng.Int64())
	do := func(sql string, args ...any) error { _, err := tx.Exec(ctx, sql, args...); return err }
	switch n := rng.IntN(100); {
	case n < 28:
		return do(`insert into `+table+` (id, v) values ($1, $2) on conflict (id) do update set v = excluded.v || '+'`, id, text)
	case n < 31 && merges(tx):
		return do(`merge into `+table+` t using (select generate_series($1::int, $1::int + 3) as id) s on t.id = s.id when matched and t.id % 4 = 0 then delete
			when matched then update set v = $2 when not matched then insert (id, v) values (s.id, $2 || '*')`, id, text)
	case n < 50:
		return do(`update `+table+` set v = $2 where id = $1`, id, text)
	case n < 55:
		return do(`update kids set parent = (select min(id) from a where id >= $2), v = $1 where id % 10 = $2 % 10`, text, id)
	case n < 70:
		return do(`delete from `+table+` where id = $1`, id)
	case n < 78:
		return do(`update `+table+` set id = $2 where id = $1`, id, 60+rng.IntN(40))
	case n < 80 && w.Swaps:
		return do(`update swaps set id = $1 - id, v = v || '~' where id between 0 and $1`, 300+id)
	case n < 82:
		return do(`select bump($1)`, id)
	case n < 86:
		return do(`insert into `+table+` (id, v) select g, $3 from generate_series($1::int, $1::int + $2 - 1) g on conflict do nothing`, 1000*(1+id), w.Bulk, "bulk")
	case n < 88:
		return do(`delete from ` + table + ` where id >= 1000`)
	case n < 90:
		_, err := tx.CopyFrom(ctx, pgx.Identifier{table}, []string{"id", "v"}, pgx.CopyFromRows([][]any{{100 + id, text}, {200 + id, text}}))
		return err
	case n < 95:
		return w.savepoint(ctx, tx, rng)
	case n < 96:
		return do(`truncate ` + table + ` cascade`)
	case n < 98:
		return alter(ctx, tx, table, rng)
	default:
		return do(`with gone as (delete from a where id < 5 returning id, v) insert into b (id, v) select id + 300, v from gone on conflict do nothing`)
	}
}

// merges: MERGE came with PostgreSQL 15.
func merges(tx pgx.Tx) bool { return tx.Conn().PgConn().ParameterStatus("server_version") >= "15" }

func (w Writer) savepoint(ctx context.Context, tx pgx.Tx, rng *rand.Rand) error {
	inner, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	if err := w.statement(ctx, inner, rng); err != nil {
		return errors.Join(err, inner.Rollback(ctx))
	}
	if rng.IntN(2) == 0 {
		return inner.Rollback(ctx)
	}
	return inner.Commit(ctx)
}

// alter adds a column, writes to one or drops one. No name comes twice: a row that was told with a column that was dropped
// isn't told anew when another of the name comes.
func alter(ctx context.Context, tx pgx.Tx, table string, rng *rand.Rand) error {
	if _, err := tx.Exec(ctx, `set local lock_timeout = '200ms'`); err != nil {
		return err
	}
	var column string
	err := tx.QueryRow(ctx, `select attname from pg_attribute where attrelid = $1::text::regclass and attname like 'extra%' and not attisdropped limit 1`, table).Scan(&column)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	sql := fmt.Sprintf(`alter table %s add column extra%d int`, table, rng.Uint64())
	switch {
	case column == "":
	case rng.IntN(3) == 0:
		sql = fmt.Sprintf(`alter table %s drop column %s`, table, column)
	default:
		sql = fmt.Sprintf(`update %s set %s = %d where id %% 5 = %d`, table, column, rng.IntN(1000), rng.IntN(5))
	}
	_, err = tx.Exec(ctx, sql)
	return err
}
