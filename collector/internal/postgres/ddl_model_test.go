package postgres

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/ddl"
	"datawatch/pkg/testrig/model"
)

// TestDDLModelStreamsHaveWhatTheirTablesHave: several sessions make, alter, swap and drop tables and partitions, and write to them, while the
// collector is stopped at random. In the end each stream has the rows of its table, or a gap, and by a snapshot that replaces all exactly these.
func TestDDLModelStreamsHaveWhatTheirTablesHave(t *testing.T) {
	t.Parallel()
	for name, followed := range map[string]bool{"with an event trigger": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			role := fmt.Sprintf("dw_ddl_%t", followed)
			r.role(role)
			for _, sql := range ddl.Setup(role) {
				r.exec(sql)
			}
			r.unfollowed = !followed
			r.config.Tables, r.config.Exclude, r.config.SnapshotRate = append([]string{"public.*"}, ddl.Tables...), ddl.Exclude, 0
			r.install()
			fuzz := &ddl.Fuzz{DB: r.db}
			if !followed {
				r.exec(capturedSQL)
				fuzz.Captured = `s1.captured`
			}
			fuzz.Hold(t, ddl.Source{
				Session: func() *pgx.Conn {
					db := r.session()
					r.run(db, `set role `+role)
					return db
				},
				RunFor:  r.runFor,
				Settled: func() []model.Change { return changes(t, r.drained()) },
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

// capturedSQL makes a function that tells, whoever asks, whether a relation and all that is below it are captured as they are, or not at all,
// and nothing else by its name.
const capturedSQL = `create function s1.captured(relation oid) returns boolean language sql security definer as $$ select not exists (
	select from (select relid from pg_partition_tree(relation) union select relation) d where not exists (
		select from pg_trigger t join pg_proc p on p.oid = t.tgfoid join datawatch.shapes s on s.id = ` + shapeOfSQL + `
		where t.tgrelid = d.relid and t.tgname = '_datawatch_insert' and s.shape = (select n.shape from datawatch.shape_now(d.relid) n))
	and (exists (select from pg_trigger t where t.tgrelid = d.relid and t.tgname = '_datawatch_insert')  or exists (select from pg_inherits i where i.inhrelid = d.relid)))
	and not exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join pg_trigger t join pg_proc p on p.oid = t.tgfoid join datawatch.shapes s on s.id = ` + shapeOfSQL + `
		where c.oid = relation and t.tgname = '_datawatch_insert' and (s.shape ->> 'root_schema', s.shape ->> 'root_table') = (n.nspname, c.relname)
		and coalesce(pg_partition_root(t.tgrelid)::oid, t.tgrelid) <> c.oid) $$`
