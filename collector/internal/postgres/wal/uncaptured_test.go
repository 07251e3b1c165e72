package wal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/testrig"
	servers "datawatch/pkg/testrig/postgres"
)

// elsewhere runs SQL in a session of its own, which tells the server's statistics at its end.
func (r *rig) elsewhere(sql string) {
	r.t.Helper()
	db := r.session()
	if _, err := db.PgConn().Exec(r.t.Context(), sql).ReadAll(); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
	if err := db.Close(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// awaitCounted waits until as many updates and deletes of a table are in the server's statistics.
func (r *rig) awaitCounted(table string, n int) {
	r.t.Helper()
	testrig.Eventually(r.t, time.Minute, func() error {
		var got int
		err := r.db.QueryRow(r.t.Context(), `select n_tup_upd + n_tup_del from pg_stat_all_tables where relid = $1::text::regclass`, table).Scan(&got)
		if err == nil && got != n {
			err = fmt.Errorf("%d changes of %s, not %d", got, table, n)
		}
		return err
	})
}

// TestWhatIsUpdatedWithoutAReplicaIdentityWhileNobodyReadsIsAGap, once, and of no table that wasn't changed.
func TestWhatIsUpdatedWithoutAReplicaIdentityWhileNobodyReadsIsAGap(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		for name, one := range map[string]struct {
			change string
			lost   int64 // -1 where nobody knows
			stale  bool  // the table that isn't changed has a gap too
		}{
			"update and delete":              {`update k set v = 2; delete from k`, 2, false},
			"a partition that is made":       {`create table tree_1 partition of tree for values from (0) to (10); insert into tree values (1); update tree set v = 2`, 1, false},
			"statistics are reset":           {`update k set v = 2; select pg_stat_reset()`, -1, true},
			"statistics are reset, before":   {`select pg_stat_reset(); update k set v = 2; update k set v = 3`, -1, true},
			"a table's statistics are reset": {`select pg_stat_reset_single_table_counters('k'::regclass); update k set v = 2`, -1, true},
		} {
			t.Run(strings.TrimSpace(name+" "+version), func(t *testing.T) {
				r := newRigOn(t, databaseOn(t, version), `create table tree (v int) partition by range (v)`, `create table k (v int)`, `create table idle (v int)`)
				r.elsewhere(`insert into k values (1); insert into idle values (1); update k set v = 1; update idle set v = 1`)
				r.awaitCounted("k", 1)
				r.awaitCounted("idle", 1)
				for range 2 {
					stop := r.start()
					_ = stop()
				}
				before := r.clock()
				r.elsewhere(one.change)
				after := r.clock()
				stream := "public.k"
				if strings.Contains(one.change, "tree") {
					stream = "public.tree"
				}
				stop := r.start()
				testrig.Eventually(t, time.Minute, func() error {
					if len(r.gapsOf(stream, causeNotPublished)) == 0 {
						return errors.New("no gap")
					}
					return nil
				})
				_ = stop()
				for range 2 {
					stop := r.start()
					_ = stop()
				}
				gaps := r.gapsOf(stream, causeNotPublished)
				if len(gaps) != 1 || gaps[0].From.After(before) || gaps[0].To.Before(after) {
					t.Fatalf("gaps %+v", gaps)
				}
				lost := int64(-1)
				if gaps[0].Lost != nil {
					lost = *gaps[0].Lost
				}
				if lost != one.lost {
					t.Errorf("%d were lost", lost)
				}
				if stale := len(r.gapsOf("public.idle", causeNotPublished)) > 0; stale != one.stale {
					t.Errorf("a gap of the other table: %v", stale)
				}
			})
		}
	}
}

// TestACrashThatTakesTheStatisticsIsAGap of tables whose updates nothing else tells of.
func TestACrashThatTakesTheStatisticsIsAGap(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			server := testrig.PrivatePostgres(t, servers.Options{Version: version})
			if err := server.CreateDatabase(t.Context(), "shop"); err != nil {
				t.Fatal(err)
			}
			r := newRigOn(t, server.DSN("shop"), `create table k (v int)`, `insert into k values (1)`)
			stop := r.start()
			_ = stop()
			if err := server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.db = r.session()
			stop = r.start()
			_ = stop()
			if gaps := r.gapsOf("public.k", causeNotPublished); len(gaps) > 0 {
				t.Errorf("gaps of a server that was restarted in order: %+v", gaps)
			}
			before := r.clock()
			r.exec(`update k set v = 2`)
			after := r.clock()
			if err := server.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.db = r.session()
			stop = r.start()
			testrig.Eventually(t, time.Minute, func() error {
				if len(r.gapsOf("public.k", causeNotPublished)) == 0 {
					return errors.New("no gap")
				}
				return nil
			})
			_ = stop()
			if gaps := r.gapsOf("public.k", causeNotPublished); len(gaps) != 1 || gaps[0].From.After(before) || gaps[0].To.Before(after) || gaps[0].Lost != nil {
				t.Errorf("gaps %+v", gaps)
			}
		})
	}
}

func TestCheckTellsThatNobodyCountsWhatCantBePublished(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.exec(`do $$ begin execute format('alter database %I set track_counts = off', current_database()); end $$`)
	const want = "track_counts is off"
	if text := findingsText(r.source().Check(t.Context())); strings.Contains(text, want) {
		t.Errorf("check says\n%s", text)
	}
	r.exec(`create table k (v int)`)
	if text := findingsText(r.source().Check(t.Context())); !strings.Contains(text, want) {
		t.Errorf("check says\n%s", text)
	}
}
