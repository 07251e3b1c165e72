package wal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

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
