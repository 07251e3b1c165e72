package wal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/collector/internal/postgres"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// awaitPublished waits until a table is in a publication, or in none where name is "".
func (r *rig) awaitPublished(table, name string) {
	r.t.Helper()
	testrig.Eventually(r.t, 30*time.Second, func() error {
		var in []string
		err := r.db.QueryRow(r.t.Context(), `select coalesce(array_agg(p.pubname::text order by 1), '{}') from pg_publication_rel pr join pg_publication p on p.oid = pr.prpubid
			where pr.prrelid = $1::text::regclass`, table).Scan(&in)
		if err == nil && strings.Join(in, " ") != name {
			err = fmt.Errorf("%s is in %q", table, in)
		}
		return err
	})
}

// TestTablesAreFollowedWhileRunning: new ones, those that were dropped, and those whose replica identity comes and goes.
func TestTablesAreFollowedWhileRunning(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table tmp_a (id int primary key)`)
	r.config.Exclude = []string{"public.tmp_*"}
	n := r.source().names
	told := func() []event.Raw { // what isn't published is told when the server's statistics have come
		return slices.DeleteFunc(r.captured(), func(e event.Raw) bool { return strings.Contains(brief(t, e), causeNotPublished) })
	}
	await := func(n int) {
		t.Helper()
		testrig.Eventually(t, time.Minute, func() error {
			if got := told(); len(got) < n {
				return fmt.Errorf("%d events of %d", len(got), n)
			}
			return nil
		})
	}
	stop := r.start()
	r.exec(`create table empty (id int primary key)`)
	r.exec(`create table filled (id int primary key); insert into filled values (1)`)
	r.awaitPublished("empty", n.all)
	r.awaitPublished("filled", n.all)
	r.awaitPublished("tmp_a", "")
	await(1)
	r.exec(`insert into empty values (1); insert into filled values (2); insert into tmp_a values (1)`)
	await(3)
	r.exec(`drop table filled`)
	await(4)
	r.exec(`alter table empty drop constraint empty_pkey`)
	r.awaitPublished("empty", n.inserts)
	r.exec(`update empty set id = 2; insert into empty values (3)`) // fails where its updates are published
	await(7)
	r.awaitLast(func(e event.Raw) bool { return brief(t, e) == `public.empty gap `+causeNotPublished })
	r.exec(`alter table empty replica identity full`)
	r.awaitPublished("empty", n.all)
	r.exec(`update empty set id = 9 where id = 3`)
	await(8)
	_ = stop()
	expect(t, told(),
		`public.filled gap table_new`,
		`public.empty insert {"id":1} after {"id":1}`,
		`public.filled insert {"id":2} after {"id":2}`,
		`public.filled truncate - reason drop`,
		`public.empty truncate - reason key`, `public.empty gap key_changed`,
		`public.empty insert - after {"id":3}`,
		`public.empty update - before {"id":3} after {"id":9}`,
	)
}

// TestAnUpdateNeverFailsForWantOfAReplicaIdentity: of every table that PostgreSQL would refuse to update if its updates were
// published; that they aren't told is.
func TestAnUpdateNeverFailsForWantOfAReplicaIdentity(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			r := newRigOn(t, databaseOn(t, version),
				`create table none (v int)`,
				`create table nothing (id int primary key); alter table nothing replica identity nothing`,
				`create table later (id int primary key deferrable)`,
				`create table tree (id int, v int) partition by range (id)`,
				`create table leaf_full partition of tree for values from (0) to (10); alter table leaf_full replica identity full`,
				`create table leaf_plain partition of tree for values from (10) to (20)`,
				`create table computed (id int primary key, v int, twice int generated always as (v * 2) stored); alter table computed replica identity full`,
				`create table fine (id int primary key, v int)`)
			if r.version() >= 180000 {
				r.exec(`create table virtual (id int primary key, v int, twice int generated always as (v * 2) virtual); alter table virtual replica identity full`)
				r.exec(`insert into virtual values (1, 1)`)
			}
			for _, table := range []string{"none", "nothing", "later"} {
				r.exec(`insert into ` + table + ` values (1)`)
			}
			r.exec(`insert into tree values (1, 1), (11, 1); insert into computed values (1, 1)`)
			stop := r.start()
			r.exec(`create table leaf_new partition of tree for values from (20) to (30)`)
			r.exec(`insert into tree values (21, 1)`)
			r.exec(`update none set v = 2; update nothing set id = 2; update later set id = 2; update computed set v = 2`)
			r.exec(`update tree set v = 2; delete from tree where id = 11`)
			if r.version() >= 180000 {
				r.exec(`update virtual set v = 2`)
			}
			r.exec(`insert into fine values (1, 1)`)
			var got []string
			testrig.Eventually(t, 60*time.Second, func() error { // statistics come late, and before 15 with a session's next command
				r.exec(`select 1`)
				got = nil
				for _, e := range r.captured() {
					got = append(got, brief(t, e))
				}
				for _, want := range []string{
					`public.none gap no_replica_identity`, `public.nothing gap no_replica_identity`, `public.later gap no_replica_identity`,
					`public.tree gap no_replica_identity`, `public.tree insert - after {"id":21,"v":1}`,
					`public.tree update - before {"id":1,"v":1} after {"id":1,"v":2}`, `public.fine insert {"id":1} after {"id":1,"v":1}`,
				} {
					if !slices.Contains(got, want) {
						return fmt.Errorf("no %s in\n\t%s", want, strings.Join(got, "\n\t"))
					}
				}
				return nil
			})
			_ = stop()
			want := `public.computed update {"id":1} before {"id":1,"v":1} after {"id":1,"v":2} incomplete {"fields":["twice"]}`
			if r.version() >= 180000 {
				want = `public.computed update {"id":1} before {"id":1,"v":1,"twice":2} after {"id":1,"v":2,"twice":4}`
			}
			if !slices.Contains(got, want) {
				t.Errorf("no %s in\n\t%s", want, strings.Join(got, "\n\t"))
			}
		})
	}
}

// TestATableThatLosesItsReplicaIdentityCanBeUpdated, also while no collector runs: the event trigger takes it out of the
// publication in the transaction that takes the identity away, and goes with everything else.
func TestATableThatLosesItsReplicaIdentityCanBeUpdated(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			r := newRigOn(t, databaseOn(t, version),
				`create table keyed (id int primary key, v int)`, `create table "Odd ""one" (id int primary key, v int)`,
				`create table indexed (id int not null, v int); create unique index its on indexed (id); alter table indexed replica identity using index its`,
				`create table tree (id int primary key, v int) partition by range (id)`, `create table low partition of tree for values from (0) to (10)`,
				`create table high partition of tree for values from (10) to (20)`,
				`create table rootless (id int primary key, v int) partition by range (id)`, `create table whole partition of rootless for values from (0) to (10); alter table whole replica identity full`,
				`insert into keyed values (1, 1); insert into "Odd ""one" values (1, 1); insert into indexed values (1, 1); insert into tree values (1, 1), (11, 1)`)
			r.install()
			if steps, err := r.source().Plan(t.Context()); err != nil || len(steps) > 0 {
				t.Errorf("a plan of %v, %v", steps, err)
			}
			r.exec(`begin; alter table keyed drop constraint keyed_pkey; update keyed set v = 2; commit`)
			r.exec(`alter table "Odd ""one" replica identity nothing`)
			r.exec(`update "Odd ""one" set v = 2; delete from "Odd ""one"`)
			r.exec(`drop index its`)
			r.exec(`update indexed set v = 2`)
			r.exec(`alter table low replica identity nothing`)
			r.exec(`update tree set v = 2`)
			r.exec(`alter table rootless drop constraint rootless_pkey`)
			r.exec(`begin; create table later partition of rootless for values from (10) to (20); insert into rootless values (1, 1), (11, 1); update rootless set v = 2; commit`)
			if steps, err := r.source().Plan(t.Context()); err != nil || len(steps) > 0 {
				t.Errorf("afterwards a plan of %v, %v", steps, err)
			}
			stop := r.start()
			r.exec(`insert into keyed values (2, 2); update tree set v = 3`)
			r.awaitLast(func(e event.Raw) bool { return strings.HasPrefix(brief(t, e), "public.tree update") })
			_ = stop()
			if err := r.source().Remove(t.Context()); err != nil {
				t.Fatal(err)
			}
			var left int
			if err := r.db.QueryRow(t.Context(), `select (select count(*) from pg_event_trigger) + (select count(*) from pg_namespace where nspname like 'datawatch%') + (select count(*) from pg_publication)`).Scan(&left); err != nil || left > 0 {
				t.Errorf("%d are left of the event trigger, its schema and the publications, %v", left, err)
			}
		})
	}
}

func TestAPartitionTreeIsOneStream(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			r := newRigOn(t, databaseOn(t, version),
				`create table p (id int, region text, primary key (id, region)) partition by list (region)`,
				`create table p_a partition of p for values in ('a')`,
				`create table p_b (region text not null, id int not null); alter table p attach partition p_b for values in ('b')`,
				`create table aside (region text not null, id int not null); insert into aside values ('d', 4)`)
			r.config.Exclude = []string{"public.aside"}
			stop := r.start()
			r.exec(`insert into p values (1, 'a'), (2, 'b')`)
			r.exec(`insert into p_b (id, region) values (3, 'b')`)
			r.exec(`update p set region = 'b' where id = 1`)
			r.exec(`create table p_c partition of p for values in ('c'); insert into p values (5, 'c')`)
			r.exec(`truncate p`)
			r.exec(`insert into p values (7, 'c'); truncate p_c`)
			r.await(9)
			r.exec(`alter table p attach partition aside for values in ('d')`)
			r.await(10) // the attached row
			r.exec(`drop table p_c`)
			r.await(11)
			r.exec(`delete from p where id = 4`)
			r.await(12)
			_ = stop()
			expect(t, r.captured(),
				`public.p insert {"id":1,"region":"a"} after {"id":1,"region":"a"}`,
				`public.p insert {"id":2,"region":"b"} after {"region":"b","id":2}`,
				`public.p insert {"id":3,"region":"b"} after {"region":"b","id":3}`,
				`public.p delete {"id":1,"region":"a"} before {"id":1,"region":"a"} incomplete {"before":"unavailable"}`,
				`public.p insert {"id":1,"region":"b"} after {"region":"b","id":1}`,
				`public.p insert {"id":5,"region":"c"} after {"id":5,"region":"c"}`,
				`public.p truncate -`,
				`public.p insert {"id":7,"region":"c"} after {"id":7,"region":"c"}`,
				`public.p gap partition_changed`,
				`public.p read {"id":4,"region":"d"} after {"region":"d","id":4}`,
				`public.p gap partition_changed`,
				`public.p delete {"id":4,"region":"d"} before {"region":"d","id":4} incomplete {"before":"unavailable"}`,
			)
		})
	}
}

// TestAPartitionThatIsGonePassesUnderItsRootsName: the collector was away while it was written to and dropped.
func TestAPartitionThatIsGonePassesUnderItsRootsName(t *testing.T) {
	r := newRig(t, `create table p (id int primary key) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`,
		`create table p_2 partition of p for values from (10) to (20)`)
	stop := r.start()
	_ = stop()
	r.exec(`insert into p values (1); truncate p; insert into p values (2); truncate p_1; drop table p_1`)
	expect(t, r.wait(5), `public.p insert {"id":1} after {"id":1}`, `public.p truncate -`, `public.p insert {"id":2} after {"id":2}`,
		`public.p gap partition_changed`, `public.p gap partition_changed`)
}

func TestIdentifiersAndKeysOfEveryKind(t *testing.T) {
	r := newRig(t, `create schema "we.ird"`,
		`create table "we.ird"."Weird ""Table" (n int, old int, rows text, "n""ew" int, primary key (old, n))`,
		`create table keyless (v int); alter table keyless replica identity full`,
		`create table by_identity (a int primary key, b int not null, c text); create unique index chosen on by_identity (b); alter table by_identity replica identity using index chosen`,
		`create table by_unique (a int unique, b int not null unique); alter table by_unique replica identity full`,
		`create table parent (id int primary key); create table child (primary key (id)) inherits (parent)`)
	r.config.Tables = []string{"public.*", "we?ird.*"}
	r.install()
	r.exec(`insert into "we.ird"."Weird ""Table" values (1, 2, 'x', 3); update "we.ird"."Weird ""Table" set rows = 'y'`)
	r.exec(`insert into keyless values (1); update keyless set v = 2; delete from keyless`)
	r.exec(`insert into by_identity values (1, 2, 'x'); delete from by_identity; insert into by_unique values (null, 5)`)
	r.exec(`insert into child values (1); truncate parent`)
	expect(t, r.wait(11),
		`we%2Eird.Weird%20%22Table insert {"n":1,"old":2} after {"n":1,"old":2,"rows":"x","n\"ew":3}`,
		`we%2Eird.Weird%20%22Table update {"n":1,"old":2} after {"n":1,"old":2,"rows":"y","n\"ew":3} incomplete {"before":"unavailable"}`,
		`public.keyless insert - after {"v":1}`,
		`public.keyless update - before {"v":1} after {"v":2}`,
		`public.keyless delete - before {"v":2}`,
		`public.by_identity insert {"b":2} after {"a":1,"b":2,"c":"x"}`,
		`public.by_identity delete {"b":2} before {"b":2} incomplete {"before":"unavailable"}`,
		`public.by_unique insert {"b":5} after {"a":null,"b":5}`,
		`public.child insert {"id":1} after {"id":1}`,
		`public.parent truncate -`,
		`public.child truncate -`,
	)
}

// TestATransactionOfManyRowsGoesThroughInParts: in bounded batches, and goes on in the middle after a failure, also in the
// middle of a record of the WAL that holds many rows.
func TestATransactionOfManyRowsGoesThroughInParts(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.install()
	const rows = 20000
	r.exec(fmt.Sprintf(`begin; select pg_logical_emit_message(true, 'datawatch.tag', 'big'); create table s as select g, 'x' v from generate_series(1, %d) g;
		insert into t select g, v from s; drop table s; commit`, rows))
	r.limits.batchEvents = 700
	r.fail = func(batch int) (bool, bool) { return batch%5 == 2, batch%5 == 3 }
	runs := 0
	for r.count() < rows {
		if runs++; runs > 200 {
			t.Fatalf("%d events after %d runs", len(r.captured()), runs)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.source().Run(ctx, r.progress(), r.emit) }()
		testrig.WhileMoving(t, time.Minute, func() (n int, err error) {
			n = r.count()
			select {
			case err := <-done:
				done <- err
				return n, nil
			default:
			}
			if n < rows {
				err = fmt.Errorf("%d events", n)
			}
			return n, err
		})
		cancel()
		if err := <-done; err == nil {
			t.Fatal("run ended with nothing")
		}
	}
	tag := "big"
	if r.version() < 140000 {
		tag = "" // messages aren't told
	}
	got := r.captured()
	if len(got) != rows || runs < 3 {
		t.Fatalf("%d events in %d runs", len(got), runs)
	}
	for i, e := range got {
		c := rowChange(t, e)
		if string(e.Key) != fmt.Sprintf(`{"id":%d}`, i+1) || c.TransactionIndex != int64(i) || c.Tag != tag {
			t.Fatalf("event %d: index %d, tag %q, %s", i, c.TransactionIndex, c.Tag, brief(t, e))
		}
	}
	replay(t, got, false)
}

func TestARowThatIsTooLargeIsAGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.install()
	r.opts.MaxRecordBytes = 10000
	r.exec(`insert into t values (1, repeat('x', 9990)), (2, repeat('x', 1000000)), (3, 'x')`)
	expect(t, r.wait(3), `public.t gap row_too_large`, `public.t gap row_too_large`, `public.t insert {"id":3} after {"id":3,"v":"x"}`)
}

// TestAnAlteredTableBreaksNothing: rows come with the columns that they were written with, whatever the table is now.
func TestAnAlteredTableBreaksNothing(t *testing.T) {
	r := newRig(t, `create type pair as (a int, b text)`, `create table t (id int primary key, v text, p pair)`)
	r.install()
	r.exec(`insert into t values (1, 'a', (1, 'x')); alter table t drop column v; alter table t add column w numeric default 1.50`)
	r.exec(`insert into t values (2, (2, 'y'), 2.10); alter type pair add attribute c int; insert into t values (3, (3, 'z', 4), 1)`)
	r.exec(`alter type pair drop attribute b; alter table t rename to u; insert into u values (4, (4, 5), 1)`)
	expect(t, r.wait(6),
		`public.t insert {"id":1} after {"id":1,"v":"a","p":{"a":1,"c":"x"}}`,
		`public.t insert {"id":2} after {"id":2,"p":{"a":2,"c":"y"},"w":2.10}`,
		`public.t insert {"id":3} after {"id":3,"p":"(3,z,4)","w":1}`,
		`public.t truncate - reason rename`, `public.u gap table_new`,
		`public.u insert {"id":4} after {"id":4,"p":{"a":4,"c":5},"w":1}`,
	)
}

// TestATruncateLeavesUnloggedPartitionsOut: they aren't in the WAL, and none of their rows was told.
func TestATruncateLeavesUnloggedPartitionsOut(t *testing.T) {
	r := newRig(t, `create table p (id int primary key) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`,
		`create table p_2 partition of p for values from (10) to (20)`, `create unlogged table p_3 partition of p for values from (20) to (30)`)
	r.install()
	r.exec(`insert into p values (1), (21); truncate p; truncate p_1`)
	expect(t, r.wait(3), `public.p insert {"id":1} after {"id":1}`, `public.p truncate -`, `public.p gap partition_changed`)
}

// TestWhatIsExcludedIsntTold, also of what waits from a time when it wasn't, and where somebody has published it.
func TestWhatIsExcludedIsntTold(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table secret (id int primary key, pan text)`,
		`create table secret_p (id int primary key) partition by range (id)`, `create table p_1 partition of secret_p for values from (0) to (10)`)
	stop := r.start()
	r.exec(`insert into secret values (1, '4111')`)
	r.await(1)
	_ = stop()
	r.exec(`insert into secret values (2, '4222'); truncate secret; insert into secret values (3, '4333'); insert into secret_p values (3); insert into t values (1)`)
	r.config.Exclude = []string{"public.secret*"}
	stop = r.start()
	r.await(2)
	r.awaitPublished("secret", "")
	r.awaitPublished("secret_p", "")
	_ = stop()
	r.config.ManageTriggers = false
	r.exec(`create table secret_2 (id int primary key); insert into secret_2 values (1); alter publication ` + r.source().names.all + ` add table secret, secret_2, secret_p`)
	id := r.ask("")
	stop = r.start()
	r.exec(`insert into secret values (4, '4444'); truncate secret; insert into secret_p values (4); insert into secret_2 values (4); insert into t values (2)`)
	r.awaitEnded(id)
	r.awaitLast(func(e event.Raw) bool { return strings.HasPrefix(brief(t, e), `public.t insert {"id":2}`) })
	_ = stop()
	got := slices.DeleteFunc(briefs(t, r.captured()), func(line string) bool { return strings.HasPrefix(line, "public.t read ") })
	want := []string{`public.secret insert {"id":1} after {"id":1,"pan":"4111"}`, `public.t insert {"id":1} after {"id":1}`,
		`public.secret_p gap partition_changed`, `public.t insert {"id":2} after {"id":2}`}
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s", strings.Join(got, "\n\t"))
	}
}

// TestATableThatWaitsToBePublishedIsAGapSinceItWasMade: a transaction has it, and so long nobody publishes it.
func TestATableThatWaitsToBePublishedIsAGapSinceItWasMade(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	stop := r.start()
	r.exec(`insert into t values (1)`)
	r.await(1)
	r.exec(`create table late (id int primary key)`)
	made := time.Now()
	long := r.session()
	run := func(sql string) {
		t.Helper()
		if _, err := long.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	run(`begin; insert into late values (1)`)
	r.exec(`insert into late values (2)`)
	for range 2 { // looks
		r.exec(fmt.Sprintf(`create table seen_%d (id int primary key)`, time.Now().UnixNano()))
		time.Sleep(lookEvery)
	}
	run(`commit`)
	r.awaitPublished("late", r.source().names.all)
	r.exec(`insert into late values (3)`)
	r.await(3)
	_ = stop()
	r.expectOf("public.late", `insert {"id":3} after {"id":3}`)
	gaps := r.gapsOf("public.late", causeTableNew)
	if len(gaps) != 1 || gaps[0].From.After(made) {
		t.Errorf("made at %v: gaps %+v", made, gaps)
	}
}

// TestAKeyIsToldWhereNoOldRowsCome, as capture by triggers does: that of a unique index, and another than an index that was the replica identity.
func TestAKeyIsToldWhereNoOldRowsCome(t *testing.T) {
	for name, sql := range map[string]string{
		"a unique index":           `create table t (id int not null unique, v int)`,
		"its identity was dropped": `create table t (id int primary key, v int); alter table t replica identity using index t_pkey; alter table t drop constraint t_pkey, add primary key (id)`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, sql)
			r.install()
			r.exec(`insert into t values (1, 1)`)
			expect(t, r.wait(1)[:1], `public.t insert {"id":1} after {"id":1,"v":1}`)
		})
	}
}

// TestATableThatLosesItsReplicaIdentityWhileItIsWaitedForIsNotPublished by what was found before: its updates would be refused.
func TestATableThatLosesItsReplicaIdentityWhileItIsWaitedForIsNotPublished(t *testing.T) {
	for table, back := range map[string]string{
		"t": `alter table t drop constraint t_pkey`,
		"p": `alter table p_1 replica identity nothing`,
	} {
		t.Run(table, func(t *testing.T) {
			r := newRig(t, `create table t (id int)`, `create table p (id int) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`)
			r.install()
			r.exec(`alter table ` + table + ` add primary key (id)`)
			steps, err := r.source().Plan(t.Context())
			if err != nil || len(steps) == 0 {
				t.Fatal(steps, err)
			}
			r.exec(back)
			server, err := askServer(t.Context(), r.db)
			if err != nil {
				t.Fatal(err)
			}
			var refused error
			for _, group := range postgres.Groups(steps) {
				refused = errors.Join(refused, postgres.Apply(t.Context(), r.db, 1, beforeSteps, r.source().stillIdentified(group, server)))
			}
			if refused == nil || !strings.Contains(refused.Error(), "replica identity") {
				t.Errorf("published with %v", refused)
			}
			r.exec(fmt.Sprintf(`insert into %[1]s values (1); update %[1]s set id = 2`, table))
			r.install()
			r.exec(`update ` + table + ` set id = 3`)
		})
	}
}
