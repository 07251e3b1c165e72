package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestNoTreeIsHeldUpForAnother, nor a partition for longer than the bound of its tree: row triggers need all partitions at once, and
// lock_timeout is each lock's own. Writers leave hardly a moment between two transactions.
func TestNoTreeIsHeldUpForAnother(t *testing.T) {
	const tables = 30
	install := func(s *Source) error { return s.install(t.Context(), 5) }
	remove := func(s *Source) error { return s.Remove(t.Context()) }
	for _, one := range []struct {
		name, tree string
		do         func(*Source) error
	}{
		{"roots, removed", `create table p%d (id int) partition by range (id); create table p%[1]d_0 partition of p%[1]d for values from (0) to (100)`, remove},
		{"partitions, installed", `create table p%d partition of p for values from (%[1]d) to (%[1]d + 1)`, install},
		{"partitions, removed", `create table p%d partition of p for values from (%[1]d) to (%[1]d + 1)`, remove},
	} {
		t.Run(one.name, func(t *testing.T) {
			r := newRig(t, `create table p (id int, v text) partition by range (id)`)
			for i := range tables {
				r.exec(fmt.Sprintf(one.tree, i))
			}
			r.exec(`create function noted() returns trigger language plpgsql as $$ begin update p set v = '' where false; return null; end $$;
				create trigger noted after insert on p for each row when (new.id < 0) execute function noted()`)
			if strings.HasSuffix(one.name, "removed") {
				r.install()
			}
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
			var writers sync.WaitGroup
			var mu sync.Mutex
			slowest := time.Duration(0)
			for i := range tables {
				db := r.session()
				writers.Go(func() {
					for ctx.Err() == nil {
						began := time.Now()
						if _, err := db.PgConn().Exec(t.Context(), fmt.Sprintf(`begin; insert into p%d values (%[1]d)`, i)).ReadAll(); err != nil {
							t.Error(err)
							return
						}
						took := time.Since(began)
						mu.Lock()
						slowest = max(slowest, took)
						mu.Unlock()
						if _, err := db.PgConn().Exec(t.Context(), `select pg_sleep(0.09); commit`).ReadAll(); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			err := one.do(r.source())
			stop()
			writers.Wait()
			t.Logf("%v, a write waited at most %v", err, slowest)
			if slowest > time.Second { // the bound is a third of it
				t.Errorf("a write waited %v", slowest)
			}
			if err != nil && !strings.Contains(err.Error(), "run this again") {
				t.Error(err)
			}
			if err := one.do(r.source()); err != nil {
				t.Error(err)
			}
		})
	}
}
