package wal

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	servers "datawatch/pkg/testrig/postgres"
)

// holdBroker has the broker take nothing until the returned function is called; what was captured can't be looked at as long.
func (r *rig) holdBroker() (release func()) {
	gate := make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = func(int) (bool, bool) { <-gate; return false, false }
	return func() { close(gate) }
}

// of are the lines of a stream, without what a table that is new may have had.
func (r *rig) of(entity string) (lines []string) {
	r.t.Helper()
	for _, e := range r.captured() {
		if line := brief(r.t, e); e.Stream.Entity() == entity && !strings.HasSuffix(line, causeTableNew) {
			lines = append(lines, strings.TrimPrefix(line, entity+" "))
		}
	}
	return lines
}

func (r *rig) expectOf(entity string, want ...string) {
	r.t.Helper()
	if got := r.of(entity); !slices.Equal(got, want) {
		r.t.Errorf("of %s\n\t%s\nwant\n\t%s", entity, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// TestATableThatTakesAnothersNameIsToldBehindItsEnd, also where it is read so late that the watcher is far ahead, and where it is gone again
// before anything was compared with a look that saw it.
func TestATableThatTakesAnothersNameIsToldBehindItsEnd(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table a (id int primary key)`, `create table b (id int primary key)`, `create table noise (id int primary key)`)
	r.limits.batchEvents = 2
	n := r.source().names
	stop := r.start()
	r.exec(`insert into t values (1); insert into a values (1); insert into b values (2)`)
	r.await(3)
	release := r.holdBroker()
	for i := range 8 {
		r.exec(fmt.Sprintf(`insert into noise values (%d)`, i))
	}
	r.exec(`drop table t; create table t (id int primary key); create table brief (id int primary key)`)
	r.awaitPublished("t", n.all)
	r.awaitPublished("brief", n.all)
	r.exec(`insert into t values (10); insert into t values (11); insert into brief values (1)`)
	r.exec(`begin; alter table a rename to a_old; alter table b rename to a; commit`)
	r.exec(`insert into a values (3); insert into a_old values (4)`)
	r.exec(`drop table brief`)
	release()
	testrig.Eventually(t, time.Minute, func() error {
		if len(r.of("public.brief")) < 2 {
			return fmt.Errorf("brief isn't at its end in\n\t%s", strings.Join(briefs(t, r.captured()), "\n\t"))
		}
		return nil
	})
	_ = stop()
	r.expectOf("public.t", `insert {"id":1} after {"id":1}`, `truncate - reason drop`, `insert {"id":10} after {"id":10}`, `insert {"id":11} after {"id":11}`)
	r.expectOf("public.brief", `insert {"id":1} after {"id":1}`, `truncate - reason drop`)
	r.expectOf("public.a", `insert {"id":1} after {"id":1}`, `truncate - reason rename`, `insert {"id":3} after {"id":3}`)
	r.expectOf("public.b", `insert {"id":2} after {"id":2}`, `truncate - reason rename`)
	r.expectOf("public.a_old", `insert {"id":4} after {"id":4}`)
	for _, table := range []string{"public.a", "public.a_old"} {
		if gaps := r.gapsOf(table, causeTableNew); len(gaps) != 1 {
			t.Errorf("of %s gaps %+v", table, gaps)
		}
	}
}

// TestTablesThatGoEndTheirStreams, and those that have their rows begin with a gap, where nothing is written; also where no collector ran, and
// once only.
func TestTablesThatGoEndTheirStreams(t *testing.T) {
	for name, one := range map[string]struct {
		sql  string
		want []string // but for the order
	}{
		"renamed":           {`alter table t rename to u`, []string{`public.t truncate - reason rename`, `public.u gap table_new`}},
		"another schema":    {`alter table t set schema s`, []string{`public.t truncate - reason rename`, `s.t gap table_new`}},
		"not selected":      {`alter table t rename to tmp_t`, []string{`public.t truncate - reason rename`}},
		"attached":          {`alter table p attach partition t for values from (0) to (10)`, []string{`public.t truncate - reason attach`, `public.p read {"id":1} after {"id":1}`}},
		"attached outside":  {`alter table tmp_p attach partition t for values from (0) to (10)`, []string{`public.t truncate - reason attach`}},
		"tree dropped":      {`drop table p`, []string{`public.p truncate - reason drop`}},
		"tree renamed":      {`alter table p rename to q`, []string{`public.p truncate - reason rename`, `public.q gap table_new`}},
		"partition dropped": {`drop table p_1`, []string{`public.p gap partition_changed`}},
		"tree made anew": {`drop table p; create table p (id int primary key) partition by range (id); create table p_1 partition of p for values from (10) to (20)`,
			[]string{`public.p truncate - reason drop`}},
	} {
		for _, running := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, running %v", name, running), func(t *testing.T) {
				r := newRig(t, `create schema s`, `create table t (id int primary key)`, `create table p (id int primary key) partition by range (id)`,
					`create table p_1 partition of p for values from (10) to (20)`, `create table p_2 partition of p for values from (20) to (30)`,
					`create table tmp_p (id int primary key) partition by range (id)`, `create table last (id int primary key)`,
					`insert into t values (1); insert into p values (11), (21)`)
				r.config.Tables, r.config.Exclude = []string{"public.*", "s.*"}, []string{"public.tmp_*"}
				stop := r.start()
				if !running {
					_ = stop()
				}
				r.exec(one.sql)
				if !running {
					stop = r.start()
				}
				r.await(len(one.want))
				_ = stop()
				stop = r.start()
				r.exec(`insert into last values (1)`)
				r.await(len(one.want) + 1)
				_ = stop()
				got := briefs(t, r.captured())
				want := append(slices.Clone(one.want), `public.last insert {"id":1} after {"id":1}`)
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
				}
			})
		}
	}
}

// TestAPartitionThatNobodySeesYetIsToldAsOne: the transaction that made and filled it is in the WAL, and waits for a standby.
func TestAPartitionThatNobodySeesYetIsToldAsOne(t *testing.T) {
	server := testrig.PrivatePostgres(t, servers.Options{Settings: map[string]string{"wal_level": "logical", "fsync": "off"}})
	if err := server.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, server.DSN("shop"), `create table p (id int primary key) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`)
	stop := r.start()
	r.exec(`insert into p values (1)`)
	r.await(1)
	r.exec(`set synchronous_commit = local`)
	r.exec(`alter system set synchronous_standby_names = 'nobody'`)
	r.exec(`select pg_reload_conf()`)
	waiting := r.session()
	testrig.Eventually(t, time.Minute, func() (err error) {
		var names string
		if err = waiting.QueryRow(t.Context(), `show synchronous_standby_names`).Scan(&names); err == nil && names == "" {
			err = fmt.Errorf("the setting isn't there yet")
		}
		return err
	})
	done := make(chan error, 1)
	go func() {
		_, err := waiting.PgConn().Exec(context.Background(), `begin; create table p_9 partition of p for values from (90) to (100); insert into p values (95); commit`).ReadAll()
		done <- err
	}()
	testrig.Eventually(t, time.Minute, func() error {
		var n int
		err := r.db.QueryRow(t.Context(), `select count(*) from pg_stat_activity a, pg_stat_replication r join pg_stat_activity s using (pid)
			where a.wait_event = 'SyncRep' and r.application_name = $1 and (r.sent_lsn >= pg_current_wal_flush_lsn() or s.wait_event_type = 'Lock')`, applicationName).Scan(&n)
		if err == nil && n == 0 {
			err = fmt.Errorf("nobody waits, or the commit isn't read, for which version 13 itself waits until it is seen")
		}
		return err
	})
	r.exec(`alter system reset synchronous_standby_names`)
	r.exec(`select pg_reload_conf()`)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.exec(`insert into p values (2)`)
	r.awaitLast(func(e event.Raw) bool { return string(e.Key) == `{"id":2}` })
	_ = stop()
	expect(t, r.captured(), `public.p insert {"id":1} after {"id":1}`, `public.p insert {"id":95} after {"id":95}`, `public.p insert {"id":2} after {"id":2}`)
}

// TestLooksThatWaitAreToldAsOne: a gap of a table that can't be told whole doesn't come once for each look, where the broker took nothing for
// long.
func TestLooksThatWaitAreToldAsOne(t *testing.T) {
	earlier := &look{uncaptured: []uncaptured{{name: "t", changes: new(int64(1))}}, unpublished: []unpublished{{identity: "t", to: time.Unix(1, 0)}}}
	for i := range 3 {
		now := &look{
			fresh: map[uint32]freshTable{}, uncaptured: []uncaptured{{name: "t", changes: new(int64(2))}, {name: "u"}},
			unpublished: []unpublished{{identity: "t", to: time.Unix(int64(i+2), 0)}},
		}
		now.after(earlier)
		earlier = now
	}
	if got := earlier.uncaptured; len(got) != 2 || *got[0].changes != 7 || got[1].changes != nil {
		t.Errorf("%+v", got)
	}
	if got := earlier.unpublished; len(got) != 1 || got[0].to != time.Unix(4, 0) {
		t.Errorf("%+v", got)
	}
}

// TestRowsOfAPartitionThatNobodyKnewAreAGap: it was made, filled, and dropped or detached while nobody read. Its own name isn't selected.
func TestRowsOfAPartitionThatNobodyKnewAreAGap(t *testing.T) {
	for _, went := range []string{`drop table p_9`, `alter table p detach partition p_9`} {
		t.Run(went, func(t *testing.T) {
			r := newRig(t, `create table p (id int primary key) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`)
			r.config.Tables = []string{"public.p"}
			stop := r.start()
			_ = stop()
			r.exec(`create table p_9 partition of p for values from (90) to (100); insert into p values (95)`)
			r.exec(`insert into p values (96); ` + went + `; insert into p values (1)`)
			expect(t, r.wait(2), `public.p gap partition_changed`, `public.p insert {"id":1} after {"id":1}`)
		})
	}
}

// TestWhatATableWasAttachedToHearsNothingOfBefore: what was written to it by itself is told so, also where it is read when it is a partition.
func TestWhatATableWasAttachedToHearsNothingOfBefore(t *testing.T) {
	r := newRig(t, `create table p (id int primary key) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`, `create table alone (id int primary key)`)
	stop := r.start()
	_ = stop()
	r.exec(`insert into alone values (90), (91)`)
	r.exec(`delete from alone where id = 90`)
	r.exec(`alter table p attach partition alone for values from (90) to (100)`)
	expect(t, r.wait(5), `public.alone insert {"id":90} after {"id":90}`, `public.alone insert {"id":91} after {"id":91}`,
		`public.alone delete {"id":90} before {"id":90} incomplete {"before":"unavailable"}`, `public.alone truncate - reason attach`,
		`public.p read {"id":91} after {"id":91}`)
}

// TestALookThatFoundATableCountsForIt, also where a row of it was told before, by a transaction that the look doesn't see.
func TestALookThatFoundATableCountsForIt(t *testing.T) {
	u := knownTable{Schema: "public", Table: "u"}
	early := u
	early.Early = true
	r := &reader{known: knownTables{1: early, 2: early}, early: map[uint32]uint64{1: 10, 2: 10, 3: 10}}
	got := r.overlook(&look{next: 10, tables: knownTables{1: u, 2: {Schema: "public", Table: "was"}, 3: u}})
	if len(got) != 2 || got[1] != u || got[2] != early {
		t.Errorf("%+v", got)
	}
	if got := r.overlook(&look{next: 11, tables: knownTables{2: u, 3: u}}); len(got) != 2 || got[2] != u || got[3] != u || len(r.early) != 0 {
		t.Errorf("%+v, %v", got, r.early)
	}
}
