package shop

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Job is the name of the program that makes the incident.
const Job = "nightly-job"

// Incident is a job that goes wrong in one transaction: it writes currencies and states of the newest orders in another
// case, and takes from every wallet more than there is. Mend is the job's author, who takes it back.
func (s *Shop) Incident(ctx context.Context) (mend func(context.Context) error, err error) {
	var orders []int64
	err = s.job(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `UPDATE orders SET currency = lower(currency), status = upper(status)
			WHERE id IN (SELECT id FROM orders ORDER BY id DESC LIMIT 8) RETURNING id`)
		if err != nil {
			return err
		}
		if orders, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE wallets SET balance = balance - 1000000`)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the job: %w", err)
	}
	return func(ctx context.Context) error {
		return s.job(ctx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE orders SET currency = upper(currency), status = lower(status) WHERE id = ANY($1)`, orders)
			if err == nil {
				_, err = tx.Exec(ctx, `UPDATE wallets SET balance = balance + 1000000`)
			}
			return err
		})
	}, nil
}

// job does work in a transaction, under the job's name.
func (s *Shop) job(ctx context.Context, work func(pgx.Tx) error) error {
	config, err := pgx.ParseConfig(s.options.DSN)
	if err != nil {
		return err
	}
	config.RuntimeParams["application_name"] = Job
	db, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	return pgx.BeginFunc(ctx, db, work)
}

// Incidents has the job go wrong when the shop has sold for a while, and mended after as long again; it returns when both
// are done, or ctx is. What fails is told, and the demo goes on.
func (s *Shop) Incidents(ctx context.Context, after time.Duration) {
	step := func(work func() error) bool {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(after):
		}
		if err := work(); err != nil {
			if ctx.Err() == nil {
				s.options.Log.Warn("no incident", "error", err)
			}
			return false
		}
		return true
	}
	var mend func(context.Context) error
	if step(func() (err error) { mend, err = s.Incident(ctx); return err }) {
		step(func() error { return mend(ctx) })
	}
}
