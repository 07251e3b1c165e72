package wal

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"datawatch/pkg/testrig"
	servers "datawatch/pkg/testrig/postgres"
)

// lags is a rig that keeps the lag that is told.
type lags struct {
	*rig
	mu        sync.Mutex
	now, most float64
}

func (l *lags) Lag(seconds float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now, l.most = seconds, max(l.most, seconds)
}

func (l *lags) told() (now, most float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now, l.most
}

// TestALagIsToldThoughTheServerSendsNothing, and ends when it does again.
func TestALagIsToldThoughTheServerSendsNothing(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			server := testrig.PrivatePostgres(t, servers.Options{Version: version})
			if err := server.CreateDatabase(t.Context(), "shop"); err != nil {
				t.Fatal(err)
			}
			r := newRigOn(t, server.DSN("shop"), `create table t (id int primary key)`)
			r.limits.quiet = 3 * time.Second
			var log lockedBuffer
			r.opts.Log = slog.New(slog.NewTextHandler(&log, nil))
			lag := &lags{rig: r}
			r.opts.Reporter = lag
			r.start()
			r.exec(`insert into t values (1)`)
			r.await(1)
			var pid int
			if err := r.db.QueryRow(t.Context(), `select active_pid from pg_replication_slots where slot_name = $1`, r.source().names.slot).Scan(&pid); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
			r.exec(`insert into t values (2)`)
			stopped := time.Now()
			testrig.Eventually(t, time.Minute, func() error {
				if now, _ := lag.told(); now < 10 {
					return fmt.Errorf("a lag of %v after %s", now, time.Since(stopped))
				}
				return nil
			})
			now, _ := lag.told()
			if late := time.Since(stopped).Seconds(); now > late+2*lookEvery.Seconds() {
				t.Errorf("a lag of %v after %v", now, late)
			}
			if said := strings.Count(log.String(), "sends none of it"); said != 1 || !strings.Contains(log.String(), fmt.Sprintf("process %d", pid)) {
				t.Errorf("the log has %d lines of it:\n%s", said, log.String())
			}
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			r.await(2)
			testrig.Eventually(t, time.Minute, func() error {
				if now, _ := lag.told(); now >= 1 {
					return fmt.Errorf("a lag of %v", now)
				}
				return nil
			})
		})
	}
}

// TestALagIsToldWhileAStandbyIsWaitedFor, of which the server sends nothing that it doesn't have, though it answers.
func TestALagIsToldWhileAStandbyIsWaitedFor(t *testing.T) {
	r := newRigOn(t, private(t, "18", nil, ""), `create table t (id int primary key)`, `select pg_create_physical_replication_slot('away', true)`)
	lag := &lags{rig: r}
	r.opts.Reporter = lag
	r.start()
	r.exec(`alter system set synchronized_standby_slots = 'away'`)
	r.exec(`select pg_reload_conf()`)
	testrig.Eventually(t, time.Minute, func() error {
		r.exec(`insert into t select coalesce(max(id), 0) + 1 from t`)
		if now, _ := lag.told(); now < 5 {
			return fmt.Errorf("a lag of %v", now)
		}
		return nil
	})
	r.exec(`alter system reset synchronized_standby_slots`)
	r.exec(`select pg_reload_conf()`)
	testrig.Eventually(t, time.Minute, func() error {
		if now, _ := lag.told(); now >= 1 {
			return fmt.Errorf("a lag of %v", now)
		}
		return nil
	})
}

// TestWhereNothingIsToBeSentThereIsNoLag: what is on disk of a transaction that is open ends within a record, and is behind all that can be sent.
func TestWhereNothingIsToBeSentThereIsNoLag(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			server := testrig.PrivatePostgres(t, servers.Options{Version: version})
			if err := server.CreateDatabase(t.Context(), "shop"); err != nil {
				t.Fatal(err)
			}
			r := newRigOn(t, server.DSN("shop"), `create table t (id int primary key)`, `create table other (v text)`)
			r.config.Tables = []string{"public.t"}
			lag := &lags{rig: r}
			r.opts.Reporter = lag
			r.start()
			r.exec(`insert into t values (1)`)
			r.await(1)
			writer := r.session()
			if _, err := writer.Exec(t.Context(), `begin`); err != nil {
				t.Fatal(err)
			}
			within := 0
			for range 4 {
				if _, err := writer.Exec(t.Context(), `insert into other select repeat(md5(i::text), 50) from generate_series(1, 20) i`); err != nil {
					t.Fatal(err)
				}
				testrig.Eventually(t, time.Minute, func() error { // the server writes whole pages to disk
					var rest int64
					if err := r.db.QueryRow(t.Context(), `select ((pg_current_wal_insert_lsn() - pg_current_wal_flush_lsn()) / 8192)::bigint`).Scan(&rest); err != nil || rest > 1 {
						return fmt.Errorf("%d pages aren't on disk, %w", rest, err)
					}
					return nil
				})
				var boundary bool
				if err := r.db.QueryRow(t.Context(), `select (pg_current_wal_flush_lsn() - '0/0') % 8192 = 0`).Scan(&boundary); err != nil {
					t.Fatal(err)
				}
				if boundary {
					within++
				}
				before := time.Now()
				testrig.Eventually(t, time.Minute, func() error { // two looks have seen it
					if time.Since(before) < 2*lookEvery {
						return fmt.Errorf("not yet")
					}
					return nil
				})
				if now, most := lag.told(); most >= 1 {
					t.Fatalf("a lag of %v, and of %v before", now, most)
				}
			}
			if within == 0 {
				t.Error("the WAL on disk never ended with a page")
			}
		})
	}
}
