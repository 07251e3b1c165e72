package wal

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/collector/internal/postgres"
	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
	"datawatch/pkg/testrig"
)

type typeCase struct {
	sql    string
	values []string
}

// typeCases are types with values at their extremes; capture by triggers has to_json print them.
var typeCases = []typeCase{
	{"smallint", []string{"-32768"}}, {"bigint", []string{"-9223372036854775808", "9223372036854775807"}},
	{"numeric(38,18)", []string{"12345678901234567890.123456789012345678", "-0.000000000000000001"}},
	{"numeric", []string{"NaN", strings.Repeat("9", 200) + "." + strings.Repeat("1", 100), "1.10"}},
	{"real", []string{"3.4028235e+38", "NaN", "-Infinity"}}, {"float8", []string{"1.7976931348623157e+308", "5e-324", "0.1", "Infinity", "-0"}},
	{"money", []string{"-$92,233,720,368,547,758.08"}},
	{"text", []string{"", "tab\tquote\"back\\slash\nđồng 💸 \b\f\x01\x7f", "null", "{}"}},
	{"varchar(5)", []string{"abc"}}, {"char(5)", []string{"ab   "}}, {"name", []string{"n"}}, {`"char"`, []string{"x"}},
	{"bytea", []string{`\x00ff`, `\x`}}, {"boolean", []string{"true", "false"}},
	{"date", []string{"infinity", "2026-02-28", "0044-03-15 BC", "5874897-12-31"}},
	{"time", []string{"23:59:59.999999", "24:00:00"}}, {"timetz", []string{"23:59:59.999999+07"}},
	{"timestamp", []string{"2026-11-22 23:59:59.999999", "-infinity", "0044-03-15 01:02:03 BC", "294276-12-31 23:59:59"}},
	{"timestamptz", []string{"2026-11-22 23:59:59.999999+07", "infinity", "4713-01-01 00:00:00+00 BC", "294276-12-31 23:59:59+00"}},
	{"interval", []string{"-178000000 years", "1 mon 2 days 03:04:05.000006"}}, {"uuid", []string{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}},
	{"inet", []string{"192.168.0.1/24", "::1"}}, {"cidr", []string{"10.0.0.0/8"}}, {"macaddr", []string{"08:00:2b:01:02:03"}},
	{"bit(3)", []string{"101"}}, {"varbit", []string{"10101"}}, {"point", []string{"(1.5,-2)"}}, {"box", []string{"(1,1),(0,0)"}},
	{"tsvector", []string{"'a':1 'b':2"}}, {"xml", []string{"<a>1</a>"}}, {"oid", []string{"4294967295"}}, {"regclass", []string{"pg_class", "public.t00"}},
	{"json", []string{`{"a": 1.10,  "a": 12345678901234567890.123456789}`, `null`}},
	{"jsonb", []string{`{"a": 1.10, "b": [12345678901234567890.123456789]}`, `"x"`}},
	{"pg_lsn", []string{"16/B374D848"}}, {"int4range", []string{"[1,5)", "empty"}}, {"tstzrange", []string{"[2026-01-01 00:00+00,)"}},
	{"mood", []string{"sad"}}, {"amount", []string{"1.50"}}, {"hstore", []string{`a=>1, "b c"=>NULL, q=>"\""`}}, {"odd", []string{`(1,"a b")`}},
	{"pair", []string{"(1,x)", `(,"a ""b"" \\ c, (d) {e}")`, "(,)"}}, {"nested", []string{`("(1,x)","{""(2,y)"",NULL}","2026-11-22 00:00:00+00")`}},
	{"int[]", []string{"{{1,NULL},{3,4}}", "{}", "[2:3]={7,8}"}}, {"text[]", []string{`{"a,b",NULL,"NULL","","{}","\"\\"}`}},
	{"numeric[]", []string{"{1.10,NaN}"}}, {"mood[]", []string{"{sad,happy}"}}, {"pair[]", []string{`{"(1,x)",NULL}`}}, {"amount[]", []string{"{1.50}"}},
	{"box[]", []string{"{(1,1),(0,0);(2,2),(1,1)}"}}, {"timestamptz[]", []string{`{"2026-11-22 07:00:00.5+07",infinity}`}}, {"bool[]", []string{"{t,f}"}},
	{"jsonb[]", []string{`{"[1, 2]","{\"a\": 1}"}`}}, {"bytea[]", []string{`{"\\x00ff"}`}}, {"hstore[]", []string{`{"a=>1"}`}}, {"list", []string{"{1,2}"}},
	{"int", []string{"2147483647", "-2147483648"}}, {"macaddr8", []string{"08:00:2b:01:02:03:04:05"}}, {"line", []string{"{1,-1,0.1}"}}, {"lseg", []string{"[(1,2),(3,4.5)]"}},
	{"path", []string{"((1,1),(2,0.1))", "[(1,1),(2,0)]"}}, {"polygon", []string{"((0,0),(1,1),(2,0))"}}, {"circle", []string{"<(1,1),0.1>"}}, {"tsquery", []string{"'a' & !'b'"}},
	{"jsonpath", []string{`$."a"[*]?(@ > 1.10)`}}, {"xid", []string{"4294967295"}}, {"xid8", []string{"18446744073709551615"}}, {"cid", []string{"4294967295"}}, {"tid", []string{"(4294967295,65535)"}},
	{"pg_snapshot", []string{"10:20:10,14"}}, {"txid_snapshot", []string{"10:20:10,14"}}, {"refcursor", []string{"c"}}, {"aclitem", []string{"postgres=arwdDxt/postgres"}},
	{"regproc", []string{"pg_backend_pid"}}, {"regprocedure", []string{"abs(integer)"}}, {"regoper", []string{"|/"}}, {"regoperator", []string{"+(integer,integer)"}}, {"regrole", []string{"postgres"}},
	{"regtype", []string{"integer"}}, {"regnamespace", []string{"pg_catalog"}}, {"regconfig", []string{"english"}}, {"regdictionary", []string{"english_stem"}}, {"regcollation", []string{`"C"`}},
	{"int8range", []string{"[-9223372036854775808,9223372036854775807)"}}, {"numrange", []string{"(0.10,12345678901234567890.123456789]"}}, {"daterange", []string{"[2026-01-01,infinity)"}},
	{"tsrange", []string{`["2026-01-01 00:00:00.000001",)`}}, {"int4multirange", []string{"{[1,5),[7,8)}"}}, {"int8multirange", []string{"{[1,5)}"}}, {"nummultirange", []string{"{[1.10,2.20]}"}},
	{"datemultirange", []string{"{[2026-01-01,2026-02-01)}"}}, {"tsmultirange", []string{`{["2026-01-01 00:00:00","2026-02-01 00:00:00.5")}`}}, {"tstzmultirange", []string{`{["2026-01-01 00:00:00+00","2026-02-01 00:00:00.5+00")}`}},
	{"point[]", []string{`{"(1.5,-2)"}`}}, {"int4range[]", []string{`{"[1,5)",empty}`}}, {"uuid[]", []string{"{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"}}, {"interval[]", []string{`{"1 mon",-00:00:01}`}},
	{"int2vector", []string{"1 2 3"}}, {"oidvector", []string{"4294967295 1", ""}},
}

// exemplar is what a clean event says, but for where and when it was captured and what the WAL doesn't tell.
func exemplar(t *testing.T, e event.Raw) string {
	t.Helper()
	cleaned, err := normalize.New(normalize.Options{}).Events(t.Context(), &e)
	if err != nil {
		t.Fatalf("%s: %v", e.Value, err)
	}
	if len(cleaned) != 1 {
		t.Fatalf("%d events", len(cleaned))
	}
	c := cleaned[0]
	c.ID, c.Time, c.Stream = "", "", event.StreamOf("shop-db", c.Stream.Entity())
	c.Change.Origin.Position, c.Change.Origin.Actor, c.Change.CapturedAt = "", nil, time.Time{}
	return string(c.AppendJSON(nil))
}

// TestBothWaysOfCaptureGiveTheSameEvents has the same statements captured by triggers and from the WAL.
func TestBothWaysOfCaptureGiveTheSameEvents(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) { bothWays(t, databaseOn(t, version)) })
	}
}

func bothWays(t *testing.T, dsn string) {
	r := newRigOn(t, dsn, `create extension hstore; create type mood as enum ('sad', 'happy'); create domain amount as numeric(10,2); create domain list as int[]`,
		`create function cheer(mood) returns json language sql as $$ select '"never printed"'::json $$; create cast (mood as json) with function cheer(mood)`,
		`create type pair as (a int, b text); create type odd as ("n ""x" int, "a b" text); create type nested as (p pair, q pair[], at timestamptz)`)
	var columns []string
	cases := slices.Clone(typeCases)
	if r.version() < 140000 { // with which multiranges came
		cases = slices.DeleteFunc(cases, func(c typeCase) bool { return strings.HasSuffix(c.sql, "multirange") })
	}
	for i, c := range cases {
		r.exec(fmt.Sprintf(`create table t%02d (id int primary key, v %s, other %s); alter table t%02d replica identity full`, i, c.sql, c.sql, i))
		columns = append(columns, c.sql)
	}
	r.exec(`create table moves (a int, b text, c int, primary key (b, a)); alter table moves replica identity full`)
	triggers := r.config
	triggers.Capture = "triggers"
	other := &rig{t: t, dsn: dsn, db: r.db, config: r.config, committed: source.Progress{}}
	byTriggers := postgres.New("shop-db", triggers, postgres.Options{})
	if err := byTriggers.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.install()
	for i, c := range cases {
		for k, v := range c.values {
			v = strings.ReplaceAll(v, "'", "''")
			r.exec(fmt.Sprintf(`insert into t%02d values (%d, '%s'::text::%s, null)`, i, k, v, c.sql))
			r.exec(fmt.Sprintf(`update t%02d set other = v where id = %d`, i, k))
		}
		r.exec(fmt.Sprintf(`delete from t%02d where id = 0`, i))
	}
	r.exec(`insert into moves values (1, 'x', 1); update moves set b = 'y'; update moves set c = 2; truncate moves`)
	stop := startOther(t, byTriggers, other)
	testrig.Eventually(t, 30*time.Second, func() error {
		if events := other.captured(); len(events) == 0 || rowChange(t, events[len(events)-1]).Op != event.Truncate {
			return fmt.Errorf("%d events by triggers", len(events))
		}
		return nil
	})
	stop()
	want := other.captured()
	got := r.wait(len(want))
	for i, e := range got {
		w, g := exemplar(t, want[i]), exemplar(t, e)
		if w != g {
			t.Errorf("from the WAL\n\t%s\nby triggers\n\t%s", g, w)
		}
		if e.Stream.Entity() != want[i].Stream.Entity() {
			t.Fatalf("event %d is of %s, not %s", i, e.Stream, want[i].Stream)
		}
	}
	if !slices.Contains(columns, "numeric") || len(got) < 2*len(cases) {
		t.Errorf("%d events", len(got))
	}
}
