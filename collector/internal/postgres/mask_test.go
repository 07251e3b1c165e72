package postgres

import (
	"path"
	"slices"
	"testing"

	"datawatch/pkg/event"
)

// TestAColumnThatIsHiddenAndComesLaterNeverEntersTheOutbox: without an event trigger, what writes to an altered table looks for itself.
func TestAColumnThatIsHiddenAndComesLaterNeverEntersTheOutbox(t *testing.T) {
	for _, follow := range []bool{true, false} {
		r := newRig(t, `create table late (id int primary key, v text)`, `create table renamed (id int primary key, v text)`, `create table anew (id int primary key, password_hash text)`,
			`create table tree (id int primary key, v text) partition by list (id); create table leaf partition of tree default`)
		r.opts.Mask = append(r.opts.Mask, maskOf("shop-db/public.*", "drop", "password_hash"))
		r.unfollowed = !follow
		r.install()
		r.exec(`alter table late add password_hash text; insert into late values (1, 'a', 'hush'); insert into late values (2, 'a', 'hush'), (3, 'b', 'hush')`)
		r.exec(`alter table late add more text; insert into late values (4, 'a', 'hush', 'm'); insert into late values (5, 'a', 'hush', 'm'), (6, 'b', 'hush', 'm')`)
		r.exec(`alter table renamed rename v to password_hash; insert into renamed values (1, 'hush')`)
		r.exec(`alter table anew drop password_hash, add password_hash text; insert into anew values (1, 'hush')`)
		r.exec(`alter table tree add password_hash text; insert into tree values (1, 'a', 'hush'), (2, 'a', 'hush'); insert into leaf values (3, 'a', 'hush'); truncate leaf`)
		for _, table := range r.hushed() {
			t.Errorf("follow %v: in the outbox: %s", follow, table)
		}
		expect(t, r.drained(),
			`public.late insert {"id":1} after {"id":1,"v":"a"}`,
			`public.late insert {"id":2} after {"id":2,"v":"a"}`,
			`public.late insert {"id":3} after {"id":3,"v":"b"}`,
			`public.late insert {"id":4} after {"id":4,"v":"a","more":"m"}`,
			`public.late insert {"id":5} after {"id":5,"v":"a","more":"m"}`,
			`public.late insert {"id":6} after {"id":6,"v":"b","more":"m"}`,
			`public.renamed insert {"id":1} after {"id":1}`,
			`public.anew insert {"id":1} after {"id":1}`,
			`public.tree insert {"id":1} after {"id":1,"v":"a"}`,
			`public.tree insert {"id":2} after {"id":2,"v":"a"}`,
			`public.tree insert {"id":3} after {"id":3,"v":"a"}`,
			`public.tree delete {"id":1} before {"id":1,"v":"a"}`,
			`public.tree delete {"id":2} before {"id":2,"v":"a"}`,
			`public.tree delete {"id":3} before {"id":3,"v":"a"}`)
		if status, err := r.source().Status(t.Context()); err != nil || !status.Complete {
			t.Errorf("follow %v: status %+v, %v", follow, status, err)
		}
	}
}

// TestAColumnThatIsHiddenByATablesNewNameNeverEntersTheOutbox, nor by its new root's, nor one that the key no longer has.
func TestAColumnThatIsHiddenByATablesNewNameNeverEntersTheOutbox(t *testing.T) {
	r := newRig(t, `create table draft (id int primary key, password_hash text)`, `create table keyed (id int, password_hash text, primary key (id, password_hash))`,
		`create table users (id int primary key, password_hash text) partition by list (id); create table alone (id int primary key, password_hash text)`)
	for _, stream := range []string{"shop-db/public.account?", "shop-db/public.use[q-s]s", "shop-db/public.keyed"} {
		r.opts.Mask = append(r.opts.Mask, maskOf(stream, "drop", "password_hash"))
	}
	r.install()
	r.exec(`alter table draft rename to accounts; insert into accounts values (1, 'hush'); insert into accounts values (2, 'hush'), (3, 'hush')`)
	r.exec(`alter table keyed drop constraint keyed_pkey; insert into keyed values (1, 'hush')`)
	r.exec(`alter table users attach partition alone default; insert into alone values (1, 'hush'); insert into users values (2, 'hush')`)
	for _, table := range r.hushed() {
		t.Errorf("in the outbox: %s", table)
	}
}

// TestAMaskIsInstalledAsAnythingElse: status and plan tell of one that the configuration has and the database doesn't.
func TestAMaskIsInstalledAsAnythingElse(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.install()
	r.opts.Mask = append(r.opts.Mask, maskOf("shop-db/*", "drop", "password_hash"))
	if status, err := r.source().Status(t.Context()); err != nil || status.Complete {
		t.Errorf("status %+v, %v", status, err)
	}
	steps, err := r.source().Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		r.exec(s.SQL)
	}
	if status, err := r.source().Status(t.Context()); err != nil || !status.Complete {
		t.Errorf("status %+v, %v", status, err)
	}
}

func TestTheDatabaseTakesMasksAsTheConfigurationDoes(t *testing.T) {
	r := newRig(t, `set standard_conforming_strings = off`)
	globs := []string{"shop-db/*", "shop-db/public.*", "*/public.t", "shop-db/public.?", "shop-db/public.[a-t]", "shop-db/public.[^a-t]", `shop-db/public.[\]\-$_x]`, `shop-db/public.\t`, "shop-db/public.%C3%A9*", "shop-db/*.*%2E*",
		"shop-db/public.(t|u)+", "shop-db/public.[éa]", "*", "shop-db/public.$body$", "shop-db/public.'t", "shop-db/public.t\n"}
	tables := []string{"t", "u", "x", "_", "-", "T", "é", "a.b", "$body$", "'t", "t\n", `\t`, "a/b", "(t|u)+", "]"}
	fields := map[string]string{}
	for i, glob := range globs {
		fields[glob] = []string{"v", `"`, "'", `\`, "$body$", "{{source}}"}[i%6] + glob
		r.opts.Mask = append(r.opts.Mask, maskOf(glob, "drop", fields[glob]), maskOf(glob, "hash", "other"))
	}
	r.install()
	for _, table := range tables {
		var want, got []string
		for _, glob := range globs {
			if matches, err := path.Match(glob, string(event.StreamOf("shop-db", event.TableEntity("public", table)))); err != nil {
				t.Fatal(err)
			} else if matches {
				want = append(want, fields[glob])
			}
		}
		if err := r.db.QueryRow(t.Context(), `select datawatch.masked('public', $1)`, table).Scan(&got); err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", table, got, want)
		}
	}
}

// hushed are the tables that have packs with the word hush, in whatever form.
func (r *rig) hushed() (tables []string) {
	r.t.Helper()
	err := r.db.QueryRow(r.t.Context(), `select coalesce(array_agg(distinct s.shape ->> 'table'), '{}') from datawatch.packs p join datawatch.shapes s on s.id = p.shape
		where strpos(to_jsonb(p)::text, 'hush') > 0 or strpos(to_jsonb(p)::text, encode('hush', 'hex')) > 0`).Scan(&tables)
	if err != nil {
		r.t.Fatal(err)
	}
	return tables
}
