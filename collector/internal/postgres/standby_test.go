package postgres

import (
	"fmt"
	"testing"
	"time"

	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/postgres"
)

// TestACommitThatWaitsForAStandbyIsToldOnceItIsSeen: a commit that waits for a synchronous standby is told when others see
// it and not before, and once, whoever is restarted meanwhile, the server too. What the collector notes in the database
// waits for no standby.
func TestACommitThatWaitsForAStandbyIsToldOnceItIsSeen(t *testing.T) {
	private := testrig.PrivatePostgres(t, postgres.Options{})
	if err := private.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, private.DSN("shop"), `create table t (id int primary key, v text)`)
	r.install()
	stop := r.start()
	standby := testrig.AbsentStandby(t, r.dsn)
	first := standby.Wait(`insert into t values (1, 'waits')`)
	r.exec(`set synchronous_commit = local; insert into t values (2, 'seen')`)
	r.await(1)
	_ = stop()

	stop = r.start()
	r.exec(`insert into t values (3, 'seen')`)
	r.await(2)
	testrig.Eventually(t, 60*time.Second, func() error {
		var tick int64
		err := r.db.QueryRow(t.Context(), `select tick from datawatch.progress`).Scan(&tick)
		if err == nil && tick == 0 {
			err = fmt.Errorf("the database was told nothing")
		}
		return err
	})
	standby.Come()
	if err := first.Ended(); err != nil {
		t.Fatal(err)
	}
	r.await(3)
	_ = stop()

	standby = testrig.AbsentStandby(t, r.dsn)
	crashed := standby.Wait(`insert into t values (4, 'lost and found')`)
	r.exec(`insert into t values (5, 'seen')`)
	r.wait(4)
	if err := private.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := crashed.Ended(); err == nil {
		t.Error("a commit ended that nobody has confirmed")
	}
	if err := private.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, r.wait(5),
		`public.t insert {"id":2} after {"id":2,"v":"seen"}`,
		`public.t insert {"id":3} after {"id":3,"v":"seen"}`,
		`public.t insert {"id":1} after {"id":1,"v":"waits"}`,
		`public.t insert {"id":5} after {"id":5,"v":"seen"}`,
		`public.t insert {"id":4} after {"id":4,"v":"lost and found"}`)
}
