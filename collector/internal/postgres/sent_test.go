package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/postgres"
)

// sentDDL has each type that is captured in binary form.
const sentDDL = `create table t (id int primary key, b boolean, i2 smallint, i8 bigint, n numeric, n2 numeric(38,18), s text, vc varchar(20), bc char(6), nm name,
	u uuid, by bytea, j json, jb jsonb, d date, tm time, ts timestamp, tz timestamptz, e mood, ba boolean[], i2a smallint[], ia int[], i8a bigint[], na numeric[],
	sa text[], va varchar[], ua uuid[], da date[], tsa timestamp[], tza timestamptz[], jba jsonb[])`

// sentRandom makes rows of whatever size and sign, from the beginning of the calendar to its end.
const sentRandom = `insert into t select g, random() < 0.5, (random() * 65535 - 32768)::int::smallint, ((random() - 0.5) * 1.8e19)::numeric(19,0)::bigint %% 9000000000000000000,
	((random() - 0.5) * 10 ^ (random() * 20 - 10))::numeric * (10::numeric ^ (g %% 60 - 30)), ((random() - 0.5) * 1e6)::numeric(38,18),
	chr(1 + g %% 31) || '"\' || repeat(chr(g %% 5000 + 32), g %% 3) || E'\b\f\n\r\t\x7f', 'đồng 💸' || g, left(g::text, 3), 'n' || g, gen_random_uuid(), decode(md5(g::text), 'hex'),
	('{ "a" : [1.10, ' || g || '] }')::json, jsonb_build_object('k', g, 'x', 1.10), '2000-01-01'::date + ((random() - 0.45) * 4000000)::int, time '00:00' + random() * interval '24 hours',
	'2000-01-01'::timestamp + (random() - 0.05) * 1000000 * interval '1 day', '2000-01-01'::timestamptz + (random() - 0.05) * 1000000 * interval '1 day',
	(array['sad', 'happy'])[1 + g %% 2]::mood, array[true, null], array[g %% 100, -1]::smallint[], array[[g, 1], [2, null]], array[g, null]::bigint[], array[1.10 * g, 'NaN'],
	array['a,b', 'NULL', null, '"', '\'], array['x']::varchar[], array[gen_random_uuid()], array['2026-01-01'::date, 'infinity'], array[now()::timestamp], array[now()], array['{"a": 1}'::jsonb]
	from generate_series(%d, %d) g`

// sentExtremes are ends of types, and what is shown by a word.
const sentExtremes = `insert into t (id, n, d, tm, ts, tz, ia, sa, jb, s, by) values
	(100001, 'NaN', 'infinity', '24:00', 'infinity', '-infinity', '{}', '{}', 'null', '', ''),
	(100002, 0, '4713-11-24 BC', '00:00', '4713-11-24 00:00:00 BC', '4713-11-24 00:00:00+00 BC', '[5:6]={1,2}', '{{{a}}}', '"x"', 'null', '\x00'),
	(100003, 0.0000, '5874897-12-31', '23:59:59.999999', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', null, null, '1e5', null, null),
	(100004, -0.00001, '0001-12-31 BC', '00:00:00.000001', '0001-12-31 23:59:59.999999 BC', '1999-12-31 23:59:59.999999+00', null, null, null, null, null),
	(100005, 1e131000, '0001-01-01', '01:02:03.1', '0001-01-01 00:00:00', '2000-01-01 00:00:00+00', null, null, null, null, null),
	(100006, 1e-16383, '2000-02-29', null, '1900-02-28 00:00:00.1', '1900-03-01 00:00:00+00', null, null, null, null, null),
	(100007, -12345678901234567890.123400, '1600-02-29', null, '9999-12-31 23:59:59', null, null, null, null, null, null),
	(100008, 100000000, '10000-01-01', null, null, null, null, null, null, null, null)`

// TestRowsInBinaryFormAreWhatToJSONPrints: byte for byte, of every type, whatever the settings of the session that writes
// them, of single rows as of many.
func TestRowsInBinaryFormAreWhatToJSONPrints(t *testing.T) {
	r := newRig(t, `create type mood as enum ('sad', 'happy')`, sentDDL)
	r.install()
	r.exec(hostile)
	r.exec(fmt.Sprintf(sentRandom, 1, 500) + "; " + sentExtremes)
	for id := 501; id < 520; id++ {
		r.exec(fmt.Sprintf(sentRandom, id, id))
	}
	r.exec(`reset all; set timezone = 'UTC'`)
	if n := r.number(`select count(*) from datawatch.packs where olds is null and news is null`); n != 0 {
		t.Fatalf("%d packs aren't in binary form", n)
	}
	want := map[string]string{}
	rows, err := r.db.Query(t.Context(), `select id::text, to_json(t.*)::text from t`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var id, row string
		if err := rows.Scan(&id, &row); err != nil {
			t.Fatal(err)
		}
		want[`{"id":`+id+`}`] = row
	}
	if rows.Err() != nil || len(want) != 527 {
		t.Fatalf("%d rows, %v", len(want), rows.Err())
	}
	for _, e := range r.wait(len(want)) {
		if got := string(rowChange(t, e).After); got != want[string(e.Key)] {
			t.Fatalf("captured\n%.3000s\nnot\n%.3000s", got, want[string(e.Key)])
		}
	}
}

// TestTheLongestNumericIsRead: PostgreSQL takes 131,072 digits before the point and 16,383 behind it.
func TestTheLongestNumericIsRead(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v numeric)`)
	r.install()
	values := []string{
		strings.Repeat("9", 131072), "-" + strings.Repeat("9", 131072) + "." + strings.Repeat("9", 16383), strings.Repeat("9", 131060) + "." + strings.Repeat("1", 100),
		"1" + strings.Repeat("0", 131071), "1" + strings.Repeat("0", 131071) + "." + strings.Repeat("0", 16382) + "1", "-0." + strings.Repeat("0", 16382) + "1",
		"0." + strings.Repeat("0", 16383), "0." + strings.Repeat("1", 16383), "0.1" + strings.Repeat("0", 16382), "-10000.00010", `"NaN"`,
	}
	if r.number(`select current_setting('server_version_num')::int`) >= 140000 {
		values = append(values, `"Infinity"`, `"-Infinity"`)
	}
	for i, v := range values {
		if _, err := r.db.Exec(t.Context(), `insert into t values ($1, trim(both '"' from $2::text)::numeric)`, i, v); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.number(`select count(*) from datawatch.packs where news is null`); n != 0 {
		t.Errorf("%d packs aren't in binary form", n)
	}
	for i, e := range r.wait(len(values)) {
		if e.Type == event.GapType {
			t.Errorf("%.20s of %d characters: %s", values[i], len(values[i]), brief(t, e))
		} else if got, want := string(rowChange(t, e).After), fmt.Sprintf(`{"id":%d,"v":%s}`, i, values[i]); got != want {
			t.Errorf("%.20s of %d characters: %d, %.40s", values[i], len(values[i]), len(got), got)
		}
	}
}

// Text is sent in the client's encoding: where that isn't UTF-8, rows are JSON.
func TestTheClientsEncodingDoesNotLeak(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.install()
	r.exec(`set client_encoding = 'LATIN1'; insert into t values (1, U&'\00e9'); insert into t select g, U&'\00e8' from generate_series(2, 3) g; reset client_encoding`)
	expect(t, r.wait(3),
		`public.t insert {"id":1} after {"id":1,"v":"é"}`,
		`public.t insert {"id":2} after {"id":2,"v":"è"}`,
		`public.t insert {"id":3} after {"id":3,"v":"è"}`)
}

// A role or a database may have an encoding of its own for its clients: what the collector reads doesn't depend on it.
func TestTheReadersOwnEncodingDoesNotLeak(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, "café" text)`)
	r.exec(`do $$ begin execute format('alter database %I set client_encoding = ''LATIN1''', current_database()); end $$`)
	r.install()
	r.exec("insert into t values (1, 'café')")
	for _, e := range r.wait(1) {
		if c := rowChange(t, e); string(c.After) != `{"id":1,"café":"café"}` {
			t.Errorf("after is %q, want the text in UTF-8", c.After)
		}
	}
}

// Rows that could be sent are JSON all the same where the client's encoding isn't UTF-8, where values are large, and where a
// partition is truncated: as UTC has them, and the session that writes them keeps its settings.
func TestWhatIsJSONInPlaceOfBinaryDependsOnNoSetting(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, at timestamptz, b bytea, v text)`, `alter table t alter v set storage external`,
		`create table p (id int primary key, at timestamptz) partition by list (id)`, `create table p1 partition of p for values in (1)`)
	r.install()
	const settings = `select string_agg(current_setting(name), ' ' order by name) from unnest(array['timezone', 'datestyle', 'intervalstyle', 'bytea_output', 'extra_float_digits', 'xmlbinary']) name`
	var were, within, after string
	r.exec(hostile)
	if err := r.db.QueryRow(t.Context(), settings).Scan(&were); err != nil {
		t.Fatal(err)
	}
	tx, err := r.db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`set client_encoding = 'LATIN1'`, `insert into t values (1, '2026-01-01 00:00:00+00', '\xff', 'a')`, `set client_encoding = 'UTF8'`,
		`insert into t select g, '2026-01-01 00:00:00+00', '\xff', repeat('n', 3000) from generate_series(2, 3) g`, `update t set b = '\x00'`,
		`insert into p values (1, '2026-01-01 00:00:00+00')`, `truncate p1`,
	} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if err := tx.QueryRow(t.Context(), settings).Scan(&within); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.db.QueryRow(t.Context(), settings).Scan(&after); err != nil {
		t.Fatal(err)
	}
	if were != within || were != after {
		t.Errorf("the session's settings are %s in the transaction and %s behind it, not %s", within, after, were)
	}
	// One statement of 256 that changes a single row goes the way of those that change more, which of a table with partitions is JSON.
	if n := r.number(`select count(*) from datawatch.packs where olds is null and news is null and not (op = 'i' and shape in (select id from datawatch.shapes where shape ->> 'table' = 'p'))`); n != 4 {
		t.Errorf("%d packs are JSON, not those of LATIN1, of large values twice, and of the partition", n)
	}
	row := func(id int, b string) string {
		v := "a"
		if id > 1 {
			v = strings.Repeat("n", 3000)
		}
		return fmt.Sprintf(`{"id":%d,"at":"2026-01-01T00:00:00+00:00","b":"\\x%s","v":"%s"}`, id, b, v)
	}
	inserted := func(id int) string { return fmt.Sprintf(`public.t insert {"id":%d} after %s`, id, row(id, "ff")) }
	updated := func(id int) string {
		return fmt.Sprintf(`public.t update {"id":%d} before %s after %s`, id, row(id, "ff"), row(id, "00"))
	}
	const leaf = `{"id":1,"at":"2026-01-01T00:00:00+00:00"}`
	expect(t, r.wait(8), inserted(1), inserted(2), inserted(3), updated(1), updated(2), updated(3),
		`public.p insert {"id":1} after `+leaf, `public.p delete {"id":1} before `+leaf)
}

// A column whose type isn't known in binary form has the function write JSON, in the transaction that adds it, and one that
// goes has it write binary again.
func TestAColumnOfAnotherTypeChangesTheForm(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.install()
	r.exec(`insert into t values (1, 'a'); alter table t add f float8; insert into t values (2, 'b', 0.1); alter table t drop f; insert into t values (3, 'c')`)
	if n := r.number(`select sum(seq * (news is not null)::int) from (select row_number() over (order by seq) as seq, news from datawatch.packs where op = 'i') o`); n != 1+3 {
		t.Errorf("the packs' forms give %d", n)
	}
	expect(t, r.wait(3),
		`public.t insert {"id":1} after {"id":1,"v":"a"}`,
		`public.t insert {"id":2} after {"id":2,"v":"b","f":0.1}`,
		`public.t insert {"id":3} after {"id":3,"v":"c"}`)
	if steps, err := r.source().Plan(t.Context()); err != nil || len(steps) != 0 {
		t.Errorf("a plan of %v, %v", steps, err)
	}
}

// TestStatementsOfSingleRowsKeepToTheCap: the trigger stops by itself, also where one statement of 256 looks at the size, and goes on as soon
// as there is room. That none of 6,000 looks would be a chance of one in ten billions.
func TestStatementsOfSingleRowsKeepToTheCap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`create table large (v text); alter table large alter v set storage external`)
	r.exec(`update datawatch.queue set room = 134217728, toast = (select reltoastrelid from pg_class where oid = 'large'::regclass)`)
	r.exec(`insert into large select repeat('x', 1000000) from generate_series(1, 140)`) // as if capture had written it
	insert := `do $$ begin for i in 1..6000 loop insert into t select coalesce(max(id), 0) + 1 from t; end loop; end $$`
	r.exec(insert)
	captured := r.number(`select count(*) from datawatch.packs`)
	if skipped := r.number(`select last_value from datawatch.skipped`); skipped == 0 || captured+skipped != 6000 {
		t.Errorf("%d statements were captured, and %d left out", captured, skipped)
	}
	r.exec(`update datawatch.queue set room = 1000000000`)
	r.exec(insert)
	if n := r.number(`select count(*) from datawatch.packs`) - captured; n != 6000 {
		t.Errorf("of 6000 statements %d were captured when there was room", n)
	}
}

// TestAnOutboxThatNobodyReadsKeepsToItsCap: while no collector lives at all, the triggers leave out what comes once it is full, of many rows
// or of single ones, and the application's writes go through. Beyond the cap goes the statement that fills it.
func TestAnOutboxThatNobodyReadsKeepsToItsCap(t *testing.T) {
	const most, rows, noise = 16 << 20, 300, 32 * 60 // a statement has 600 kB, which compression leaves about as long as they are
	r := newRig(t, `create table t (id int generated always as identity primary key, v text)`,
		`create function noise() returns text language sql volatile as $$ select string_agg(md5(random()::text), '') from generate_series(1, 60) $$`)
	r.config.Outbox.MaxBytes = most
	r.install()
	for _, bulk := range []bool{true, false} { // single rows come to an outbox that is full
		sql := `insert into t (v) select noise() from generate_series(1, 300)`
		if !bulk {
			sql = `for j in 1..50 loop insert into t (v) select noise(); end loop`
		}
		r.exec(`do $$ begin for i in 1..50 loop ` + sql + `; end loop; end $$`)
		if size, err := outboxBytes(t.Context(), r.db); err != nil || size < most*3/4 || size > most+2*rows*noise {
			t.Errorf("bulk %v: the outbox has %d bytes, %v", bulk, size, err)
		}
	}
	if n := r.number(`select count(*) from t`); n != 50*rows+50*50 {
		t.Errorf("%d rows went through", n)
	}
	if n := r.number(`select last_value from datawatch.skipped`); n < 2500 {
		t.Errorf("%d statements were left out", n)
	}
	expect(t, r.wait(1)[:1], `public.t gap outbox_full`)
}

func FuzzRowsInBinaryForm(f *testing.F) {
	s := &shape{}
	text, err := sentShape()
	if err != nil {
		f.Fatal(err)
	}
	s.sent = text
	f.Add(binary.BigEndian.AppendUint32(nil, 1))
	f.Fuzz(func(t *testing.T, row []byte) {
		if b, err := s.appendSentRow(nil, row); err != nil && !errors.Is(err, errSent) {
			t.Errorf("%q: %v", b, err)
		}
		array := append([]byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 1, 0, 0, 0, 1}, row...)
		_, _ = s.sentRows(array, 0, 1)
		_, _ = typesOf(&pack{op: packInsert, news: array})
	})
}

// sentShape has a column of each type.
func sentShape() ([]sentColumn, error) {
	d := described{}
	for _, oid := range strings.Split(sendableList(), ",") {
		d.Columns = append(d.Columns, describedColumn{Name: "c" + oid, OID: oid})
	}
	if columns := d.sent(); columns != nil {
		return columns, nil
	}
	return nil, errSent
}

// TestBytesThatAreNoTextInADatabaseWithoutEncoding: SQL_ASCII takes any bytes for text. What was written together with
// such is a gap, and the rest is read.
func TestBytesThatAreNoTextInADatabaseWithoutEncoding(t *testing.T) {
	private := testrig.PrivatePostgres(t, postgres.Options{})
	admin := newRigOn(t, private.DSN("postgres"))
	admin.exec(`create database ascii encoding 'SQL_ASCII' template template0 lc_collate 'C' lc_ctype 'C'`)
	r := newRigOn(t, private.DSN("ascii"), `create table sent (id int primary key, v text)`, `create table printed (id int primary key, v text, p point)`)
	r.install()
	r.exec("insert into sent values (1, E'\\xe9'); insert into printed values (1, E'caf\\xe9', null); insert into printed values (2, 'fine', null), (3, E'\\xff', null); insert into sent values (2, 'é')")
	r.exec(`insert into printed values (4, 'é', null)`)
	expect(t, r.wait(5), `public.sent gap unreadable`, `public.printed gap unreadable`, `public.printed gap unreadable`,
		`public.sent insert {"id":2} after {"id":2,"v":"é"}`, `public.printed insert {"id":4} after {"id":4,"v":"é","p":null}`)
}

// TestADatabaseWithOtherLowerCases: in Turkish, I isn't the capital of i.
func TestADatabaseWithOtherLowerCases(t *testing.T) {
	if testrig.Postgres(t).Version < "15" {
		t.Skip("a database's own language by ICU came with 15")
	}
	private := testrig.PrivatePostgres(t, postgres.Options{})
	newRigOn(t, private.DSN("postgres")).exec(`create database turkish template template0 encoding 'UTF8' locale_provider icu icu_locale 'tr-TR' locale 'C'`)
	r := newRigOn(t, private.DSN("turkish"), `create table sent (id int primary key)`, `create table printed (id int primary key, p point)`)
	r.config.OnError = onErrorStrict
	r.install()
	r.exec(`insert into sent select generate_series(1, 2); insert into printed select generate_series(1, 2); insert into printed values (3)`)
	expect(t, r.wait(5), `public.sent insert {"id":1} after {"id":1}`, `public.sent insert {"id":2} after {"id":2}`,
		`public.printed insert {"id":1} after {"id":1,"p":null}`, `public.printed insert {"id":2} after {"id":2,"p":null}`, `public.printed insert {"id":3} after {"id":3,"p":null}`)
}
