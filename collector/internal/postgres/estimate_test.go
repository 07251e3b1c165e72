package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/config"
	"datawatch/pkg/testrig"
)

// estimated are tables of several shapes, with values of random digits, which compression leaves as long as they are.
func estimated() map[string]string {
	var wide []string
	for i := range 40 {
		wide = append(wide, fmt.Sprintf("n%d int default 7, v%d text default md5(random()::text), at%d timestamptz default now()", i, i, i))
	}
	return map[string]string{
		"narrow":  `create table %s (id int primary key, touched int default 0)`,
		"usual":   `create table %s (id int primary key, touched int default 0, ref uuid default gen_random_uuid(), total numeric(12,2) default random() * 1000, status text default 'paid', note text default md5(random()::text), doc jsonb default jsonb_build_object('a', md5(random()::text), 'n', random()), at timestamptz default now(), gone timestamptz)`,
		"wide":    `create table %s (id int primary key, touched int default 0, ` + strings.Join(wide, ", ") + `)`,
		"large":   `create table %s (id int primary key, touched int default 0, v text default (select_digits()))`,
		"as_json": `create table %s (id int primary key, touched int default 0, f float8 default random(), p point default point(random(), random()), v text default md5(random()::text), at timestamptz default now())`,
	}
}

// TestTheEstimateIsWhatTheOutboxTakes: within a factor of two, for rows in binary form and as JSON, narrow and wide ones, and
// whether statements change one row or many. For an installer who may not read the tables, and so sees no statistics of values, it
// is by what updates made of the tables' size: within a factor of three.
func TestTheEstimateIsWhatTheOutboxTakes(t *testing.T) {
	const before = 1000 // rows that the tables have when statistics begin
	r := newRig(t, `create function select_digits() returns text language sql volatile as $$ select string_agg(md5(random()::text), '') from generate_series(1, 200) $$`)
	name := func(shape string, rows int) string { return fmt.Sprintf("%s_%d", shape, rows) }
	for shape, ddl := range estimated() {
		for _, rows := range estimatedRows {
			// Autovacuum, should it come just then, leaves room in files, and their size is no longer that of rows.
			r.exec(fmt.Sprintf(ddl, name(shape, rows)) + fmt.Sprintf(`; alter table %s set (autovacuum_enabled = off, toast.autovacuum_enabled = off)`, name(shape, rows)))
			r.exec(fmt.Sprintf(`insert into %s select g from generate_series(1, %d) g; analyze %[1]s`, name(shape, rows), before))
		}
	}
	r.install()
	r.awaitCounted(`sum(n_tup_ins)`, int64(before*len(estimated())*len(estimatedRows)))
	r.exec(`select pg_stat_reset()`)
	const touch = `update %s set touched = random() * 1000000000`
	grown := map[string]float64{} // bytes a row
	var all int64
	for shape := range estimated() {
		for _, rows := range estimatedRows {
			r.exec(`truncate datawatch.outbox, datawatch.single_0, datawatch.single_1, datawatch.single_2`) // or packs would go where others left room in pages
			table, n, began := name(shape, rows), 0, r.number(outboxSQL)
			for from := 1; from < 300; from += rows {
				r.exec(fmt.Sprintf(`insert into %s select g from generate_series(%d, %d) g`, table, before+from, before+from+rows-1))
				for _, change := range []string{touch, touch, `delete from %s`} {
					r.exec(fmt.Sprintf(change+` where id between %d and %d`, table, from, from+rows-1))
				}
				n += 4 * rows
			}
			grown[table] = float64(r.number(outboxSQL)-began) / float64(n)
			all += int64(n)
		}
	}
	r.awaitCounted(`sum(n_tup_ins + n_tup_upd + n_tup_del)`, all)
	r.exec(`drop role if exists dw_test_estimate; create role dw_test_estimate login password 'x'; grant usage on schema datawatch to dw_test_estimate; grant select on datawatch.meta to dw_test_estimate`)
	t.Cleanup(func() {
		r.db = r.session0()
		_, _ = r.db.Exec(context.Background(), `drop owned by dw_test_estimate; drop role dw_test_estimate`)
	})
	for factor, installer := range map[float64]config.Secret{2: r.config.DSN, 3: r.as("dw_test_estimate", "x")} {
		r.config.InstallDSN = installer
		for shape := range estimated() {
			for _, rows := range estimatedRows {
				r.config.Tables = []string{"public." + name(shape, rows)}
				e, err := r.source().Estimate(t.Context())
				if err != nil || e.RowsPerHour == 0 {
					t.Fatalf("%+v, %v", e, err)
				}
				bytes := e.BytesPerHour
				if rows > 1 {
					bytes = e.BulkBytesPerHour
				}
				took, estimate := grown[name(shape, rows)], float64(bytes)/float64(e.RowsPerHour)
				t.Logf("%s: %.0f bytes a row, estimated %.0f", name(shape, rows), took, estimate)
				if estimate < took/factor || estimate > took*factor {
					t.Errorf("%s: the estimate is %.0f bytes a row, and the outbox took %.0f", name(shape, rows), estimate, took)
				}
			}
		}
	}
}

// estimatedRows are how many rows statements change.
var estimatedRows = []int{1, 1000}

// awaitCounted waits until the server's statistics of the tables have come, which is about a second behind.
func (r *rig) awaitCounted(what string, n int64) {
	r.t.Helper()
	testrig.Eventually(r.t, time.Minute, func() error {
		r.exec(`select`) // before 15, a session that does nothing keeps its last statistics to itself
		if counted := r.number(`select ` + what + `::bigint from pg_stat_user_tables where schemaname = 'public'`); counted != n {
			return fmt.Errorf("statistics have %d rows of %d", counted, n)
		}
		return nil
	})
}

// outboxSQL is how large the outbox is, with the tables of single rows.
const outboxSQL = `select sum(pg_total_relation_size(c.oid))::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'datawatch' and c.relname ~ '^(outbox|single)_'`
