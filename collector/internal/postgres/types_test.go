package postgres

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// typeCases are types with the base that the shape tells and values at their extremes. The payload's value, without the
// quotes of a JSON string, is PostgreSQL's own text, except where json says how.
var typeCases = []struct {
	sql, base string
	values    []string
	json      []string // where it isn't the text
}{
	{"smallint", "int2", []string{"-32768", "32767"}, nil},
	{"int", "int4", []string{"-2147483648"}, nil},
	{"bigint", "int8", []string{"-9223372036854775808", "9223372036854775807"}, nil},
	{"numeric(38,18)", "numeric", []string{"12345678901234567890.123456789012345678", "-0.000000000000000001"}, nil},
	{"numeric", "numeric", []string{"NaN", strings.Repeat("9", 200) + "." + strings.Repeat("1", 100), "1.10"}, nil},
	{"real", "float4", []string{"3.4028235e+38", "NaN", "-Infinity"}, nil},
	{"float8", "float8", []string{"1.7976931348623157e+308", "5e-324", "0.1", "Infinity"}, nil},
	{"money", "money", []string{"-$92,233,720,368,547,758.08"}, nil},
	{"text", "text", []string{"", "tab\tquote\"back\\slash\nđồng 💸"}, nil},
	{"varchar(5)", "varchar", []string{"abc"}, nil},
	{"char(5)", "bpchar", []string{"ab   "}, nil},
	{"name", "name", []string{"n"}, nil},
	{"bytea", "bytea", []string{`\x00ff`, `\x`}, nil},
	{"boolean", "bool", []string{"true", "false"}, []string{"true", "false"}},
	{"date", "date", []string{"infinity", "2026-02-28", "0044-03-15 BC", "5874897-12-31"}, nil},
	{"time", "time", []string{"23:59:59.999999", "24:00:00"}, nil},
	{"timetz", "timetz", []string{"23:59:59.999999+07"}, nil},
	{"timestamp", "timestamp", []string{"2026-11-22 23:59:59.999999", "-infinity"}, []string{"2026-11-22T23:59:59.999999", "-infinity"}},
	{"timestamptz", "timestamptz", []string{"2026-11-22 23:59:59.999999+07", "infinity", "4713-01-01 00:00:00+00 BC"},
		[]string{"2026-11-22T16:59:59.999999+00:00", "infinity", "4713-01-01T00:00:00+00:00 BC"}},
	{"interval", "interval", []string{"-178000000 years", "1 mon 2 days 03:04:05.000006"}, nil},
	{"uuid", "uuid", []string{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}, nil},
	{"inet", "inet", []string{"192.168.0.1/24", "::1"}, nil},
	{"cidr", "cidr", []string{"10.0.0.0/8"}, nil},
	{"macaddr", "macaddr", []string{"08:00:2b:01:02:03"}, nil},
	{"bit(3)", "bit", []string{"101"}, nil},
	{"varbit", "varbit", []string{"10101"}, nil},
	{"point", "point", []string{"(1.5,-2)"}, nil},
	{"tsvector", "tsvector", []string{"'a':1 'b':2"}, nil},
	{"xml", "xml", []string{"<a>1</a>"}, nil},
	{"json", "json", []string{`{"a": 1.10,  "a": 12345678901234567890.123456789}`}, nil},
	{"jsonb", "jsonb", []string{`{"a": 1.10, "b": [12345678901234567890.123456789]}`}, nil},
	{"regclass", "regclass", []string{"pg_class"}, nil},
	{"regtype", "regtype", []string{"integer"}, nil},
	{"pg_lsn", "pg_lsn", []string{"16/B374D848"}, nil},
	{"int4range", "range", []string{"[1,5)", "empty"}, nil},
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
	for i, c := range typeCases {
		r.exec(fmt.Sprintf(`create table t%02d (id int primary key, v %s)`, i, c.sql))
	}
	r.install()
	r.exec(hostile)
	for i, c := range typeCases {
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
	for i, c := range typeCases {
		for k := range c.values {
			e := rowChange(t, got[at])
			at++
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
