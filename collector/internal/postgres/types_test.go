package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

type typeCase struct {
	sql, base string
	values    []string
	json      []string // where it isn't the text
}

// typeCases are all of PostgreSQL's types, and some of its users, with the base that the shape tells and values at their extremes. The payload's value, without the
// quotes of a JSON string, is PostgreSQL's own text, except where json says how.
var typeCases = []typeCase{
	{"smallint", "int2", []string{"-32768", "32767"}, nil},
	{"int", "int4", []string{"-2147483648", "2147483647"}, nil},
	{"bigint", "int8", []string{"-9223372036854775808", "9223372036854775807"}, nil},
	{"numeric(38,18)", "numeric", []string{"12345678901234567890.123456789012345678", "-0.000000000000000001"}, nil},
	{"numeric", "numeric", []string{"NaN", strings.Repeat("9", 200) + "." + strings.Repeat("1", 100), "1.10", "-" + strings.Repeat("9", 131068), "0." + strings.Repeat("0", 16382) + "1", "0.000"}, nil},
	{"numeric", "numeric", []string{"Infinity", "-Infinity"}, nil},
	{"real", "float4", []string{"3.4028235e+38", "-3.4028235e+38", "1e-45", "-0", "NaN", "-Infinity"}, nil},
	{"float8", "float8", []string{"1.7976931348623157e+308", "-1.7976931348623157e+308", "5e-324", "-0", "0.1", "NaN", "Infinity"}, nil},
	{"money", "money", []string{"-$92,233,720,368,547,758.08", "$92,233,720,368,547,758.07"}, nil},
	{"text", "text", []string{"", "tab\tquote\"back\\slash\nđồng 💸"}, nil},
	{"varchar(5)", "varchar", []string{"abc"}, nil},
	{"char(5)", "bpchar", []string{"ab   "}, nil},
	{"name", "name", []string{"n"}, nil},
	{"bytea", "bytea", []string{`\x00ff`, `\x`}, nil},
	{"boolean", "bool", []string{"true", "false"}, []string{"true", "false"}},
	{"date", "date", []string{"infinity", "-infinity", "2026-02-28", "4713-11-24 BC", "5874897-12-31"}, nil},
	{"time", "time", []string{"00:00:00", "23:59:59.999999", "24:00:00"}, nil},
	{"timetz", "timetz", []string{"23:59:59.999999+07", "00:00:00+15:59:59", "24:00:00-15:59:59"}, nil},
	{"timestamp", "timestamp", []string{"2026-11-22 23:59:59.999999", "-infinity", "294276-12-31 23:59:59.999999", "4713-11-24 00:00:00 BC"},
		[]string{"2026-11-22T23:59:59.999999", "-infinity", "294276-12-31T23:59:59.999999", "4713-11-24T00:00:00 BC"}},
	{"timestamptz", "timestamptz", []string{"2026-11-22 23:59:59.999999+07", "infinity", "4713-11-24 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00"},
		[]string{"2026-11-22T16:59:59.999999+00:00", "infinity", "4713-11-24T00:00:00+00:00 BC", "294276-12-31T23:59:59.999999+00:00"}},
	{"interval", "interval", []string{"-178000000 years", "178000000 years", "1 mon 2 days 03:04:05.000006", "-1 mons +2 days -03:04:05.000006"}, nil},
	{"uuid", "uuid", []string{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}, nil},
	{"inet", "inet", []string{"192.168.0.1/24", "::1"}, nil},
	{"cidr", "cidr", []string{"10.0.0.0/8"}, nil},
	{"macaddr", "macaddr", []string{"08:00:2b:01:02:03"}, nil},
	{"bit(3)", "bit", []string{"101"}, nil},
	{"varbit", "varbit", []string{"10101"}, nil},
	{`"char"`, "char", []string{"x"}, nil},
	{"macaddr8", "macaddr8", []string{"08:00:2b:01:02:03:04:05"}, nil},
	{"point", "point", []string{"(1.5,-2)", "(0.1,1.7976931348623157e+308)"}, nil},
	{"line", "line", []string{"{1,-1,0.1}"}, nil},
	{"lseg", "lseg", []string{"[(1,2),(3,4.5)]"}, nil},
	{"box", "box", []string{"(1,1),(0,0)"}, nil},
	{"path", "path", []string{"((1,1),(2,0.1))", "[(1,1),(2,0)]"}, nil},
	{"polygon", "polygon", []string{"((0,0),(1,1),(2,0))"}, nil},
	{"circle", "circle", []string{"<(1,1),0.1>"}, nil},
	{"tsquery", "tsquery", []string{"'a' & !'b'"}, nil},
	{"jsonpath", "jsonpath", []string{`$."a"[*]?(@ > 1.10)`}, nil},
	{"oid", "oid", []string{"4294967295"}, nil},
	{"xid", "xid", []string{"4294967295"}, nil},
	{"xid8", "xid8", []string{"18446744073709551615"}, nil},
	{"cid", "cid", []string{"4294967295"}, nil},
	{"tid", "tid", []string{"(4294967295,65535)"}, nil},
	{"pg_snapshot", "pg_snapshot", []string{"10:20:10,14"}, nil},
	{"txid_snapshot", "txid_snapshot", []string{"10:20:10,14"}, nil},
	{"refcursor", "refcursor", []string{"c"}, nil},
	{"aclitem", "aclitem", []string{"postgres=arwdDxt/postgres"}, nil},
	{"int2vector", "int2vector", []string{"1 2"}, []string{"[1,2]"}},
	{"oidvector", "oidvector", []string{"1 4294967295"}, []string{`["1","4294967295"]`}},
	{"regproc", "regproc", []string{"pg_backend_pid"}, nil},
	{"regprocedure", "regprocedure", []string{"abs(integer)"}, nil},
	{"regoper", "regoper", []string{"|/"}, nil},
	{"regoperator", "regoperator", []string{"+(integer,integer)"}, nil},
	{"regrole", "regrole", []string{"postgres"}, nil},
	{"regnamespace", "regnamespace", []string{"pg_catalog"}, nil},
	{"regconfig", "regconfig", []string{"english"}, nil},
	{"regdictionary", "regdictionary", []string{"english_stem"}, nil},
	{"regcollation", "regcollation", []string{`"C"`}, nil},
	{"tsvector", "tsvector", []string{"'a':1 'b':2"}, nil},
	{"xml", "xml", []string{"<a>1</a>"}, nil},
	{"json", "json", []string{`{"a": 1.10,  "a": 12345678901234567890.123456789}`}, nil},
	{"jsonb", "jsonb", []string{`{"a": 1.10, "b": [12345678901234567890.123456789]}`}, nil},
	{"regclass", "regclass", []string{"pg_class"}, nil},
	{"regtype", "regtype", []string{"integer"}, nil},
	{"pg_lsn", "pg_lsn", []string{"16/B374D848"}, nil},
	{"int4range", "range", []string{"[1,5)", "empty", "(,)"}, nil},
	{"int8range", "range", []string{"[-9223372036854775808,9223372036854775807)"}, nil},
	{"numrange", "range", []string{"(0.10,12345678901234567890.123456789]"}, nil},
	{"daterange", "range", []string{"[2026-01-01,infinity)"}, nil},
	{"tsrange", "range", []string{`["2026-01-01 00:00:00.000001","294276-12-31 23:59:59.999999")`}, nil},
	{"tstzrange", "range", []string{`["2026-01-01 00:00:00.000001+00",infinity)`}, nil},
	{"int4multirange", "multirange", []string{"{[1,5),[7,8)}"}, nil},
	{"int8multirange", "multirange", []string{"{[1,5)}"}, nil},
	{"nummultirange", "multirange", []string{"{[1.10,2.20]}"}, nil},
	{"datemultirange", "multirange", []string{"{[2026-01-01,2026-02-01)}"}, nil},
	{"tsmultirange", "multirange", []string{`{["2026-01-01 00:00:00","2026-02-01 00:00:00.5")}`}, nil},
	{"tstzmultirange", "multirange", []string{`{["2026-01-01 00:00:00+00","2026-02-01 00:00:00.5+00")}`}, nil},
	{"mood", "enum", []string{"sad"}, nil},
	{"amount", "numeric", []string{"1.50"}, nil},
	{"pair", "composite", []string{"(1,x)"}, []string{`{"a":1,"b":"x"}`}},
	{"int[]", "_int4", []string{"{{1,NULL},{3,4}}"}, []string{"[[1,null],[3,4]]"}},
	{"text[]", "_text", []string{`{"a,b",NULL}`}, []string{`["a,b",null]`}},
	{"numeric[]", "_numeric", []string{"{1.10,NaN}"}, []string{`[1.10,"NaN"]`}},
	{"mood[]", "_mood", []string{"{sad,happy}"}, []string{`["sad","happy"]`}},
	{"pair[]", "_pair", []string{`{"(1,x)"}`}, []string{`[{"a":1,"b":"x"}]`}},
}

// hostile are settings of a session in which no type's text is what it is by default.
const hostile = `set timezone = 'Asia/Ho_Chi_Minh'; set intervalstyle = 'iso_8601'; set bytea_output = 'escape'; set extra_float_digits = -5;
	set datestyle = 'German'; set xmlbinary = 'hex'; set quote_all_identifiers = on;`

// What the text of a column depends on is pinned for that column: of one that is added as well, by whoever sees it first.
func TestAColumnThatIsAddedKeepsEveryDigit(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(hostile + `alter table t add f float8, add at timestamptz, add period tstzrange;
		insert into t values (1, 0.1::float8 + 0.2::float8, '2026-01-01 00:00:00+00', '[2026-01-01 00:00:00+00,)')`)
	const row = `{"id":1,"f":0.30000000000000004,"at":"2026-01-01T00:00:00+00:00","period":"[\"2026-01-01 00:00:00+00\",)"}`
	expect(t, r.wait(1), `public.t insert {"id":1} after `+row)
	r.install()
	r.exec(`alter table t drop column period; delete from t`)
	expect(t, r.wait(2)[1:], `public.t delete {"id":1} before {"id":1,"f":0.30000000000000004,"at":"2026-01-01T00:00:00+00:00"}`)
}

func TestEveryTypeKeepsEveryDigit(t *testing.T) {
	r := newRig(t, `create type mood as enum ('sad', 'happy')`, `create domain amount as numeric(10,2)`, `create type pair as (a int, b text)`)
	n := 0
	old := r.number(`select current_setting('server_version_num')::int`) < 140000
	cases := slices.DeleteFunc(slices.Clone(typeCases), func(c typeCase) bool {
		return old && (c.base == "multirange" || c.sql == "numeric" && c.values[0] == "Infinity") // which came with 14
	})
	for i, c := range cases {
		r.exec(fmt.Sprintf(`create table t%02d (id int primary key, v %s)`, i, c.sql))
	}
	// Without a case are types that take no text, and arrays, which are printed as their elements are.
	for _, name := range r.texts(`select oid::regtype::text from pg_type where typnamespace = 'pg_catalog'::regnamespace and typtype in ('b', 'r', 'm') and typcategory <> 'A'
		and typname !~ '^(gtsvector|pg_node_tree|pg_ndistinct|pg_dependencies|pg_mcv_list|pg_brin_.*|_.*)$'`) {
		if !slices.ContainsFunc(cases, func(c typeCase) bool {
			return r.number(`select ('`+c.sql+`'::regtype = '`+name+`'::regtype)::int`) == 1
		}) {
			t.Errorf("no case is of %s", name)
		}
	}
	r.install()
	r.exec(hostile)
	for i, c := range cases {
		for k, v := range c.values {
			if _, err := r.db.Exec(t.Context(), fmt.Sprintf(`insert into t%02d values (%d, '%s'::text::%s)`, i, k, strings.ReplaceAll(v, "'", "''"), c.sql)); err != nil {
				t.Fatalf("%s %q: %v", c.sql, v, err)
			}
			n++
		}
	}
	r.exec(`reset all`)
	got := r.wait(n)
	at := 0
	for i, c := range cases {
		for k := range c.values {
			e := rowChange(t, got[at])
			at++
			if len(e.Columns) != 2 {
				t.Errorf("%s %.50q: %.500s", c.sql, c.values[k], got[at-1].Value)
				continue
			}
			if base := e.Columns[1].Base; base != c.base {
				t.Errorf("%s has the base %q", c.sql, base)
			}
			var want string
			if err := r.db.QueryRow(t.Context(), fmt.Sprintf(`select format('%%s', v) from t%02d where id = %d`, i, k)).Scan(&want); err != nil {
				t.Fatal(err)
			}
			if c.json != nil {
				want = c.json[k]
			}
			var row struct{ V json.RawMessage }
			if err := json.Unmarshal(e.After, &row); err != nil {
				t.Fatalf("%s: %v", e.After, err)
			}
			value := string(row.V)
			if strings.HasPrefix(value, `"`) {
				if err := json.Unmarshal(row.V, &value); err != nil {
					t.Fatal(err)
				}
			}
			if value != want {
				t.Errorf("%s: %s, not %s", c.sql, value, want)
			}
		}
	}
}

func (r *rig) texts(sql string) []string {
	r.t.Helper()
	rows, err := r.db.Query(r.t.Context(), sql)
	if err != nil {
		r.t.Fatal(err)
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		r.t.Fatal(err)
	}
	return texts
}
