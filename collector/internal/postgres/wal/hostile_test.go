package wal

import (
	"fmt"
	"strings"
	"testing"
)

// TestNobodysCodeRunsInTheReadersSession: a value is printed by the functions of its base type, which a superuser made, and not by what
// the owner of a domain over it has checked.
func TestNobodysCodeRunsInTheReadersSession(t *testing.T) {
	r := newRig(t, `create extension hstore`, `create table spy (ran_as text)`,
		`create function checked(hstore) returns boolean language plpgsql as $$ begin insert into public.spy values (current_setting('application_name')); return true; end $$`,
		`create domain tags as hstore check (checked(value))`, `create domain more as tags check (checked(value))`, `create type pair as (a tags, b int)`,
		`create table t (id int primary key, v tags, w more, p pair, l tags[])`)
	r.config.Exclude = []string{"public.spy"}
	r.install()
	r.exec(`insert into t values (1, 'a=>1', 'b=>2', row('c=>3', 1), array['d=>4'::tags])`)
	expect(t, r.wait(1), `public.t insert {"id":1} after {"id":1,"v":{"a": "1"},"w":{"b": "2"},"p":{"a":{"c": "3"},"b":1},"l":[{"d": "4"}]}`)
	var ran int
	if err := r.db.QueryRow(t.Context(), `select count(*) from spy where ran_as = $1`, applicationName).Scan(&ran); err != nil || ran > 0 {
		t.Errorf("the domains' function ran %d times in the reader's session, %v", ran, err)
	}
}

// TestATypeThatIsNamedLikeAnotherIsPrintedAsItsText.
func TestATypeThatIsNamedLikeAnotherIsPrintedAsItsText(t *testing.T) {
	const forged = `1,"x":{}},"op":"9`
	for _, name := range []string{"json", "jsonb", "numeric", "timestamp", "timestamptz"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, fmt.Sprintf(`create type public.%[1]s as enum ('%[2]s', 'a "b'); create table t (id int primary key, v public.%[1]s)`, name, forged),
				`create schema s; create type s.json as range (subtype = text); create table u (id int primary key, v s.json)`)
			r.install()
			r.exec(`insert into t values (1, '` + forged + `'), (2, 'a "b'); insert into u values (1, '[a,b)')`)
			expect(t, r.wait(3), `public.t insert {"id":1} after {"id":1,"v":"1,\"x\":{}},\"op\":\"9"}`, `public.t insert {"id":2} after {"id":2,"v":"a \"b"}`,
				`public.u insert {"id":1} after {"id":1,"v":"[a,b)"}`)
		})
	}
}

// TestATypeOfTypesWithoutEndIsText: each of these has two of the one before, so that what they are made of doubles.
func TestATypeOfTypesWithoutEndIsText(t *testing.T) {
	r := newRig(t, `create type c0 as (a int)`)
	for i := range 17 {
		r.exec(fmt.Sprintf(`create type c%d as (a c%d, b c%d)`, i+1, i, i))
	}
	r.exec(`create table t (id int primary key, v c17, w c1, x c17[])`)
	r.install()
	r.exec(`insert into t values (1, null, row(row(1), row(2)), null), (2, row(null, null), null, array[row(null, null)::c17])`)
	expect(t, r.wait(2), `public.t insert {"id":1} after {"id":1,"v":null,"w":{"a":{"a":1},"b":{"a":2}},"x":null}`,
		`public.t insert {"id":2} after {"id":2,"v":"(,)","w":null,"x":"{\"(,)\"}"}`)
	if kb := len(strings.Join(briefs(t, r.captured()), "")) >> 10; kb > 64 {
		t.Errorf("%d kB of events", kb)
	}
}
