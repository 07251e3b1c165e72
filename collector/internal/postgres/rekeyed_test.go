package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestATableWithAnotherKeyIsToldAnew: by what comes nobody could change or delete what was told by the old key. With an event trigger it is
// told in its place, without one when the collector looks.
func TestATableWithAnotherKeyIsToldAnew(t *testing.T) {
	told := []string{`public.t insert {"id":1} after {"id":1,"n":7}`}
	again := []string{`public.t truncate - key`, `public.t gap key_changed`}
	const update = `update t set n = 8`
	for name, c := range map[string]struct {
		sql  []string
		want []string
	}{
		"another column": {[]string{`alter table t drop constraint t_pkey, add primary key (n, id)`, update}, append(slices.Clone(again),
			`public.t delete {"id":1,"n":7} before {"id":1,"n":7} after {"id":1,"n":8} moved_to`, `public.t insert {"id":1,"n":8} before {"id":1,"n":7} after {"id":1,"n":8} moved_from`)},
		"another name": {[]string{`alter table t rename id to ident`, update}, append(slices.Clone(again),
			`public.t update {"ident":1} before {"ident":1,"n":7} after {"ident":1,"n":8}`)},
		"none":                           {[]string{`alter table t drop constraint t_pkey`, update}, append(slices.Clone(again), `public.t update - before {"id":1,"n":7} after {"id":1,"n":8}`)},
		"a type of another size":         {[]string{`alter table t alter column id type bigint`, update}, []string{`public.t update {"id":1} before {"id":1,"n":7} after {"id":1,"n":8}`}},
		"another name of the constraint": {[]string{`alter table t rename constraint t_pkey to other`, update}, []string{`public.t update {"id":1} before {"id":1,"n":7} after {"id":1,"n":8}`}},
		"another order": {[]string{`alter table t drop constraint t_pkey, add primary key (n, id)`, `alter table t drop constraint t_pkey, add primary key (id, n)`, `delete from t`},
			append(slices.Clone(again), `public.t delete {"id":1,"n":7} before {"id":1,"n":7}`)},
		"text in place of a number": {[]string{`alter table t alter column id type text`, update}, append(slices.Clone(again), `public.t update {"id":"1"} before {"id":"1","n":7} after {"id":"1","n":8}`)},
		"without a row":             {[]string{`truncate t`, `alter table t rename id to ident`, `insert into t values (2, 2)`}, []string{`public.t truncate -`, `public.t insert {"ident":2} after {"ident":2,"n":2}`}},
	} {
		for _, followed := range []bool{true, false} {
			t.Run(name+map[bool]string{true: "", false: ", without an event trigger"}[followed], func(t *testing.T) {
				t.Parallel() // it waits most of its time
				r := newRig(t, `create table t (id int primary key, n int not null)`)
				r.unfollowed = !followed
				r.install()
				r.exec(`insert into t values (1, 7)`)
				for i, sql := range c.sql {
					if i == len(c.sql)-1 && !followed {
						r.install()
					}
					r.exec(sql)
				}
				want := append(slices.Clone(told), c.want...)
				expect(t, r.wait(len(want)), want...)
			})
		}
	}
}

// TestATreeWithAnotherKeyIsToldAnew, once: it is one stream.
func TestATreeWithAnotherKeyIsToldAnew(t *testing.T) {
	r := newRig(t, `create table p (id int, n int not null, primary key (id)) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`,
		`create table p_2 partition of p for values from (10) to (20)`, `create table p_3 partition of p for values from (20) to (30)`)
	r.install()
	r.exec(`insert into p values (1, 1), (11, 1)`)
	r.exec(`alter table p drop constraint p_pkey, add primary key (id, n)`)
	r.exec(`delete from p`)
	got := r.wait(7)
	expect(t, got, `public.p insert {"id":1} after {"id":1,"n":1}`, `public.p insert {"id":11} after {"id":11,"n":1}`,
		`public.p truncate - key`, `public.p gap key_changed`, `public.p gap key_changed`,
		`public.p delete {"id":1,"n":1} before {"id":1,"n":1}`, `public.p delete {"id":11,"n":1} before {"id":11,"n":1}`)
}

// TestAnotherKeyOfATreeBeginsItsStreamBehindItsEnd, also where partitions come before the root by their names.
func TestAnotherKeyOfATreeBeginsItsStreamBehindItsEnd(t *testing.T) {
	r := newRig(t, `create table t (id int primary key) partition by range (id)`, `create table p partition of t for values from (0) to (10)`)
	r.unfollowed = true
	r.install()
	r.exec(`insert into t values (1)`)
	r.exec(`alter table t rename id to k`)
	r.install()
	expect(t, r.drained(), `public.t insert {"id":1} after {"id":1}`, `public.t truncate - key`, `public.t gap key_changed`)
}

// TestQuotedIdentifiersAreNoOtherKey: with quote_all_identifiers types have quotes, too, but they are the same.
func TestQuotedIdentifiersAreNoOtherKey(t *testing.T) {
	const table = `create table u (id uuid, day date, primary key (id, day))`
	const id = `7f1e8e9a-0000-4000-8000-000000000001`
	on := func(r *rig) {
		r.exec(`alter database ` + pgx.Identifier{r.databaseName()}.Sanitize() + ` set quote_all_identifiers = on`)
		r.db = r.session()
	}
	for name, alter := range map[string]func(*rig){
		"in the session that alters it": func(r *rig) { r.exec(`set quote_all_identifiers = on; alter table u add y int`) },
		"in the database":               func(r *rig) { on(r); r.exec(`alter table u add y int`) },
		"in the database, without an event trigger": func(r *rig) {
			r.unfollowed = true
			r.exec(`drop event trigger datawatch_follow`)
			on(r)
			r.exec(`alter table u add y int`)
		},
		"in the database once": func(r *rig) {
			r.exec(`update datawatch.shapes set shape = regexp_replace(shape::text, '"type": "(uuid|date)"', '"type": "\"\1\""', 'g')::jsonb`)
			r.exec(`alter table u add y int`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, table)
			r.install()
			r.exec(`insert into u values ('` + id + `', '2026-01-01')`)
			r.wait(1)
			alter(r)
			r.exec(`update u set y = 7`)
			const key = `{"day":"2026-01-01","id":"` + id + `"}`
			const before = `{"id":"` + id + `","day":"2026-01-01"`
			events := r.drained()
			expect(t, events, `public.u insert `+key+` after `+before+`}`, `public.u update `+key+` before `+before+`,"y":null} after `+before+`,"y":7}`)
			if types := string(events[1].Value); !strings.Contains(types, `"type":"uuid"`) {
				t.Errorf("the types are those of %s", types)
			}
		})
	}
}

// TestDeferrableKeysAreNamed: rows that exchange them by several statements can't be told by them.
func TestDeferrableKeysAreNamed(t *testing.T) {
	r := newRig(t, `create table t (id int primary key deferrable)`, `create table p (id int primary key deferrable initially deferred) partition by range (id)`,
		`create table p_1 partition of p for values from (0) to (10)`, `create table u (id int primary key, v int unique deferrable)`)
	r.install()
	var found []string
	for _, f := range r.source().Check(t.Context()) {
		if strings.HasSuffix(f.What, " keys") {
			found = append(found, f.Detail)
		}
	}
	if len(found) != 1 || !strings.HasPrefix(found[0], "deferrable, of public.p, public.t: ") {
		t.Errorf("check tells %q", found)
	}
}
