package postgres

import (
	"maps"
	"strings"
	"testing"
)

// withoutMD5 has calls of it fail, as they do where OpenSSL is bound to what FIPS approves.
const withoutMD5 = `do $$ declare f regprocedure; begin
  for f in select oid from pg_proc where proname = 'md5' loop execute format('alter function %s rename to md5_that_fails', f); end loop;
end $$`

// TestAServerWithoutMD5 is captured: nothing needs it, be it the installation, the application's DDL, or rows of whatever kind.
func TestAServerWithoutMD5(t *testing.T) {
	r := newRig(t, `create domain amount as numeric`, `create type price as (n amount, currency text)`,
		`create table t (id int primary key, v text, of price)`, `create table p (id int primary key, v text) partition by range (id)`,
		`create table p_1 partition of p for values from (0) to (10)`, `create table late (id int primary key, v text)`,
		`insert into late values (20, 'attached')`, withoutMD5)
	r.install()
	r.exec(`insert into t values (1, 'a', row(1.5, 'EUR'))`)
	r.exec(`insert into t select g, 'b', row(g::numeric, 'EUR'::text)::price from generate_series(2, 300) g`)
	r.exec(`alter table t add column more jsonb; update t set more = '{"x": 1}' where id < 200`)
	r.exec(`alter event trigger datawatch_follow disable; alter table t add column again float8 default 1`)
	r.exec(`update t set v = 'without the event trigger' where id = 1`)
	r.exec(`alter event trigger datawatch_follow enable`)
	r.exec(`insert into p values (1, 'a'); alter table p attach partition late for values from (10) to (30); update p set v = 'b'`)
	want := map[string]int{"public.t insert": 300, "public.t update": 200, "public.p insert": 1, "public.p update": 2, "public.p read": 1, "public.late truncate": 1}
	got := map[string]int{}
	for _, e := range r.wait(505) {
		words := strings.Fields(brief(t, e))
		got[words[0]+" "+words[1]]++
	}
	if !maps.Equal(got, want) {
		t.Errorf("captured %v", got)
	}
	if n := r.number(`select count(*) from datawatch.unnoted where is_called`); n != 0 {
		t.Error("a statement wasn't captured")
	}
}
