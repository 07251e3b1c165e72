package testrig

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Standby is a synchronous standby that isn't there: commits wait for it, on disk but seen by nobody. Sessions that aren't
// to wait set synchronous_commit to local.
type Standby struct {
	t     testing.TB
	dsn   string
	admin *pgx.Conn
}

// AbsentStandby has the commits of a server that is the test's alone wait for a standby, from now on until Come, also when
// the server is killed and restarted meanwhile.
func AbsentStandby(t testing.TB, dsn string) *Standby {
	t.Helper()
	s := &Standby{t: t, dsn: dsn}
	s.admin = s.connect()
	s.exec(`set synchronous_commit = local`)
	s.exec(`alter system set synchronous_standby_names = 'nobody'`)
	s.exec(`select pg_reload_conf()`)
	Eventually(t, 30*time.Second, func() error { // a process of the server's has to hear of it first
		probe := s.Wait(`select pg_logical_emit_message(true, 'probe', '')`)
		select {
		case err := <-probe.ended:
			return fmt.Errorf("a commit doesn't wait: it ended with %w", err)
		default:
			s.exec(fmt.Sprintf(`select pg_cancel_backend(%d)`, probe.pid)) // it has committed, and waits no more
			return <-probe.ended
		}
	})
	return s
}

func (s *Standby) connect() *pgx.Conn {
	s.t.Helper()
	db, err := pgx.Connect(s.t.Context(), s.dsn)
	if err != nil {
		s.t.Fatalf("testrig: %v", err)
	}
	s.t.Cleanup(func() { _ = db.Close(context.Background()) })
	return db
}

func (s *Standby) exec(sql string) {
	s.t.Helper()
	if _, err := s.admin.Exec(s.t.Context(), sql); err != nil {
		s.t.Fatalf("testrig: %s: %v", sql, err)
	}
}

// Waiting is a session whose commit waits.
type Waiting struct {
	pid   uint32
	ended chan error
}

// Ended gives how it ended.
func (w *Waiting) Ended() error { return <-w.ended }

// Wait runs a statement, and returns when its commit waits for the standby, or has ended.
func (s *Standby) Wait(sql string) *Waiting {
	s.t.Helper()
	db := s.connect()
	w := &Waiting{pid: db.PgConn().PID(), ended: make(chan error, 1)}
	done := make(chan struct{})
	go func() {
		_, err := db.Exec(context.Background(), sql)
		w.ended <- err
		close(done)
	}()
	Eventually(s.t, 30*time.Second, func() error {
		select {
		case <-done:
			return nil
		default:
		}
		var waits bool
		err := s.admin.QueryRow(s.t.Context(), `select coalesce(wait_event = 'SyncRep', false) from pg_stat_activity where pid = $1`, w.pid).Scan(&waits)
		if err == nil && !waits {
			err = fmt.Errorf("%s doesn't wait", sql)
		}
		return err
	})
	return w
}

// Come ends the waiting, as a standby does that comes.
func (s *Standby) Come() {
	s.t.Helper()
	s.exec(`alter system reset synchronous_standby_names`)
	s.exec(`select pg_reload_conf()`)
}
