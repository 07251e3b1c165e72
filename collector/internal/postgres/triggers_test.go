package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// drained is all that was captured by now, in the order of positions. It returns when no snapshot is under way either.
func (r *rig) drained() []event.Raw {
	r.t.Helper()
	r.dones++
	r.exec(`create table if not exists done (id int primary key)`)
	r.install()
	r.exec(fmt.Sprintf(`insert into done values (%d)`, r.dones))
	last := fmt.Sprintf(`{"id":%d}`, r.dones)
	stop := r.start()
	looked, found := 0, false
	testrig.WhileMoving(r.t, time.Minute, func() (int, error) {
		r.mu.Lock()
		found = found || slices.ContainsFunc(r.events[looked:], func(e event.Raw) bool {
			return e.Stream == "shop-db/public.done" && string(e.Key) == last && rowChange(r.t, e).Op == event.Insert
		})
		looked = len(r.events)
		r.mu.Unlock()
		if jobs := r.account().Jobs; !found || len(jobs) > 0 {
			return looked, fmt.Errorf("not at the end after %d events: %v", looked, jobs)
		}
		return looked, nil
	})
	_ = stop()
	return slices.DeleteFunc(r.captured(), func(e event.Raw) bool { return e.Stream == "shop-db/public.done" })
}

// orderCases are tables whose triggers change rows that a statement changes as well, and statements on them. Each has the
// table of its name, with a key id.
var orderCases = map[string]struct{ ddl, do string }{
	"after_row": {
		`create table after_row (id int primary key, v text);
		create function after_row_f() returns trigger language plpgsql as $$ begin
			if pg_trigger_depth() < 3 then update after_row set v = v || '!' where id = new.id; end if; return null; end $$;
		create trigger again after insert or update on after_row for each row execute function after_row_f()`,
		`insert into after_row select g, 'x' from generate_series(1, 450) g; update after_row set v = 'y' where id % 3 = 0; update after_row set id = id + 1000 where id < 5`,
	},
	"upsert": {
		`create table upsert (id int primary key, v text);
		create function upsert_f() returns trigger language plpgsql as $$ begin
			if pg_trigger_depth() = 1 then update upsert set v = v || '!' where id = new.id; end if; return null; end $$;
		create trigger again after insert or update on upsert for each row execute function upsert_f()`,
		`insert into upsert values (1, 'a'), (2, 'b'); insert into upsert values (2, 'c'), (3, 'd'), (1, 'e') on conflict (id) do update set v = excluded.v || '+'`,
	},
	"replaced": { // a row before the insert of the next one of its statement, which had its key
		`create table replaced (id int primary key, v text);
		create function replaced_f() returns trigger language plpgsql as $$ begin delete from replaced where id = new.id; return new; end $$;
		create trigger out_of_the_way before insert on replaced for each row execute function replaced_f()`,
		`insert into replaced values (1, 'a'), (2, 'b'), (3, 'c'); insert into replaced values (3, 'd'), (1, 'a'), (2, 'e'), (3, 'f')`,
	},
	"only_one": { // a row that the same statement has just changed
		`create table only_one (id int primary key, owner int, v bool);
		create function only_one_f() returns trigger language plpgsql as $$ begin
			if new.v then update only_one set v = false where owner = new.owner and id <> new.id and v; end if; return new; end $$;
		create trigger others before insert or update on only_one for each row execute function only_one_f()`,
		`insert into only_one values (1, 1, true), (2, 1, true), (3, 2, true), (4, 1, true); insert into only_one select g, g % 3, true from generate_series(5, 500) g`,
	},
	"both": {
		`create table "both" (id int primary key, v text);
		create function both_before() returns trigger language plpgsql as $$ begin
			delete from "both" where id = new.id; update "both" set v = v || '<' where id = new.id - 1; return new; end $$;
		create function both_after() returns trigger language plpgsql as $$ begin
			if pg_trigger_depth() = 1 then update "both" set v = v || '>' where id = new.id; end if; return null; end $$;
		create trigger early before insert on "both" for each row execute function both_before();
		create trigger late after insert or update on "both" for each row execute function both_after()`,
		`insert into "both" values (1, 'a'), (2, 'b'), (3, 'c'); insert into "both" values (2, 'd'), (3, 'e'), (4, 'f'), (2, 'g')`,
	},
	"orphans": { // a cascade's rows, changed again by the parent's trigger
		`create table parents (id int primary key);
		create table orphans (id int primary key, parent int references parents on delete set null on update cascade, v text);
		create function parents_f() returns trigger language plpgsql as $$ begin
			update orphans set v = v || '!' where v like '%' || old.id || '%'; return null; end $$;
		create trigger tell after delete or update on parents for each row execute function parents_f()`,
		`insert into parents select generate_series(1, 9); insert into orphans select g, 1 + g % 9, 'of ' || 1 + g % 9 || ' near ' || 1 + (g + 1) % 9 from generate_series(1, 40) g;
		update parents set id = id + 100 where id in (3, 4); delete from parents where id in (1, 2, 5)`,
	},
	"tree": {
		`create table tree (id int primary key, parent int references tree on delete cascade on update cascade, v text);
		create table tree_log (id int primary key, tree int references tree on delete cascade on update cascade);
		create function tree_f() returns trigger language plpgsql as $$ begin
			update tree set v = v || '-' where id = 1; return null; end $$;
		create trigger log after delete on tree_log for each row execute function tree_f()`,
		`insert into tree select g, nullif(g / 2, 0), 'n' from generate_series(1, 31) g; insert into tree_log select g, g from generate_series(1, 31) g;
		update tree set id = 77 where id = 3; delete from tree where id in (2, 12)`,
	},
	"targets": {
		`create table targets (id int primary key, v text); create table aside (id int primary key, v text);
		create function targets_f() returns trigger language plpgsql as $$ begin
			if pg_trigger_depth() = 1 then update targets set v = v || '!' where id = new.id; update aside set v = v || '?' where id = new.id; end if; return null; end $$;
		create trigger t1 after insert or update on targets for each row execute function targets_f();
		create trigger t2 after insert or update on aside for each row execute function targets_f()`,
		`insert into targets select g, 'a' from generate_series(1, 5) g; insert into aside select g, 'b' from generate_series(1, 5) g;
		with a as (update aside set v = 'c' where id < 4 returning id) update targets t set v = 'd' from a where a.id = t.id;
		with a as (update aside set v = 'e' where id > 2 returning id) insert into targets values (9, 'f')`,
	},
	"nothing": { // a statement without rows, whose trigger did something, and a trigger that fires before ours
		`create table nothing (id int primary key, v text);
		create function nothing_f() returns trigger language plpgsql as $$ begin
			if pg_trigger_depth() = 1 then update nothing set v = v || tg_op where id = 1; end if; return null; end $$;
		create trigger "Audit" after update or delete on nothing for each statement execute function nothing_f()`,
		`insert into nothing values (1, 'a'), (2, 'b'); update nothing set v = 'c' where false; update nothing set v = 'd'; delete from nothing where id = 2`,
	},
	"p": {
		`create table p (id int primary key, v text) partition by range (id);
		create table p_low partition of p for values from (0) to (100); create table p_high partition of p for values from (100) to (1000);
		create function p_f() returns trigger language plpgsql as $$ begin
			if pg_trigger_depth() = 1 then update p set v = v || '!' where id = new.id; end if; return null; end $$;
		create trigger again after insert or update on p for each row execute function p_f()`,
		`insert into p select g * 10, 'x' from generate_series(1, 30) g; update p_low set v = 'y'; update p set id = id + 95 where id = 90; update p set v = 'z' where id > 80; delete from p_high where id > 250`,
	},
	"checked": { // constraint triggers, now and at the end
		`create table checked (id int primary key, v text);
		create function checked_f() returns trigger language plpgsql as $$ begin
			if pg_trigger_depth() = 1 and right(new.v, 1) <> tg_argv[0] then update checked set v = v || tg_argv[0] where id = new.id; end if; return null; end $$;
		create constraint trigger now after insert or update on checked for each row execute function checked_f('!');
		create constraint trigger later after insert or update on checked deferrable initially deferred for each row execute function checked_f('?')`,
		`begin; insert into checked values (1, 'a'), (2, 'b'); update checked set v = 'c' where id = 2; set constraints all immediate; insert into checked values (3, 'd'); set constraints all deferred;
		update checked set v = 'e' where id = 3; commit`,
	},
	"caught": { // what a trigger did is undone, and the statement goes on
		`create table caught (id int primary key, v text);
		create function caught_f() returns trigger language plpgsql as $$ begin
			if pg_trigger_depth() = 1 then
				begin update caught set v = v || 'x'; perform 1 / (new.id - 2); exception when others then update caught set v = v || '.' where id = new.id; end;
			end if; return null; end $$;
		create trigger again after insert on caught for each row execute function caught_f()`,
		`insert into caught values (1, 'a'), (2, 'b'), (3, 'c')`,
	},
}

func TestTheOrderOfStatementsAndTheirTriggersIsExact(t *testing.T) {
	r := newRig(t, `set statement_timeout = '2min'`)
	names := slices.Sorted(maps.Keys(orderCases))
	for _, name := range names {
		r.exec(orderCases[name].ddl)
	}
	r.install()
	for _, name := range names {
		r.exec(orderCases[name].do)
	}
	events := r.drained()
	state := replay(t, events)
	for _, name := range append(names, "aside", "tree_log") {
		if want, got := contents(t, r.db, name), state[event.StreamOf("shop-db", "public."+name)]; !maps.Equal(want, got) || len(want) == 0 && name != "tree_log" {
			t.Errorf("%s: %d rows in the table, %d by replay, or others", name, len(want), len(got))
		}
	}
	checkIndexes(t, events)
}

func TestMergeAndItsTriggersAreInOrder(t *testing.T) {
	for _, server := range []*testrig.PostgresServer{testrig.Postgres(t), testrig.PostgresVersion(t, "18")} {
		r := newRigOn(t, server.Database(t), `create table t (id int primary key, v text)`, ownRowTrigger,
			`create table p (id int primary key, v text) partition by range (id); create table p0 partition of p for values from (0) to (5);
			create table p1 partition of p for values from (5) to (20)`)
		version := r.number(`select current_setting('server_version_num')::int`)
		if version < 150000 {
			continue // MERGE came with 15
		}
		bySource := ""
		if version >= 170000 {
			bySource = ` when not matched by source and t.id = 1 then delete when not matched by source then update set v = 'unmatched'`
		}
		r.install()
		for _, table := range []string{"t", "p"} {
			r.exec(`insert into ` + table + ` select g, 'a' from generate_series(1, 6) g`)
			r.exec(`merge into ` + table + ` t using generate_series(3, 9) s(id) on t.id = s.id when matched and s.id = 3 then delete
				when matched then update set v = 'm' when not matched then insert values (s.id, 'n')` + bySource)
		}
		events := r.drained()
		for _, table := range []string{"t", "p"} {
			if got, want := replay(t, events)["shop-db/public."+event.Stream(table)], contents(t, r.db, table); !maps.Equal(got, want) || len(want) == 0 {
				t.Errorf("PostgreSQL %s: %s by replay %v, in the table %v", server.Version, table, got, want)
			}
		}
		checkIndexes(t, events)
	}
}

// The trigger updates its own row: 30,000 captures lie before the statement that they are behind.
func TestABulkUpdateWhoseTriggerUpdatesItsRowsIsInOrderInBoundedMemoryThroughKills(t *testing.T) {
	const n = 30000
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.exec(`insert into t select g, repeat('v', 200) from generate_series(1, 30000) g;` + ownRowTrigger)
	r.install()
	r.exec(`update t set v = v || '1'`)
	r.fail = func(batch int) (bool, bool) { return batch%6 == 2, batch%6 == 5 }
	last := map[string]string{}
	var count, runs int
	var peak uint64
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	emit := func(ctx context.Context, b source.Batch) error {
		before := len(r.captured())
		err := r.emit(ctx, b)
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, e := range r.events[before:] {
			c := rowChange(t, e)
			if was := last[string(e.Key)]; was != "" && was != string(c.Before) {
				t.Errorf("%s: the row was %s", brief(t, e), was)
			}
			if c.TransactionIndex != int64(count) {
				t.Errorf("event %d has the index %d", count, c.TransactionIndex)
			}
			last[string(e.Key)] = string(c.After)
			count++
		}
		r.events = nil
		runtime.GC() // what is alive counts
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
		if count >= 2*n {
			stop()
		}
		return err
	}
	for ; ctx.Err() == nil; runs++ {
		if err := r.source().Run(ctx, r.progress(), emit); !errors.Is(err, errBroker) && ctx.Err() == nil {
			t.Fatal(err)
		}
	}
	for key, row := range contents(t, r.db, "t") {
		if last[key] != row {
			t.Fatalf("%s ends as %s, not %s", key, last[key], row)
		}
	}
	if count != 2*n || runs < 3 || peak > 96<<20 {
		t.Errorf("%d events in %d runs, at most %d MiB were alive", count, runs, peak>>20)
	}
	t.Logf("%d events in %d runs, at most %d MiB were alive", count, runs, peak>>20)
}

func TestAFailedCaptureLeavesWhatIsBehindItInPlace(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`, ownRowTrigger)
	r.install()
	r.breaks(packInsert)
	r.exec(`insert into t values (1, 'a')`)
	got := r.wait(2)
	expect(t, got,
		`public.t gap capture_failed`,
		`public.t update {"id":1} before {"id":1,"v":"a"} after {"id":1,"v":"a!"}`)
}

func TestWhatIsBehindAStatementThatWasLeftOutIsToldAndCounted(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`, ownRowTrigger)
	r.install()
	registry := prometheus.NewRegistry()
	r.opts.Metrics = registry
	// The trigger's own change is captured; then the room ends.
	r.exec(`create function full_up() returns trigger language plpgsql security definer as $$ begin update datawatch.queue set room = 0; return null; end $$;
		create trigger zz after insert on t for each row execute function full_up()`)
	r.exec(`insert into t values (1, 'a')`)
	got := r.wait(2)
	expect(t, got, `public.t gap outbox_full`, `public.t update {"id":1} before {"id":1,"v":"a"} after {"id":1,"v":"a!"}`)
	if n, err := testutil.GatherAndCount(registry, "datawatch_collector_order_unclaimed_total"); err != nil || n != 1 {
		t.Errorf("%d metrics, %v", n, err)
	}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(`
		# HELP datawatch_collector_order_unclaimed_total Captured parts of statements that were told in the order in which they ended, since the statement that they belong behind was not captured.
		# TYPE datawatch_collector_order_unclaimed_total counter
		datawatch_collector_order_unclaimed_total{source="shop-db"} 1
	`), "datawatch_collector_order_unclaimed_total"); err != nil {
		t.Error(err)
	}
}

// announced are the triggers by which statements of a table are announced.
func (r *rig) announced(table string) int {
	r.t.Helper()
	var n int
	if err := r.db.QueryRow(r.t.Context(), `select count(*) from pg_trigger where tgrelid = $1::text::regclass and tgname ~ '^_datawatch_(open|rows|gone)'`, table).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// TestATriggerThatWritesIsKnownByWhatIsOutsideOfItsComments: an apostrophe in a comment begins no literal.
func TestATriggerThatWritesIsKnownByWhatIsOutsideOfItsComments(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v int)`, `create table stamped (id int primary key)`,
		`create function others() returns trigger language plpgsql as $$ begin
			-- don't touch others but the first
			if new.id = 2 and pg_trigger_depth() = 1 then update t set v = v + 100 where id = 1; end if;
			-- it's done
			return new;
		end $$;
		create trigger others before update on t for each row execute function others()`,
		`create function stamp() returns trigger language plpgsql as $$ begin
			/* update it */ if tg_op = 'UPDATE' then raise 'it''s not to be updated'; end if; return new; -- or insert
		end $$;
		create trigger stamp before insert or update on stamped for each row execute function stamp()`)
	r.install()
	r.exec(`insert into t values (1, 0), (2, 0)`)
	r.exec(`update t set v = v + 1`)
	expect(t, r.wait(5)[2:],
		`public.t update {"id":1} before {"id":1,"v":0} after {"id":1,"v":1}`,
		`public.t update {"id":1} before {"id":1,"v":1} after {"id":1,"v":101}`,
		`public.t update {"id":2} before {"id":2,"v":0} after {"id":2,"v":1}`)
	if n := r.announced("stamped"); n != 0 {
		t.Errorf("%d triggers announce what writes nothing", n)
	}
}

// TestATriggerThatWritesThroughAFunctionIsKnown: in an expression, through another function, or through one whose body is no text.
func TestATriggerThatWritesThroughAFunctionIsKnown(t *testing.T) {
	const write = `update t set v = v + 100 where id = 1 and n = 2 and pg_trigger_depth() = 1`
	bodies := map[string]string{
		"text":  `create function g(n int) returns int language plpgsql volatile as $$ begin ` + write + `; return 0; end $$`,
		"sql":   `create function g(n int) returns int language sql as $$ ` + write + `; select 0 $$`,
		"other": `create function "Write"(n int) returns int language sql as $$ ` + write + `; select 0 $$; create function g(n int) returns int language plpgsql as $$ begin return "Write" (n); end $$`,
	}
	if testrig.Postgres(t).Version >= "14" {
		bodies["atomic"] = `create function g(n int) returns int language sql begin atomic ` + write + `; select 0; end`
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, `create table t (id int primary key, v int); create table stamped (id int primary key)`, body,
				`create function plus() returns trigger language plpgsql as $$ begin new.v := new.v + G(new.id) + 1; return new; end $$;
				create trigger plus before update on t for each row execute function plus()`,
				`create function tenant() returns int language sql as $$ select 1 $$;
				create function stamp() returns trigger language plpgsql as $$ begin new.id := coalesce(new.id, tenant()); return new; end $$;
				create trigger stamp before insert on stamped for each row execute function stamp()`)
			r.install()
			r.exec(`insert into t values (1, 0), (2, 0)`)
			r.exec(`update t set v = v`)
			expect(t, r.wait(5)[2:],
				`public.t update {"id":1} before {"id":1,"v":0} after {"id":1,"v":1}`,
				`public.t update {"id":1} before {"id":1,"v":1} after {"id":1,"v":102}`,
				`public.t update {"id":2} before {"id":2,"v":0} after {"id":2,"v":1}`)
			if n := r.announced("stamped"); n != 0 {
				t.Errorf("%d triggers announce what writes nothing", n)
			}
		})
	}
}

func TestTriggersThatComeAndGoAreFollowed(t *testing.T) {
	for _, follow := range []bool{true, false} {
		r := newRig(t, `create table t (id int primary key, v text)`, `create table stamped (id int primary key, v text, at timestamptz)`,
			`create function stamp() returns trigger language plpgsql as $$ begin if tg_op = 'UPDATE' then new.at := now(); end if; return new; end $$;
			create trigger stamp before insert or update on stamped for each row execute function stamp()`)
		r.install()
		if r.announced("t") != 0 || r.announced("stamped") != 0 {
			t.Error("tables are announced without need")
		}
		if !follow {
			r.exec(`drop event trigger datawatch_follow`)
		}
		r.exec(ownRowTrigger)
		if follow != (r.announced("t") == 3) {
			t.Errorf("follow %v: %d triggers", follow, r.announced("t"))
		}
		if !follow {
			r.install()
		}
		r.exec(`insert into t values (1, 'a')`)
		r.exec(`alter table t disable trigger again`)
		r.install()
		if n := r.announced("t"); n != 0 {
			t.Errorf("follow %v: %d triggers are left", follow, n)
		}
		r.exec(`alter table t enable trigger again`)
		r.install()
		if n := r.announced("t"); n != 3 {
			t.Errorf("follow %v: %d triggers are back", follow, n)
		}
		r.exec(`update t set v = 'b'`)
		replay(t, r.drained())
		if steps, err := r.source().Plan(t.Context()); err != nil || len(steps) != 0 {
			t.Errorf("a plan of %v, %v", steps, err)
		}
	}
}

func TestATableWithTriggersCanBeAttachedAndDetached(t *testing.T) {
	r := newRig(t, `create table p (id int primary key, v text) partition by range (id); create table p0 partition of p for values from (0) to (10)`,
		`create function again() returns trigger language plpgsql as $$ begin
			if pg_trigger_depth() = 1 then update p set v = v || '!' where id = new.id; end if; return null; end $$;
		create trigger again after insert or update on p for each row execute function again()`,
		`create table apart (id int primary key, v text); create trigger own after insert or update on apart for each row execute function again()`)
	r.install()
	if r.announced("p") != 3 || r.announced("p0") != 3 || r.announced("apart") != 3 {
		t.Errorf("%d, %d and %d triggers", r.announced("p"), r.announced("p0"), r.announced("apart"))
	}
	r.exec(`alter table p attach partition apart for values from (10) to (20); insert into p values (1, 'a'), (11, 'b')`)
	r.install()
	r.exec(`insert into p values (2, 'a'), (12, 'b'); insert into apart values (13, 'c'); alter table p detach partition p0`)
	r.install()
	r.exec(`insert into p0 values (3, 'z')`)
	if steps, err := r.source().Plan(t.Context()); err != nil || len(steps) != 0 {
		t.Errorf("a plan of %v, %v", steps, err)
	}
	if err := r.source().Remove(t.Context()); err != nil || r.announced("p") != 0 {
		t.Errorf("%d triggers are left, %v", r.announced("p"), err)
	}
}

// TestAColumnIsRenamedInOtherWords: PostgreSQL takes ALTER VIEW, and others, for a table too. Where somebody disabled the event trigger it
// stays so, and rows name their columns.
func TestAColumnIsRenamedInOtherWords(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, a int, b int)`)
	r.install()
	swap := func(kind string) {
		t.Helper()
		for _, names := range []string{"a to c", "b to a", "c to b"} {
			r.exec(`alter ` + kind + ` t rename column ` + names)
		}
	}
	var want []string
	for i, kind := range []string{"view", "materialized view", "foreign table", "table"} {
		swap(kind)
		r.exec(fmt.Sprintf(`insert into t (id, a, b) values (%d, 1, 2)`, i))
		columns := `"a":1,"b":2`
		if i%2 == 0 {
			columns = `"b":2,"a":1`
		}
		want = append(want, fmt.Sprintf(`public.t insert {"id":%d} after {"id":%[1]d,%s}`, i, columns))
	}
	expect(t, r.wait(len(want)), want...)

	r.exec(`alter event trigger datawatch_follow disable`)
	r.install()
	swap("table")
	r.exec(`insert into t (id, a, b) values (9, 1, 2)`)
	expect(t, r.wait(len(want) + 1)[len(want):], `public.t insert {"id":9} after {"id":9,"b":2,"a":1}`)
	if status, err := r.source().Status(t.Context()); err != nil || status.EventTrigger || !status.Complete {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestWhatAPartitionGetsFromItsRootIsFollowed, and a table that inherits from its parent, which needn't be captured itself: the command
// names neither.
func TestWhatAPartitionGetsFromItsRootIsFollowed(t *testing.T) {
	r := newRig(t, `create table p (id int primary key, a text, b text) partition by range (id); create table p0 partition of p for values from (0) to (100) partition by range (id);
		create table p00 partition of p0 for values from (0) to (10); create table parent (id int primary key, a text, b text); create table child (primary key (id)) inherits (parent)`)
	r.config.Exclude = []string{"public.parent"}
	r.install()
	for _, table := range []string{"p", "parent"} {
		for _, names := range []string{"a to c", "b to a", "c to b"} {
			r.exec(`alter table ` + table + ` rename column ` + names)
		}
	}
	r.exec(`insert into p00 (id, a, b) values (1, 'A', 'B'); insert into p (id, a, b) values (2, 'A', 'B'); insert into child (id, a, b) values (3, 'A', 'B')`)
	expect(t, r.wait(3), `public.p insert {"id":1} after {"id":1,"b":"B","a":"A"}`, `public.p insert {"id":2} after {"id":2,"b":"B","a":"A"}`,
		`public.child insert {"id":3} after {"id":3,"b":"B","a":"A"}`)
}

// TestATableOfATypeIsFollowed: ALTER TYPE … CASCADE alters it.
func TestATableOfATypeIsFollowed(t *testing.T) {
	r := newRig(t, `create type typed as (id int, a text, b text)`, `create table t of typed (primary key (id))`)
	r.install()
	for _, names := range []string{"a to c", "b to a", "c to b"} {
		r.exec(`alter type typed rename attribute ` + names + ` cascade`)
	}
	r.exec(`insert into t (id, a, b) values (1, 'A', 'B')`)
	expect(t, r.wait(1), `public.t insert {"id":1} after {"id":1,"b":"B","a":"A"}`)
}

// TestAnEventTriggerOfBeforeIsMadeAnew: it comes behind the schema, in a transaction of its own, before which the upgrade may be killed.
func TestAnEventTriggerOfBeforeIsMadeAnew(t *testing.T) {
	r := newOlderRig(t, version4SQL)
	steps, err := r.source().Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := Apply(t.Context(), r.session(), 1, beforeSteps, Groups(steps)[0]); err != nil {
		t.Fatal(err)
	}
	r.install()
	if n := r.number(`select count(*) from pg_event_trigger where evtname = 'datawatch_follow' and 'ALTER VIEW' = any (evttags)`); n != 1 {
		t.Error("it is of before")
	}
	if steps, err = r.source().Plan(t.Context()); err != nil || len(steps) != 0 {
		t.Errorf("%d steps are left, %v", len(steps), err)
	}
}
