package wal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/postgres"
)

// TestACommitThatWaitsForAStandbyIsToldOnce: the server sends a transaction as soon as it is on disk, also where its commit
// waits for a synchronous standby and nobody sees it. It is told then, and once, whoever is restarted meanwhile; a snapshot
// waits until it is seen, or it would tell the row as it was.
func TestACommitThatWaitsForAStandbyIsToldOnce(t *testing.T) {
	private := testrig.PrivatePostgres(t, postgres.Options{})
	if err := private.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, private.DSN("shop"), `create table t (id int primary key, v text); alter table t replica identity full; insert into t values (1, 'old')`)
	r.install()
	stop := r.start()
	standby := testrig.AbsentStandby(t, r.dsn)
	updated := standby.Wait(`update t set v = 'new' where id = 1`)
	r.await(1)
	_ = stop()

	id := r.ask("")
	stop = r.start()
	r.exec(`set synchronous_commit = local; insert into t values (2, 'seen')`)
	r.await(2)
	testrig.Eventually(t, 60*time.Second, func() error {
		if job := r.account().Job(id); job == nil || job.Began.IsZero() {
			return fmt.Errorf("snapshot %s hasn't begun: %v", id, job)
		}
		return nil
	})
	for i := range 5 { // reading has the time to try
		r.exec(fmt.Sprintf(`insert into t values (%d, 'seen')`, 10+i))
		r.await(3 + i)
	}
	if read, _ := r.account().Job(id).Rows(); read > 0 {
		t.Errorf("%d rows were read, of which a transaction that was told has changed one that nobody sees", read)
	}
	_ = stop()

	crashed := standby.Wait(`insert into t values (3, 'lost and found')`)
	if err := private.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(crashed.Ended(), updated.Ended()); err == nil {
		t.Error("commits ended that nobody has confirmed")
	}
	if err := private.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.db = r.session()
	stop = r.start()
	r.awaitEnded(id)
	_ = stop()
	rows := replay(t, r.captured(), true)[r.stream("t")]
	if rows[`{"id":1}`] != `{"id":1,"v":"new"}` || rows[`{"id":3}`] != `{"id":3,"v":"lost and found"}` || len(rows) != 8 {
		t.Errorf("by replay: %v", rows)
	}
	if n := len(r.captured()); n != 8+8 {
		t.Errorf("%d events: %q", n, briefs(t, r.captured()))
	}
}

// TestACommitThatWaitsForAStandbyHoldsUpNoOther: what it wrote to a partition that it made, moved, or had to itself, can't be told as long as nobody
// sees whose that is. All others are told; its own are read when they are seen, and are a gap.
func TestACommitThatWaitsForAStandbyHoldsUpNoOther(t *testing.T) {
	private := testrig.PrivatePostgres(t, postgres.Options{Settings: map[string]string{"wal_level": "logical", "fsync": "off"}})
	if err := private.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, private.DSN("shop"), append(slices.Clone(bare), `create table made (id int primary key) partition by range (id)`, `create table made_1 partition of made for values from (0) to (10)`,
		`create table emptied (id int primary key) partition by range (id)`, `create table emptied_1 partition of emptied for values from (0) to (10)`,
		`create table emptied_2 partition of emptied for values from (10) to (20)`, `create table last (id int primary key)`)...)
	if r.version() < 140000 {
		t.Skip("PostgreSQL 13 itself sends nothing of a partition that somebody has locked: its sender waits for the lock")
	}
	r.limits.unseen = time.Second
	stop := r.start()
	r.exec(`insert into p values (1, 1), (5, 1); insert into made values (1); insert into emptied values (1), (11)`)
	r.await(5)
	standby := testrig.AbsentStandby(t, r.dsn)
	var waiting []*testrig.Waiting
	for _, sql := range []string{
		`alter table p detach partition p_1; ` + toAnother + `delete from p_1`,
		`create table made_9 partition of made for values from (90) to (100); insert into made values (95)`,
		`create table gone_9 partition of q for values from (90) to (100); insert into q values (95, 1)`, // which is dropped before a look finds it
		`truncate emptied_1; insert into emptied values (3)`,
	} {
		waiting = append(waiting, standby.Wait(`do $$ begin `+sql+`; end $$`))
	}
	r.exec(`set synchronous_commit = local`)
	for id := range 2 { // the second one is told by another run
		r.exec(fmt.Sprintf(`insert into last values (%d)`, id))
		r.awaitLast(func(e event.Raw) bool {
			return string(e.Key) == fmt.Sprintf(`{"id":%d}`, id) && e.Stream.Entity() == "public.last"
		})
		_ = stop()
		stop = r.start()
	}
	if n := r.count(); n != 5+2 {
		t.Errorf("what nobody sees was told\n\t%s", strings.Join(briefs(t, r.captured()), "\n\t"))
	}
	_ = stop()
	standby.Come()
	for _, w := range waiting {
		if err := w.Ended(); err != nil {
			t.Fatal(err)
		}
	}
	r.exec(`drop table gone_9`)
	stop = r.start()
	r.compared()
	r.exec(`insert into made values (96)`)
	r.awaitLast(func(e event.Raw) bool { return string(e.Key) == `{"id":96}` })
	_ = stop()
	for stream, want := range map[string][]string{
		"public.p":       {`gap partition_changed`, `read {"id":1} after {"id":1,"v":1}`, `read {"id":5} after {"id":5,"v":1}`},
		"public.made":    {`gap table_new`, `read {"id":95} after {"id":95}`, `insert {"id":96} after {"id":96}`},
		"public.q":       {`gap partition_changed`},
		"public.emptied": {`gap partition_changed`, `read {"id":3} after {"id":3}`},
	} {
		var told []string
		for _, e := range r.captured()[5+2:] {
			if line, of := strings.CutPrefix(brief(t, e), stream+" "); of {
				told = append(told, line)
			}
		}
		for _, line := range want {
			if !slices.Contains(told, line) {
				t.Errorf("%s was told no %q", stream, line)
			}
		}
		if slices.ContainsFunc(told, func(line string) bool {
			return strings.HasPrefix(line, "delete") || strings.HasPrefix(line, "truncate")
		}) {
			t.Errorf("%s lost rows that it has", stream)
		}
	}
	if t.Failed() {
		t.Log(strings.Join(briefs(t, r.captured()), "\n\t"))
	}
}

// TestOursNeverBecomesTheStandbyThatCommitsWaitFor, also where the server was set to take any while it was captured.
func TestOursNeverBecomesTheStandbyThatCommitsWaitFor(t *testing.T) {
	r := newRigOn(t, private(t, "", nil, ""), `create table t (id int primary key)`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.source().Run(ctx, r.progress(), r.emit) }()
	testrig.Eventually(t, time.Minute, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !slices.Contains(r.states, "streaming ") {
			return fmt.Errorf("states %q", r.states)
		}
		return nil
	})
	r.exec(`alter system set synchronous_standby_names = 'ANY 1 (*)'`)
	r.exec(`select pg_reload_conf()`)
	if err := <-done; !errors.Is(err, errSynchronous) {
		t.Errorf("run ended with %v", err)
	}
}
