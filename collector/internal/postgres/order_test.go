package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

const ownRowTrigger = `create function again() returns trigger language plpgsql as $$ begin
		if pg_trigger_depth() = 1 then update t set v = v || '!' where id = new.id; end if; return null; end $$;
	create trigger again after insert or update on t for each row execute function again()`

func TestARowThatItsTriggerChangesAgainEndsWithTheLastImage(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`, ownRowTrigger)
	r.install()
	r.exec(`insert into t values (1, 'a'), (2, 'b'); update t set v = 'c' where id = 1`)
	got := r.wait(6)
	expect(t, got,
		`public.t insert {"id":1} after {"id":1,"v":"a"}`,
		`public.t insert {"id":2} after {"id":2,"v":"b"}`,
		`public.t update {"id":1} before {"id":1,"v":"a"} after {"id":1,"v":"a!"}`,
		`public.t update {"id":2} before {"id":2,"v":"b"} after {"id":2,"v":"b!"}`,
		`public.t update {"id":1} before {"id":1,"v":"a!"} after {"id":1,"v":"c"}`,
		`public.t update {"id":1} before {"id":1,"v":"c"} after {"id":1,"v":"c!"}`)
	checkIndexes(t, got)
}

func TestWhatATriggerChangedBeforeItsStatementStaysBeforeIt(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`,
		`create function replace() returns trigger language plpgsql as $$ begin delete from t where id = new.id; return new; end $$;
		create trigger replace before insert on t for each row execute function replace()`)
	r.exec(`insert into t values (1, 'a')`)
	r.install()
	r.exec(`insert into t values (1, 'b')`)
	expect(t, r.wait(2), `public.t delete {"id":1} before {"id":1,"v":"a"}`, `public.t insert {"id":1} after {"id":1,"v":"b"}`)
}

func TestARowThatItsTriggerTakesBackEndsAsItIs(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`, `create view w as select * from t`,
		`create function back() returns trigger language plpgsql as $$ begin
			if new.v = 'gone' then delete from t where id = new.id; elsif old.v = 'kept' then update t set v = old.v where id = new.id and v <> old.v; end if; return null; end $$;
		create trigger back after insert or update on t for each row execute function back();
		create function through() returns trigger language plpgsql as $$ begin insert into t values (new.id, new.v); return new; end $$;
		create trigger through instead of insert on w for each row execute function through()`)
	r.install()
	r.exec(`insert into t values (1, 'gone'), (2, 'kept')`)
	r.exec(`update t set v = 'other' where id = 2`)
	r.exec(`begin`)
	r.exec(`insert into w values (3, 'x')`)
	r.exec(`delete from t where id = 3`)
	r.exec(`commit`)
	state := replay(t, r.wait(7))["shop-db/public.t"]
	if want := contents(t, r.db, "t"); !maps.Equal(state, want) {
		t.Errorf("by replay %v, in the table %v", state, want)
	}
}

func TestWhatTriggersChangeInOtherTablesComesBehindTheirStatement(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`, `create table audit (id int generated always as identity primary key, v text)`,
		`create function note() returns trigger language plpgsql as $$ begin insert into audit (v) values (new.v); return null; end $$;
		create trigger note after insert on t for each row execute function note()`)
	r.install()
	r.exec(`insert into t values (1, 'a')`)
	got := r.wait(2)
	expect(t, got,
		`public.t insert {"id":1} after {"id":1,"v":"a"}`,
		`public.audit insert {"id":1} after {"id":1,"v":"a"}`)
	checkIndexes(t, got)
}

// Statements of all lengths, their triggers' changes, deferred and nested ones, key changes, and other sessions' writes in
// between, by a collector that is killed and whose broker fails: replaying the events gives the table.
func TestTheOrderWithinATransactionSurvivesKills(t *testing.T) {
	r := newRig(t, `create table t (id int primary key deferrable initially deferred, v text)`,
		`create table busy (id int primary key, v text)`,
		`create function again() returns trigger language plpgsql as $$ begin
			if pg_trigger_depth() < 3 then update t set v = v || '!' where id = new.id; end if; return null; end $$;
		create trigger again after insert or update on t for each row execute function again();
		create function late() returns trigger language plpgsql as $$ begin
			if pg_trigger_depth() = 1 then update busy set v = v || '?' where id = new.id; end if; return null; end $$;
		create constraint trigger late after insert on busy deferrable initially deferred for each row execute function late()`)
	r.install()
	for i := range 30 {
		from := 1000 * i
		r.exec(fmt.Sprintf(`begin; insert into t select g, 'x' from generate_series(%d, %d) g; insert into busy values (%d, 'b');
			update t set v = 'y' where id %% 7 = 0 and id >= %d; update t set id = id + 500 where id = %d; delete from t where id = %d; commit`,
			from, from+10*i, i, from, from, from+1))
		r.exec(fmt.Sprintf(`update busy set v = v || '.' where id <= %d`, i))
	}
	r.exec(`insert into busy values (-1, 'end')`)
	r.limits.pagePacks, r.limits.batchEvents = 7, 90
	r.fail = func(batch int) (bool, bool) { return batch%7 == 3, batch%7 == 6 }
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	emit := func(ctx context.Context, b source.Batch) error {
		err := r.emit(ctx, b)
		if events := r.captured(); len(events) > 0 {
			if string(events[len(events)-1].Key) == `{"id":-1}` && rowChange(t, events[len(events)-1]).Op == event.Update {
				stop()
			}
		}
		return err
	}
	runs := 0
	for ; ctx.Err() == nil; runs++ {
		if err := r.source().Run(ctx, r.progress(), emit); !errors.Is(err, errBroker) && ctx.Err() == nil {
			t.Fatal(err)
		}
	}
	events := r.captured()
	state := replay(t, events)
	for _, table := range []string{"t", "busy"} {
		if want, got := contents(t, r.db, table), state[event.StreamOf("shop-db", "public."+table)]; !maps.Equal(want, got) {
			t.Errorf("%s: %d rows in the table, %d by replay, or others", table, len(want), len(got))
		}
	}
	checkIndexes(t, events)
	t.Logf("%d events in %d runs", len(events), runs)
	if runs < 3 {
		t.Errorf("only %d runs", runs)
	}
}

// TestASessionsSettingsChangeNoMeaning: what the text of our functions means depends on the session that runs them.
func TestASessionsSettingsChangeNoMeaning(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`, ownRowTrigger,
		`create table parent (id int primary key)`, `create table child (id int primary key, p int references parent on update cascade)`)
	r.exec(`insert into parent values (1); insert into child values (10, 1)`)
	r.install()
	config, err := pgx.ParseConfig(r.dsn)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(config.RuntimeParams, map[string]string{
		"standard_conforming_strings": "off", "backslash_quote": "off", "array_nulls": "off", "transform_null_equals": "on", "quote_all_identifiers": "on",
		"plpgsql.variable_conflict": "error", "plpgsql.extra_errors": "all", "plan_cache_mode": "force_generic_plan", "lc_messages": "C",
	})
	if testrig.Postgres(t).Version < "14" {
		config.RuntimeParams["operator_precedence_warning"] = "on"
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { t.Error(n.Severity, n.Message) }
	if r.db, err = pgx.ConnectConfig(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	defer r.db.Close(context.Background())
	r.exec(`insert into t values (1, 'a')`)
	r.exec(`update parent set id = 2 where id = 1`)
	r.exec(`alter table t add column w int`)
	r.exec(`update t set w = 1`)
	r.exec(`create trigger again after insert on parent for each row execute function again()`)
	r.exec(`insert into parent values (1)`)
	r.exec(`select datawatch.off(), datawatch.on()`)
	expect(t, r.wait(12)[:9],
		`public.t insert {"id":1} after {"id":1,"v":"a"}`,
		`public.t update {"id":1} before {"id":1,"v":"a"} after {"id":1,"v":"a!"}`,
		`public.parent delete {"id":1} before {"id":1} after {"id":2} moved_to`,
		`public.parent insert {"id":2} before {"id":1} after {"id":2} moved_from`,
		`public.child update {"id":10} before {"id":10,"p":1} after {"id":10,"p":2}`,
		`public.t update {"id":1} before {"id":1,"v":"a!","w":null} after {"id":1,"v":"a!","w":1}`,
		`public.t update {"id":1} before {"id":1,"v":"a!","w":1} after {"id":1,"v":"a!!","w":1}`,
		`public.parent insert {"id":1} after {"id":1}`,
		`public.t update {"id":1} before {"id":1,"v":"a!!","w":1} after {"id":1,"v":"a!!!","w":1}`)
}

// TestNumbersThatASessionMadeUpHideNothing: the setting that says what is behind what is the session's own. Whatever it says, each
// change is told, and once, and those of others are where they were.
func TestNumbersThatASessionMadeUpHideNothing(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table other (id int primary key)`)
	r.install()
	oid := r.number(`select 't'::regclass::oid::bigint`)
	own := func(numbers ...int) string { // a statement on t that is at work, behind others
		var list []string
		for depth, n := range numbers {
			of := int64(0)
			if depth == len(numbers)-1 {
				of = oid
			}
			list = append(list, fmt.Sprintf("%d,%d,%dI,datawatch.rows_1,0,n,", n, depth, of))
		}
		return fmt.Sprintf(`set local datawatch.open = '%s'; `, strings.Join(list, " "))
	}
	insert := func(id int) string { return fmt.Sprintf(`insert into t values (%d); `, id) }
	others := `set local datawatch.open = ''; insert into other values (1); `
	at := func(place int) string { return fmt.Sprintf("set local datawatch.rows_1 = '%d'; ", place) }
	for name, sql := range map[string]string{
		"places that go back": own(1, 2, 3) + at(9) + insert(1) + own(1, 2, 4) + at(8) + insert(2) + own(1, 2, 5) + at(7) + insert(3) +
			own(1, 2) + own(1, 3) + at(9) + insert(4) + own(1, 4) + at(8) + insert(5) + own(1, 5) + at(7) + insert(6) + own(1) + insert(7),
		"behind itself":           own(777, 777) + insert(1) + own(777) + insert(2),
		"behind each other":       own(1, 2) + insert(1) + own(2, 1) + insert(2),
		"a number twice":          own(5, 6) + insert(1) + own(5) + insert(2) + others + own(5) + insert(3) + own(9, 10) + insert(4),
		"a number twice, nested":  own(5, 6) + insert(1) + own(4, 5) + insert(2) + own(4, 5) + insert(3) + own(4) + insert(4) + own(4) + insert(5),
		"behind one that is over": own(7) + insert(1) + own(7, 8) + insert(2),
		"a negative place":        own(5, 6) + at(-5) + insert(1) + own(5) + insert(2),
	} {
		r.limits.pagePacks = 2
		r.exec(`truncate t, other`)
		r.exec(`begin`)
		for _, one := range strings.SplitAfter(sql, "; ") {
			r.exec(one)
		}
		r.exec(`commit`)
		r.exec(`begin; set local datawatch.open = '5,0,0I,datawatch.rows_1,0,n, 11,1,` + fmt.Sprint(r.number(`select 'other'::regclass::oid::bigint`)) + `I,datawatch.rows_1,0,n,'; insert into other values (2); commit`)
		r.exec(`insert into other values (3)`)
		want := int(r.number(`select (select count(*) from t) + (select count(*) from other)`)) + 2
		got := r.wait(r.count() + want)
		state := replay(t, got)
		for _, table := range []string{"t", "other"} {
			if have, is := state["shop-db/public."+event.Stream(table)], contents(t, r.db, table); !maps.Equal(have, is) {
				t.Errorf("%s: by replay %v, in the table %v", name, have, is)
			}
		}
	}
}

// TestTransactionsThatHaveOneNumberAreToldOneAfterTheOther: two that end a statement before either has written have the same; wherever a
// page ends, and a batch, each change is told once.
func TestTransactionsThatHaveOneNumberAreToldOneAfterTheOther(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`, `create table own (id int primary key, v text)`, strings.NewReplacer(" t ", " own ", "t set", "own set").Replace(ownRowTrigger))
	r.install()
	r.limits.pagePacks, r.limits.batchEvents = 2, 90
	r.fail = func(batch int) (bool, bool) { return batch%5 == 2, batch%5 == 4 }
	r.exec(`insert into t select g, 'a' from generate_series(1, 500) g`)
	r.exec(`update t set id = id + 1000`)
	r.exec(`update t set v = 'b' where id = 1001`)
	r.exec(`update t set id = id - 400`)
	r.exec(`update t set v = 'c' where id = 601`)
	for i := range 7 {
		r.exec(fmt.Sprintf(`insert into own select g, 'a' from generate_series(%d, %d) g`, i*1000, i*1000+i*80))
	}
	r.exec(`update datawatch.outbox o set seq = case when o.behind is null then 1000 else n end
		from (select txid, seq, dense_rank() over (partition by txid order by seq) as n from datawatch.outbox) ranked where ranked.txid = o.txid and ranked.seq = o.seq;
		update datawatch.single_0 set seq = 1000`)
	if n := r.number(`select count(*) from (select seq from datawatch.packs group by seq having count(distinct txid) > 10) same`); n != 1 {
		t.Fatalf("%d numbers are the same", n)
	}
	want := 500 + 1000 + 1 + 1000 + 1 + int(r.number(`select 2 * count(*) from own`))
	runs := 0
	for ; r.count() < want && runs < 60; runs++ {
		r.runFor(time.Second)
	}
	if runs < 3 || r.count() != want {
		t.Errorf("%d events of %d in %d runs", r.count(), want, runs)
	}
	got := r.captured()
	state := replay(t, got)
	for _, table := range []string{"t", "own"} {
		if have, is := state["shop-db/public."+event.Stream(table)], contents(t, r.db, table); !maps.Equal(have, is) {
			t.Errorf("%s: by replay %d rows, in the table %d", table, len(have), len(is))
		}
	}
	ended := map[string]bool{}
	last := ""
	for _, e := range got {
		if id := rowChange(t, e).Transaction; id != last {
			if ended[id] {
				t.Fatalf("%s is told in two parts", id)
			}
			ended[id], last = true, id
		}
	}
}

// TestANumberThatCannotBeIsRefused: no statement has the number 0, and so nothing is behind it.
func TestANumberThatCannotBeIsRefused(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`begin; set local datawatch.open = '0,0,1I,datawatch.rows_1,0,n,'; insert into t values (1); commit; insert into t values (2)`)
	expect(t, r.wait(2), `public.t gap capture_failed`, `public.t insert {"id":2} after {"id":2}`)
}

// TestStatementsThatAreMadeUpToBeTooDeepAreAGap: each is a frame of progress, which has to go into a record.
func TestStatementsThatAreMadeUpToBeTooDeepAreAGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table other (id int primary key)`)
	r.install()
	oid := r.number(`select 't'::regclass::oid::bigint`)
	r.exec(fmt.Sprintf(`do $$ begin for i in 1..%[1]d loop
		perform set_config('datawatch.open', (i+1) || ',0,1I,datawatch.rows_1,0,n, ' || i || ',1,%[2]dI,datawatch.rows_1,0,n,', true);
		insert into t values (i); end loop;
		perform set_config('datawatch.open', '%[3]d,0,%[2]dI,datawatch.rows_1,0,n,', true); insert into t values (0); end $$`, maxDepth+100, oid, maxDepth+101))
	r.exec(`insert into other values (1)`)
	gaps, last := 0, ""
	got := r.wait(maxDepth + 2)
	for _, e := range got {
		if last = brief(t, e); last == `public.t gap capture_failed` {
			gaps++
		}
	}
	if gaps != 1 || last != `public.other insert {"id":1} after {"id":1}` || len(got) != maxDepth+2 {
		t.Errorf("%d events, %d gaps, the last is %s", len(got), gaps, last)
	}
}

// TestALongTagIsCut: whatever a session sets, packs of a page are held with it.
func TestALongTagIsCut(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`set datawatch.tag = 'ééé'; insert into t values (1); select set_config('datawatch.tag', repeat('é', 100000), false); insert into t values (2); insert into t select generate_series(3, 4)`)
	for i, e := range r.wait(4) {
		want := strings.Repeat("é", 1000)
		if i == 0 {
			want = "ééé"
		}
		if tag := rowChange(t, e).Tag; tag != want {
			t.Errorf("a tag of %d bytes", len(tag))
		}
	}
}
