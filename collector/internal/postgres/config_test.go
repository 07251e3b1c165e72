package postgres

import (
	"strings"
	"testing"

	"datawatch/pkg/config"
)

type file struct {
	Postgres *Config `yaml:"postgres"`
}

func parse(text string) (Config, error) {
	var f file
	err := config.Parse("datawatch.yaml", []byte(text), func(string) (string, bool) { return "", false }, &f)
	if f.Postgres == nil {
		return Config{}, err
	}
	return *f.Postgres, err
}

func TestTheContractsSectionIsRead(t *testing.T) {
	c, err := parse(`postgres: {dsn: "postgres://u:p@h/d", install_dsn: "", tables: ["public.*"], exclude: ["public.tmp_*"], snapshot: never,
  capture: triggers, manage_triggers: true, on_error: fail_open,
  outbox: {max_bytes: 2GiB, max_age: 24h, when_full: stop_capture}}`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"orders": true, "tmp_x": false, "TMP_x": true} {
		if got := c.selects("public", name); got != want {
			t.Errorf("%s is selected: %v", name, got)
		}
	}
	defaults, err := parse(`postgres: {dsn: "postgres://u:p@h/d"}`)
	if err != nil || defaults.Outbox != c.Outbox || !defaults.ManageTriggers {
		t.Errorf("defaults %+v, %v", defaults, err)
	}
}

func TestWhatIsWrongIsToldWithWhatWouldBeRight(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                                 "dsn: missing",
		`{dsn: "postgres://u:secret@h:x/d"}`: "not a PostgreSQL address: see its port",
		`{dsn: "postgres://u:secret@h/d?sslmode=disabel"}`:                                       "not a PostgreSQL address: its sslmode is none (disable, allow, prefer,",
		`{dsn: "user=u password=secret host=h sslmode=disabel"}`:                                 "not a PostgreSQL address: its sslmode is none (disable, allow, prefer,",
		`{dsn: "postgres://u:secret@h/d?connect_timeout=soon"}`:                                  "see its connect_timeout",
		`{dsn: "postgres://u:secret@h/d?sslmode=verify-ca&sslrootcert=/nowhere/ca.pem"}`:         "see its sslrootcert",
		`{dsn: "postgres://u:secret@h/d?sslmode=require&sslcert=/secret"}`:                       "see its sslcert, sslkey",
		`{dsn: "postgres://u:secret@h/d?target_session_attrs=secret"}`:                           "see its target_session_attrs",
		`{dsn: "user=u password=not quoted secret host=h"}`:                                      "not a PostgreSQL address (",
		"{dsn: \"postgres://u:se`: invalid port secret@h%zz/d\", install_dsn: \"host='secret\"}": "install_dsn: not a PostgreSQL address (",
		`{dsn: "postgres://h/d", capture: wall}`:                                                 `"wall" is not allowed`,
		`{dsn: "postgres://h/d", snapshot_max_bytes_per_second: 10}`:                             "64KiB or more; 0 is no limit",
		`{dsn: "postgres://h/d", on_error: ignore}`:                                              `"ignore" is not allowed`,
		`{dsn: "postgres://h/d", tables: [orders]}`:                                              `"orders" is not schema.table`,
		`{dsn: "postgres://h/d", outbox: {max_bytes: 1MiB}}`:                                     "1MiB is too small",
		`{dsn: "postgres://h/d", outbox: {when_full: "drop"}}`:                                   `"drop" is not allowed`,
	} {
		_, err := parse("postgres: " + text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"a*c", "abbc", true}, {"a*c", "abb", false}, {"?", "đ", true}, {"a[b]", "a[b]", true}, {"a[b]", "ab", false}, {"*a*b", "xaybab", true},
	} {
		if got := glob(c.pattern, c.name); got != c.want {
			t.Errorf("glob(%q, %q) is %v", c.pattern, c.name, got)
		}
	}
}

func TestASnapshotIsReadAsPostgreSQLWritesIt(t *testing.T) {
	s, err := parseSnapshot("10:20:10,14,15")
	if err != nil || s.String() != "10:20:10,14,15" {
		t.Fatal(s, err)
	}
	for xid, over := range map[uint64]bool{9: true, 10: false, 11: true, 14: false, 19: true, 20: false} {
		if s.over(xid) != over {
			t.Errorf("%d is over: %v", xid, !over)
		}
	}
	for other, both := range map[string]string{"12:18:12,16": "10:18:10,12,14,15,16", "25:30:25": "10:20:10,14,15", "9:12:9": "9:12:9,10"} {
		o, err := parseSnapshot(other)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.and(o).String(); got != both || o.and(s).String() != both {
			t.Errorf("what %s and %s see is %s", s, o, got)
		}
	}
	if after := s.after(snapshot{xmin: 14, xmax: 15, running: []uint64{14}}).String(); after != "14:20:14,15" {
		t.Errorf("behind a snapshot that sees 10, it is %s", after)
	}
	later, _ := parseSnapshot("14:30:14,22")
	if ended := s.ended(later); len(ended) != 2 || ended[0] != 10 || ended[1] != 15 {
		t.Errorf("ended: %v", ended)
	}
	for _, wrong := range []string{"", "1:2", "a:2:", "1:b:", "1:2:c"} {
		if _, err := parseSnapshot(wrong); err == nil {
			t.Errorf("%q is no snapshot", wrong)
		}
	}
}

func FuzzPackJSON(f *testing.F) {
	f.Add([]byte(`[{"a":1,"b":"x\"}"},{"a":[{}],"b":null}]`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`[{"a":"`))
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := rowsOf(b)
		if err != nil {
			return
		}
		for _, row := range rows {
			if names, err := namesOf(row); err == nil && len(names) > len(row) {
				t.Errorf("%d names in %q", len(names), row)
			}
		}
	})
}
