package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
)

func TestCaptureIsSwitchedOffAndOnInTheDatabase(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`, `create table p (id int primary key) partition by range (id); create table p0 partition of p for values from (0) to (10)`)
	r.install()
	r.exec(`insert into t values (1, 'a')`)
	before := time.Now()
	r.exec(`select datawatch.off(); select datawatch.off()`)
	r.exec(`insert into t values (2, 'b'); insert into p values (1); update t set v = 'c' where id = 1`)
	status, err := r.source().Status(t.Context())
	if err != nil || status.Off == nil || status.Complete {
		t.Errorf("status %+v, %v", status, err)
	}
	r.exec(`select datawatch.on(); select datawatch.on()`)
	r.exec(`insert into t values (3, 'd')`)
	got := r.drained()
	var gaps, rows []string
	for _, e := range got {
		if line := brief(t, e); strings.Contains(line, " gap ") {
			gaps = append(gaps, line)
			if g := gapOf(t, e); g.From.Before(before.Add(-time.Minute)) || g.To.Before(g.From) {
				t.Errorf("gap %+v", g)
			}
		} else {
			rows = append(rows, line)
		}
	}
	if want := []string{`public.t insert {"id":1} after {"id":1,"v":"a"}`, `public.t insert {"id":3} after {"id":3,"v":"d"}`}; strings.Join(rows, "\n") != strings.Join(want, "\n") {
		t.Errorf("rows %q", rows)
	}
	if n := strings.Count(strings.Join(gaps, "\n"), "gap switched_off"); n != 6 || len(gaps) != n { // off, off and on, in both streams
		t.Errorf("gaps %q", gaps)
	}
}

// dump is the schema as pg_dump writes it.
func (r *rig) dump() string {
	r.t.Helper()
	var lines []string
	for line := range strings.Lines(r.clientProgram("pg_dump", "-s", "-d", r.dsn)) {
		if !strings.HasPrefix(line, `\restrict`) && !strings.HasPrefix(line, `\unrestrict`) { // a new word each time
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func TestADumpAfterRemovalIsTheDumpBeforeInstallation(t *testing.T) {
	r := newRig(t, shopDDL, `create table w (id int primary key, v text)`,
		`create function again() returns trigger language plpgsql as $$ begin return null; end $$;
		create trigger again after insert on w for each row execute function again(); create trigger again after insert on p for each row execute function again()`)
	r.config.Tables = []string{"*.*"}
	before := r.dump()
	r.install()
	r.exec(`insert into w values (1, 'x')`)
	if installed := r.dump(); !strings.Contains(installed, triggerRows) || installed == before {
		t.Error("nothing was installed")
	}
	if err := r.source().Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := r.dump(); after != before {
		t.Errorf("the dump was\n%s\nand is\n%s", before, after)
	}
}

// What the documentation asks for, and no more: the installer may create a schema and has TRIGGER on the tables, the
// reader may connect, the application has its own rights on its tables.
func TestTheDocumentedRightsAreEnough(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`, ownRowTrigger, `create table p (id int primary key) partition by range (id); create table p0 partition of p for values from (0) to (10)`,
		`create table untouched (id int primary key)`)
	for _, role := range []string{"dw_rights_installer", "dw_rights_reader", "dw_rights_app"} {
		r.exec(`drop role if exists ` + role + `; create role ` + role + ` login password 'x'`)
	}
	t.Cleanup(func() {
		r.db = r.session0()
		for _, role := range []string{"dw_rights_installer", "dw_rights_reader", "dw_rights_app"} {
			_, _ = r.db.Exec(context.Background(), `drop owned by `+role+` cascade`)
			_, _ = r.db.Exec(context.Background(), `drop role `+role)
		}
	})
	r.exec(`do $$ begin execute format('grant create on database %I to dw_rights_installer', current_database()); end $$;
		grant trigger on t, p, p0 to dw_rights_installer; grant select, insert, update, delete, truncate on t, p to dw_rights_app`)
	r.config.InstallDSN, r.config.DSN = r.as("dw_rights_installer", "x"), r.as("dw_rights_reader", "x")
	r.config.Exclude = []string{"public.untouched"}
	r.install()
	if n := r.announced("t"); n != 3 {
		t.Errorf("%d triggers announce statements", n)
	}
	stop := r.start()
	r.exec(`set role dw_rights_app; insert into t values (1, 'a'); insert into p values (1); truncate p; delete from t; reset role`)
	r.await(5)
	_ = stop()
	expect(t, r.captured(),
		`public.t insert {"id":1} after {"id":1,"v":"a"}`,
		`public.t update {"id":1} before {"id":1,"v":"a"} after {"id":1,"v":"a!"}`,
		`public.p insert {"id":1} after {"id":1}`,
		`public.p truncate -`,
		`public.t delete {"id":1} before {"id":1,"v":"a!"}`)
	status, err := r.source().Status(t.Context())
	if err != nil || !status.Complete {
		t.Errorf("status %+v, %v", status, err)
	}
	if err := r.source().Remove(t.Context()); err != nil || r.announced("t") != 0 {
		t.Errorf("removed with %v, %d triggers are left", err, r.announced("t"))
	}
}

// states is a reporter that keeps the last state.
type states struct {
	silent
	last atomic.Value
}

func (s *states) State(state source.State, why reason.Text) {
	said := strings.TrimSpace(string(state) + " " + string(why.Code))
	s.last.Store(said)
}

func TestThatNothingIsCapturedIsToldAsStalled(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	told := &states{}
	r.opts.Reporter = told
	stop := r.start()
	for _, step := range []struct{ do, want string }{
		{`select`, "streaming"}, {`select datawatch.off()`, "stalled switched_off"}, {`select datawatch.on()`, "streaming"},
		{`update datawatch.queue set room = 0; insert into t select generate_series(1, 3)`, "stalled outbox_full"}, {`update datawatch.queue set room = 1 << 30`, "streaming"},
	} {
		r.exec(step.do)
		testrig.Eventually(t, 20*time.Second, func() error {
			if last := told.last.Load(); last != step.want {
				return fmt.Errorf("after %s the state is %v", step.do, last)
			}
			return nil
		})
	}
	_ = stop()
}
