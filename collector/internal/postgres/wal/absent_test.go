package wal

import (
	"errors"
	"testing"
	"time"

	"datawatch/pkg/testrig"
)

// TestATableThatIsPutBackHasAGapFromWhenItWasTakenOut, also of one that is empty by then: what it held is gone.
func TestATableThatIsPutBackHasAGapFromWhenItWasTakenOut(t *testing.T) {
	for name, one := range map[string]struct {
		change string
		anew   string // while nobody reads, before it is put back
		cause  string
	}{
		"rows":            {`insert into t values (2); insert into tree values (2)`, ``, causeTableNew},
		"emptied":         {`delete from t; delete from tree`, ``, causeTableNew},
		"and a new epoch": {`insert into t values (2); insert into tree values (2)`, `select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()`, causeSlotLost},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, `create table t (id int primary key)`, `create table other (id int primary key)`,
				`create table tree (id int primary key) partition by range (id)`, `create table tree_1 partition of tree for values from (0) to (10)`)
			stop := r.start()
			r.exec(`insert into t values (1); insert into tree values (1)`)
			r.await(2)
			_ = stop()
			r.config.Exclude = []string{"public.t", "public.tree"}
			stop = r.start()
			before := r.clock()
			r.exec(one.change + `; insert into other values (1)`)
			r.await(3)
			_ = stop()
			stop = r.start() // and once more, which looks at nothing that it is to remember
			after := r.clock()
			testrig.Eventually(t, time.Minute, func() error {
				if p, err := parseProgress(r.progress()); err != nil || p.right().Before(after) {
					return errors.New("nothing looked yet")
				}
				return nil
			})
			_ = stop()
			if one.anew != "" {
				testrig.Eventually(t, time.Minute, func() error { // the server may still see its reader
					_, err := r.db.Exec(t.Context(), one.anew)
					return err
				})
			}
			r.config.Exclude = nil
			stop = r.start()
			for _, table := range []string{"public.t", "public.tree"} {
				testrig.Eventually(t, time.Minute, func() error {
					if len(r.gapsOf(table, one.cause)) == 0 {
						return errors.New("no gap of " + table)
					}
					return nil
				})
			}
			_ = stop()
			for _, table := range []string{"public.t", "public.tree"} {
				if gaps := r.gapsOf(table, one.cause); len(gaps) != 1 || gaps[0].From.After(before) || gaps[0].To.Before(after) {
					t.Errorf("gaps of %s of a change after %s: %+v", table, before, gaps)
				}
			}
		})
	}
}
