package wal

import (
	"bytes"
	"slices"
	"testing"
)

// onlyKey is said of an old row of which only the key comes.
const onlyKey = ` incomplete {"before":"unavailable"}`

// TestATableWithAnotherKeyIsToldAnew, by capture from the WAL: at the first row that is told by it, also where the collector was away meanwhile.
func TestATableWithAnotherKeyIsToldAnew(t *testing.T) {
	again := []string{"truncate - reason key", "gap key_changed"}
	for name, c := range map[string]struct {
		sql  []string
		want []string
	}{
		"another column": {[]string{`alter table t drop constraint t_pkey, add primary key (id, n)`, `insert into t values (2, 8)`},
			append(slices.Clone(again), `insert {"id":2,"n":8} after {"id":2,"n":8}`)},
		"another name":        {[]string{`alter table t rename id to ident`, `delete from t`}, append(slices.Clone(again), `delete {"ident":1} before {"ident":1}`+onlyKey)},
		"an index":            {[]string{`alter table t replica identity using index other`, `update t set n = 8`}, append(slices.Clone(again), `delete {"n":7} before {"n":7} after {"id":1,"n":8} moved_to`+onlyKey)},
		"text in its place":   {[]string{`alter table t alter column id type text`, `delete from t`}, append(slices.Clone(again), `delete {"id":"1"} before {"id":"1"}`+onlyKey)},
		"another type":        {[]string{`alter table t alter column id type bigint`, `delete from t`}, []string{`delete {"id":1} before {"id":1}` + onlyKey}},
		"old rows come whole": {[]string{`alter table t replica identity full`, `delete from t`}, []string{`delete {"id":1} before {"id":1,"n":7}`}},
	} {
		for _, away := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", away"}[away], func(t *testing.T) {
				r := newRig(t, `create table t (id int primary key, n int not null, constraint other unique (n))`)
				r.install()
				stop := r.start()
				r.exec(`insert into t values (1, 7)`)
				r.await(1)
				if away {
					_ = stop()
				}
				for _, sql := range c.sql {
					r.exec(sql)
				}
				if away {
					stop = r.start()
				}
				r.await(1 + len(c.want))
				_ = stop()
				got := r.of("public.t")
				want := append([]string{`insert {"id":1} after {"id":1,"n":7}`}, c.want...)
				if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
					t.Errorf("%q", got)
				}
			})
		}
	}
}

// TestATreeWithAnotherKeyIsToldAnew, once, and partitions with keys of their own are told by these.
func TestATreeWithAnotherKeyIsToldAnew(t *testing.T) {
	r := newRig(t, `create table p (id int, n int not null, primary key (id)) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`,
		`create table p_2 partition of p for values from (10) to (20)`,
		`create table q (id int not null, n int not null) partition by range (id)`, `create table q_1 partition of q (primary key (id)) for values from (0) to (10)`,
		`create table q_2 partition of q (primary key (n)) for values from (10) to (20)`)
	r.install()
	stop := r.start()
	r.exec(`insert into p values (1, 1), (11, 1); insert into q values (1, 1), (11, 2)`)
	r.await(4)
	r.exec(`alter table p drop constraint p_pkey, add primary key (id, n)`)
	r.exec(`delete from p; delete from q; insert into q values (2, 3), (12, 4)`)
	r.await(12)
	_ = stop()
	r.expectOf("public.p", `insert {"id":1} after {"id":1,"n":1}`, `insert {"id":11} after {"id":11,"n":1}`, "truncate - reason key", "gap key_changed",
		`delete {"id":1,"n":1} before {"id":1,"n":1}`+onlyKey, `delete {"id":11,"n":1} before {"id":11,"n":1}`+onlyKey)
	r.expectOf("public.q", `insert {"id":1} after {"id":1,"n":1}`, `insert {"n":2} after {"id":11,"n":2}`, `delete {"id":1} before {"id":1}`+onlyKey, `delete {"n":2} before {"n":2}`+onlyKey,
		`insert {"id":2} after {"id":2,"n":3}`, `insert {"n":4} after {"id":12,"n":4}`)
}

// TestASnapshotOfATableWithAnotherKeyIsToldBehindItsEnd, though nothing was written by it yet.
func TestASnapshotOfATableWithAnotherKeyIsToldBehindItsEnd(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, n int not null)`)
	r.install()
	stop := r.start()
	r.exec(`insert into t values (1, 7)`)
	r.await(1)
	r.exec(`alter table t rename id to ident`)
	_ = stop()
	r.ask("")
	stop = r.start()
	r.await(4)
	r.exec(`delete from t`)
	r.await(5)
	_ = stop()
	r.expectOf("public.t", `insert {"id":1} after {"id":1,"n":7}`, "truncate - reason key", "gap key_changed", `read {"ident":1} after {"ident":1,"n":7}`, `delete {"ident":1} before {"ident":1}`+onlyKey)
}

// TestQuotedIdentifiersAreNoOtherKey: where the database has quote_all_identifiers, types have quotes, too, but they are the same.
func TestQuotedIdentifiersAreNoOtherKey(t *testing.T) {
	r := newRig(t, `create table t (at date primary key)`)
	r.install()
	stop := r.start()
	r.exec(`insert into t values ('2026-01-01')`)
	r.await(1)
	_ = stop()
	r.exec(`do $$ begin execute format('alter database %I set quote_all_identifiers = on', current_database()); end $$`)
	stop = r.start()
	r.exec(`delete from t`)
	r.await(2)
	_ = stop()
	for name, value := range r.committed { // as an earlier program had it then
		r.committed[name] = bytes.ReplaceAll(value, []byte(`"at date"`), []byte(`"at \"date\""`))
	}
	stop = r.start()
	r.exec(`insert into t values ('2026-01-02')`)
	r.await(3)
	_ = stop()
	r.expectOf("public.t", `insert {"at":"2026-01-01"} after {"at":"2026-01-01"}`, `delete {"at":"2026-01-01"} before {"at":"2026-01-01"}`+onlyKey,
		`insert {"at":"2026-01-02"} after {"at":"2026-01-02"}`)
}
