package wal

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/ddl"
	"datawatch/pkg/testrig/model"
)

// TestDDLModelStreamsHaveWhatTheirTablesHave: several sessions make, alter, swap and drop tables and partitions, and write to them, while the
// collector is stopped at random. In the end each stream has the rows of its table, or a gap, and by a snapshot that replaces all exactly these.
func TestDDLModelStreamsHaveWhatTheirTablesHave(t *testing.T) {
	t.Parallel()
	for name, followed := range map[string]bool{"with event triggers": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			role := r.role("_ddl", "")
			for _, sql := range ddl.Setup(role) {
				r.exec(sql)
			}
			if !followed {
				r.exec(fmt.Sprintf(`do $$ begin execute format('grant create on database %%I to %[1]s', current_database()); end $$; grant create on schema public to %[1]s; set role %[1]s`, role))
				r.config.InstallDSN = r.as(role)
			}
			r.config.Tables, r.config.Exclude, r.config.SnapshotRate = append([]string{"public.*"}, ddl.Tables...), ddl.Exclude, 0
			r.install()
			(&ddl.Fuzz{DB: r.db, WAL: true, Refuses: !followed}).Hold(t, ddl.Source{
				Session: func() *pgx.Conn {
					db := r.session()
					if _, err := db.Exec(t.Context(), `set role `+role); err != nil {
						t.Fatal(err)
					}
					return db
				},
				RunFor: func(d time.Duration) {
					ctx, cancel := context.WithTimeout(t.Context(), d)
					defer cancel()
					if err := r.source().Run(ctx, r.progress(), r.emit); ctx.Err() == nil {
						t.Fatalf("run ended with %v", err)
					}
				},
				Settled: r.settled,
				Replaced: func() []model.Change {
					id := r.askReplacing("")
					stop := r.start()
					if problems := r.awaitEnded(id).Problems(); len(problems) > 0 {
						t.Errorf("left out of the snapshot: %q", problems)
					}
					_ = stop()
					return changes(t, r.captured())
				},
			}, testrig.Soak()/3)
		})
	}
}

// settled is what was captured when all is read, two looks were compared, since statistics are told late, and no snapshot is under way.
func (r *rig) settled() []model.Change {
	r.t.Helper()
	stop := r.start()
	r.compared()
	r.compared()
	r.exec(`create table if not exists last (id serial primary key)`)
	r.awaitKnown("last")
	var key string
	if err := r.db.QueryRow(r.t.Context(), `insert into last default values returning '{"id":' || id || '}'`).Scan(&key); err != nil {
		r.t.Fatal(err)
	}
	r.awaitLast(func(e event.Raw) bool { return e.Stream.Entity() == "public.last" && string(e.Key) == key })
	_ = stop()
	return changes(r.t, r.captured())
}
