package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/daemon"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
)

// role makes a role that may log in and nothing else, for as long as the test runs.
func (r *rig) role(name string) {
	r.t.Helper()
	r.exec(`drop role if exists ` + name + `; create role ` + name + ` login password 'x'`)
	r.t.Cleanup(func() {
		db := r.session0()
		defer closeConn(context.Background(), db)
		_, _ = db.Exec(context.Background(), `drop owned by `+name+` cascade`)
		_, _ = db.Exec(context.Background(), `drop role `+name)
	})
}

// finding is what check says of a part of the source.
func (r *rig) finding(part string) daemon.Finding {
	r.t.Helper()
	for _, f := range r.source().Check(r.t.Context()) {
		if f.What == "source shop-db "+part {
			return f
		}
	}
	return daemon.Finding{}
}

// TestAnInstallerWithoutTRIGGERIsTold by check before he tries, and by the installation, with what grants it.
func TestAnInstallerWithoutTRIGGERIsTold(t *testing.T) {
	r := newRig(t, `create schema "S s"; create table "S s".a (id int primary key); create table b (id int primary key); create table given (id int primary key)`,
		`do $$ begin for i in 1..6 loop execute format('create table many%s (id int primary key)', i); end loop; end $$`)
	r.role("dw_ungranted_installer")
	r.exec(`do $$ begin execute format('grant create on database %I to dw_ungranted_installer', current_database()); end $$; grant trigger on given to dw_ungranted_installer`)
	r.config.Tables, r.config.Exclude = []string{"*.*"}, []string{"public.many*"}
	r.config.InstallDSN = r.as("dw_ungranted_installer", "x")
	usage, onA, onB := `grant usage on schema "S s" to dw_ungranted_installer`, `grant trigger on "S s".a`, `grant trigger on public.b to dw_ungranted_installer`

	f := r.finding("triggers")
	if f.Err == nil || !strings.Contains(f.Err.Error(), `"S s".a, public.b`) || strings.Contains(f.Err.Error(), "given") ||
		!strings.Contains(f.Remedy, usage+`; grant trigger on "S s".a, public.b to dw_ungranted_installer`) {
		t.Errorf("check says %q (%s)", f.Err, f.Remedy)
	}
	s := r.source()
	err := s.Install(t.Context())
	if err == nil || !strings.Contains(err.Error(), usage+"; "+onA+" to dw_ungranted_installer") || !strings.Contains(err.Error(), onB) || strings.Contains(err.Error(), "given") {
		t.Fatalf("installed with %v", err)
	}
	for stream, lacks := range *s.refused.Load() {
		if lacks.why.Code != reason.Ungranted || !strings.Contains(lacks.why.In("vi"), "grant trigger on") {
			t.Errorf("%s isn't captured, since %q", stream, lacks.why)
		}
	}
	r.config.Exclude = nil
	if f := r.finding("triggers"); f.Err == nil || !strings.Contains(f.Err.Error(), "public.many3, and 3 more") {
		t.Errorf("of many tables, check says %q", f.Err)
	}
	r.config.Exclude = []string{"public.many*"}
	r.exec(usage + `; grant trigger on "S s".a, public.b to dw_ungranted_installer`)
	if f := r.finding("triggers"); f.Err != nil {
		t.Errorf("with the rights, check says %q", f.Err)
	}
	r.install()
}

// TestATruncateOfAPartitionThatMayNotBeReadIsForetold: check says which partitions, and what becomes of it, before the installation and after.
func TestATruncateOfAPartitionThatMayNotBeReadIsForetold(t *testing.T) {
	for onError, becomes := range map[string]string{onErrorFailOpen: "is a gap", onErrorStrict: "fails"} {
		t.Run(onError, func(t *testing.T) {
			r := newRig(t, `create schema s; create table s.p (id int primary key) partition by range (id); create table s.p0 partition of s.p for values from (0) to (10)`,
				`create table s.p1 partition of s.p for values from (10) to (20); create table t (id int primary key)`)
			r.role("dw_unreading_installer")
			r.exec(`do $$ begin execute format('grant create on database %I to dw_unreading_installer', current_database()); end $$;
				grant usage on schema s to dw_unreading_installer; grant trigger on s.p, s.p0, s.p1, t to dw_unreading_installer; grant select on s.p1 to dw_unreading_installer`)
			r.config.Tables, r.config.OnError = []string{"*.*"}, onError
			r.config.InstallDSN = r.as("dw_unreading_installer", "x")
			told := func() {
				t.Helper()
				if f := r.finding("partitions"); f.Err != nil || !strings.Contains(f.Detail, becomes) || !strings.Contains(f.Detail, "rows: s.p0. ") || !strings.Contains(f.Detail, "grant select on s.p0 to dw_unreading_installer") {
					t.Errorf("check says %+v", f)
				}
			}
			told()
			r.install()
			told()
			r.exec(`insert into s.p values (1), (11)`)
			for _, partition := range []string{"s.p0", "s.p1"} {
				_, err := r.db.Exec(t.Context(), `truncate `+partition)
				if fails := becomes == "fails" && partition == "s.p0"; (err != nil) != fails {
					t.Errorf("truncate %s ends with %v", partition, err)
				}
			}
			if failed := r.number(`select count(*) from datawatch.outbox where op = 'g'`); (failed > 0) != (becomes == "is a gap") {
				t.Errorf("%d failures of capture are noted", failed)
			}
			r.exec(`grant select on s.p0 to dw_unreading_installer`)
			if f := r.finding("partitions"); f.Detail != "" || f.Err != nil {
				t.Errorf("once it may be read, check says %+v", f)
			}
		})
	}
}

// TestAnInitialSnapshotThatMayNotReadIsForetold: it is tried once, and leaves out what it may not read. A tree with a key is read by its root.
func TestAnInitialSnapshotThatMayNotReadIsForetold(t *testing.T) {
	r := newRig(t, `create schema s; create table s.hidden (id int primary key); create table plain (id int primary key)`,
		`create table keyed (id int primary key) partition by range (id); create table keyed0 partition of keyed for values from (0) to (10)`,
		`create table keyless (id int) partition by range (id); create table keyless0 partition of keyless for values from (0) to (10)`)
	r.role("dw_unreading_reader")
	r.exec(`grant select on plain, keyed, keyless to dw_unreading_reader`)
	r.config.Tables = []string{"*.*"}
	r.config.InstallDSN, r.config.DSN = r.config.DSN, r.as("dw_unreading_reader", "x")
	r.install()
	if f := r.finding("snapshot"); f.What != "" {
		t.Errorf("without a snapshot, check says %+v", f)
	}
	r.config.Snapshot = snapshotInitial
	grants := `grant usage on schema s to dw_unreading_reader; grant select on public.keyless0, s.hidden to dw_unreading_reader`
	if f := r.finding("snapshot"); f.Err == nil || !strings.Contains(f.Err.Error(), "may not read public.keyless0, s.hidden:") || !strings.Contains(f.Remedy, grants+",") {
		t.Errorf("check says %q (%s)", f.Err, f.Remedy)
	}
	r.exec(grants)
	r.exec(`alter table plain enable row level security; alter table keyed0 enable row level security`)
	if f := r.finding("snapshot"); f.Err == nil || !strings.Contains(f.Err.Error(), "rows of public.plain from the role dw_unreading_reader:") || !strings.Contains(f.Remedy, "bypassrls") {
		t.Errorf("with row security, check says %q (%s)", f.Err, f.Remedy)
	}
	r.exec(`alter table plain disable row level security`)
	if f := r.finding("snapshot"); f.Err != nil || f.Detail == "" {
		t.Errorf("once they may be read, check says %+v", f)
	}
	stop := r.start()
	if problems := r.awaitEnded(backfill.InitialID).Problems(); slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, "permission denied") }) {
		t.Errorf("the snapshot left out %q", problems)
	}
	_ = stop()
}

// TestASubscriptionsTargetsAreTold by check: no trigger of a statement fires for what logical replication applies, be it ENABLE ALWAYS.
func TestASubscriptionsTargetsAreTold(t *testing.T) {
	const tables = `create table t (id int primary key); create table apart (id int primary key)`
	from := newRig(t, tables)
	r := newRig(t, tables, `create table other (id int primary key)`)
	r.config.Exclude = []string{"public.apart"}
	r.install()
	if f := r.finding("subscriptions"); f.What != "" {
		t.Errorf("without one, check says %+v", f)
	}
	r.role("dw_unsubscribed_reader")
	r.config.InstallDSN, r.config.DSN = r.config.DSN, r.as("dw_unsubscribed_reader", "x")
	r.install()
	testrig.Subscribe(t, r.dsn, from.dsn)
	if f := r.finding("subscriptions"); f.Err != nil || !strings.Contains(f.Detail, "what datawatch_test applies") || !strings.Contains(f.Detail, "public.t") ||
		strings.Contains(f.Detail, "apart") || strings.Contains(f.Detail, "other") || !strings.Contains(f.Detail, "capture: wal") {
		t.Errorf("check says %+v", f)
	}
	r.exec(`alter table t enable always trigger _datawatch_insert`)
	from.exec(`insert into t values (1)`)
	testrig.Eventually(t, time.Minute, func() error {
		if r.number(`select count(*) from t`) == 0 {
			return errors.New("it isn't applied")
		}
		return nil
	})
	if n := r.number(`select count(*) from datawatch.packs`); n != 0 {
		t.Errorf("%d packs", n)
	}
}
