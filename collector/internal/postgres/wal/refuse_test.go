package wal

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
	servers "datawatch/pkg/testrig/postgres"
)

func TestServersThatDontFitAreRefused(t *testing.T) {
	fine := server{version: 150000, level: "logical", mayReplicate: true}
	for name, one := range map[string]struct {
		alter func(s *server)
		want  error
	}{
		"fine":                    {func(*server) {}, nil},
		"an old server":           {func(s *server) { s.version = 120000 }, errVersion},
		"a standby":               {func(s *server) { s.standby = true }, errStandby},
		"wal_level":               {func(s *server) { s.level = "replica" }, errLevel},
		"no right":                {func(s *server) { s.mayReplicate = false }, errReplication},
		"unbounded WAL":           {func(s *server) { s.unbounded = true }, errUnbounded},
		"any synchronous standby": {func(s *server) { s.synchronous = "FIRST 1 (*)" }, errSynchronous},
		"ours as a standby":       {func(s *server) { s.synchronous = `ANY 1 (replica, "datawatch-collector")` }, errSynchronous},
		"others as standbys":      {func(s *server) { s.synchronous = "ANY 1 (replica_a, replica_b)" }, nil},
	} {
		s := fine
		one.alter(&s)
		if err := s.fit(false); !errors.Is(err, one.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	unbounded := fine
	unbounded.unbounded = true
	if err := unbounded.fit(true); err != nil {
		t.Error(err)
	}
}

// TestASlotBeyondItsBoundIsToldWithoutANegativeNumber: the server removes its WAL at a checkpoint, and not when the bound is reached.
func TestASlotBeyondItsBoundIsToldWithoutANegativeNumber(t *testing.T) {
	for _, one := range []struct {
		status string
		safe   int64
		want   string
	}{
		{"reserved", 50, ""}, {"extended", 10, "holds back 100 bytes of WAL, and after 10 more the server removes them"}, {"unreserved", 50, "after 50 more"},
		{"unreserved", 0, "removes them at its next checkpoint"}, {"unreserved", -30, "holds back 100 bytes of WAL, more than max_slot_wal_keep_size allows"},
	} {
		said := (&slot{WALStatus: one.status, Safe: &one.safe, Retained: 100}).nearlyLost("dw").String()
		if !strings.Contains(said, one.want) || (said == "") != (one.want == "") || strings.Contains(said, "-") {
			t.Errorf("%s, %d bytes left: %q", one.status, one.safe, said)
		}
	}
}

// TestASlotThatIsAboutToBeLostIsToldAndThenAGap is on a server that keeps little WAL.
func TestASlotThatIsAboutToBeLostIsToldAndThenAGap(t *testing.T) {
	private := testrig.PrivatePostgres(t, servers.Options{Settings: map[string]string{
		"fsync": "off", "max_slot_wal_keep_size": "16MB", "min_wal_size": "32MB", "max_wal_size": "32MB",
	}})
	if err := private.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, private.DSN("shop"), `create table t (id int primary key)`, `create table other (v text)`)
	r.config.Tables = []string{"public.t"}
	r.config.AllowUnboundedWAL = false
	r.install()
	r.exec(`insert into t values (1)`)
	r.wait(1)
	r.opts.Metrics = prometheus.NewRegistry()
	r.fillUntilWarned()
	if retained, safe := r.gauge("slot_retained_bytes"), r.gauge("slot_safe_bytes"); retained < 8<<20 || safe > 8<<20 {
		t.Errorf("the metrics tell of %.0f bytes that are kept, and %.0f until the slot is lost", retained, safe)
	}
	for range 8 { // nobody reads
		r.exec(`insert into other select repeat('x', 1000) from generate_series(1, 12000); select pg_switch_wal(); checkpoint`)
	}
	findings := r.source().Check(t.Context())
	if !strings.Contains(findingsText(findings), "is lost") {
		t.Errorf("check says %s", findingsText(findings))
	}
	stop := r.start()
	r.await(2)
	r.exec(`insert into t values (2)`)
	r.await(3)
	_ = stop()
	expect(t, r.captured()[1:], `public.t gap slot_lost`, `public.t insert {"id":2} after {"id":2}`)
}

// TestCheckTellsOfASlotThatIsSoonDroppedWhileNobodyReads, where the server drops any.
func TestCheckTellsOfASlotThatIsSoonDroppedWhileNobodyReads(t *testing.T) {
	for _, one := range []struct {
		version, timeout string
		told             bool
	}{{"", "", false}, {"13", "", false}, {"18", "", false}, {"18", "59min", true}, {"18", "10s", true}, {"18", "1h", false}, {"18", "2d", false}} {
		t.Run(one.timeout+" PostgreSQL"+one.version, func(t *testing.T) {
			settings := map[string]string{}
			if one.timeout != "" {
				settings["idle_replication_slot_timeout"] = one.timeout
			}
			r := newRigOn(t, private(t, one.version, settings, ""), `create table t (id int primary key)`)
			if text := findingsText(r.source().Check(t.Context())); strings.Contains(text, "idle_replication_slot_timeout: "+one.timeout) != one.told || strings.Contains(text, "idle_") != one.told {
				t.Errorf("check says\n%s", text)
			}
		})
	}
}

// TestAServerThatKeepsWALWithoutBoundIsRefused: where max_slot_wal_keep_size is -1, as it is unless somebody sets it, nothing is
// made, unless the configuration allows it.
func TestAServerThatKeepsWALWithoutBoundIsRefused(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	var bound string
	if err := r.db.QueryRow(t.Context(), `show max_slot_wal_keep_size`).Scan(&bound); err != nil || bound != "-1" {
		t.Skipf("this server has set max_slot_wal_keep_size to %s, %v", bound, err)
	}
	r.config.AllowUnboundedWAL = false
	if err := r.source().Run(t.Context(), nil, r.emit); !errors.Is(err, errUnbounded) {
		t.Errorf("run ends with %v", err)
	}
	if err := r.source().Install(t.Context()); !errors.Is(err, errUnbounded) {
		t.Errorf("install ends with %v", err)
	}
	if text := findingsText(r.source().Check(t.Context())); !strings.Contains(text, "max_slot_wal_keep_size") || !strings.Contains(text, "ERROR") {
		t.Errorf("check says %s", text)
	}
	var made int
	err := r.db.QueryRow(t.Context(), `select (select count(*) from pg_replication_slots where database = current_database()) + (select count(*) from pg_publication)`).Scan(&made)
	if err != nil || made > 0 {
		t.Errorf("%d things were made, %v", made, err)
	}
	r.config.AllowUnboundedWAL = true
	stop := r.start()
	r.exec(`insert into t values (1)`)
	r.await(1)
	_ = stop()
}

// TestAServerWithoutASenderLeftIsToldAsThat, whoever asks: with the slot and without, where there are none and where others have all.
func TestAServerWithoutASenderLeftIsToldAsThat(t *testing.T) {
	const full = "senders of WAL are taken"
	for _, version := range []string{"", "13", "18"} {
		for _, senders := range []string{"0", "1"} {
			t.Run(senders+" PostgreSQL"+version, func(t *testing.T) {
				r := newRigOn(t, private(t, version, map[string]string{"max_wal_senders": senders}, ""), `create table t (id int primary key)`)
				r.config.DSN, r.config.InstallDSN = r.as(r.role("_r", "replication")), config.Secret(r.dsn)
				other := &stream{}
				if senders == "1" {
					var err error
					if other, err = openStream(t.Context(), config.Secret(r.dsn)); err != nil {
						t.Fatal(err)
					}
					defer other.close(t.Context())
				}
				for _, there := range []bool{false, true} {
					if there {
						r.install()
					}
					if text := findingsText(r.source().Check(t.Context())); !strings.Contains(text, full) || !strings.Contains(text, "raise max_wal_senders") {
						t.Errorf("with the slot %t, check says\n%s", there, text)
					}
				}
				err := r.source().Run(t.Context(), nil, r.emit)
				if _, do := reason.Of(err); !strings.Contains(do.String(), "raise max_wal_senders") || strings.Contains(do.String(), "max_connections") {
					t.Errorf("run ended with %v: %s", err, do)
				}
				if senders == "0" {
					return
				}
				other.close(t.Context())
				testrig.Eventually(t, 20*time.Second, func() error {
					if text := findingsText(r.source().Check(t.Context())); strings.Contains(text, full) {
						return errors.New(text)
					}
					return nil
				})
				stop := r.start()
				r.exec(`insert into t values (1)`)
				r.await(1)
				if text := findingsText(r.source().Check(t.Context())); strings.Contains(text, full) {
					t.Errorf("while it is read, check says\n%s", text)
				}
				_ = stop()
			})
		}
	}
}

// TestCheckSaysWhichWayOfCaptureFits the server and its tables, also before either was chosen.
func TestCheckSaysWhichWayOfCaptureFits(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	for _, one := range []struct{ sql, want string }{
		{`select`, "wal fits where old rows aren't needed: "},
		{`alter table t replica identity full`, "wal fits: "},
		{`create table log (v text)`, "triggers fit better, or give those tables a replica identity: "},
	} {
		r.exec(one.sql)
		for _, f := range []daemon.Finding{Compare(t.Context(), r.sourceName(), r.config), r.found(" capture")} {
			if f.Err != nil || !strings.HasPrefix(f.Detail, one.want) || !strings.Contains(f.Detail, "wal leaves writers") || !strings.Contains(f.Detail, "triggers give") {
				t.Errorf("after %s: %s, %v", one.sql, f.Detail, f.Err)
			}
		}
	}
	var bound string
	if err := r.db.QueryRow(t.Context(), `show max_slot_wal_keep_size`).Scan(&bound); err != nil || bound != "-1" {
		t.Skipf("this server has set max_slot_wal_keep_size to %s, %v", bound, err)
	}
	r.config.AllowUnboundedWAL = false
	if f := Compare(t.Context(), r.sourceName(), r.config); f.Err != nil || !strings.HasPrefix(f.Detail, "triggers fit; wal doesn't here: max_slot_wal_keep_size") {
		t.Errorf("of a server that keeps WAL without bound: %s, %v", f.Detail, f.Err)
	}
}

// found is what check finds of a matter.
func (r *rig) found(matter string) (found daemon.Finding) {
	r.t.Helper()
	for _, f := range r.source().Check(r.t.Context()) {
		if strings.HasSuffix(f.What, matter) {
			found = f
		}
	}
	return found
}

// fillUntilWarned writes to a table that isn't captured until the slot is told to be in danger, while nobody reads it.
func (r *rig) fillUntilWarned() {
	r.t.Helper()
	s := r.source()
	server, err := askServer(r.t.Context(), r.db)
	if err != nil {
		r.t.Fatal(err)
	}
	w := &watcher{Source: s, db: r.db, server: server}
	for range 200 {
		r.exec(`insert into other select repeat('x', 1000) from generate_series(1, 500)`)
		if err := w.slot(r.t.Context()); err != nil {
			r.t.Fatalf("lost without a warning: %v", err)
		}
		r.mu.Lock()
		told := strings.Join(r.states, "\n")
		r.mu.Unlock()
		if strings.Contains(told, "stalled the slot "+s.names.slot+" is about to be lost") {
			return
		}
	}
	r.t.Error("no warning")
}

// gauge is a metric of the source, -1 where it isn't there.
func (r *rig) gauge(name string) float64 {
	r.t.Helper()
	families, err := r.opts.Metrics.(*prometheus.Registry).Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "datawatch_collector_"+name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}

func findingsText(findings []daemon.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		b.WriteString(f.What + ": " + f.Detail)
		if f.Err != nil {
			b.WriteString(" ERROR " + f.Err.Error() + " (" + f.Remedy + ")")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestTheRightsThatAreDocumentedAreEnough: one role owns the tables and publishes them, the other one reads the WAL.
func TestTheRightsThatAreDocumentedAreEnough(t *testing.T) {
	r := newRig(t)
	name := strings.ReplaceAll(r.sourceName(), "-", "_")
	owner, reader := name+"_o", name+"_r"
	r.exec(`create role ` + owner + ` login password 'x'; create role ` + reader + ` login replication password 'x'`)
	t.Cleanup(func() {
		db := r.session0()
		defer func() { _ = db.Close(context.Background()) }()
		for _, sql := range []string{`drop owned by ` + owner, `drop role ` + owner, `drop owned by ` + reader, `drop role ` + reader} {
			if _, err := db.Exec(context.Background(), sql); err != nil {
				t.Error(err)
			}
		}
	})
	r.exec(`do $$ begin execute format('grant create on database %I to ` + owner + `', current_database()); end $$; grant all on schema public to ` + owner)
	r.exec(`set role ` + owner + `; create table t (id int primary key, v int); create table log (v int); reset role`)
	r.config.DSN, r.config.InstallDSN = r.as(reader), r.as(owner)
	if text := findingsText(r.source().Check(t.Context())); strings.Contains(text, "ERROR") || !strings.Contains(text, "triggers fit better") || !strings.Contains(text, `"public"."log": no usable`) {
		t.Errorf("check says\n%s", text)
	}
	stop := r.start()
	r.exec(`insert into t values (1, 1)`)
	r.await(1)
	r.exec(`set role ` + owner + `; create table u (id int primary key); reset role`)
	r.awaitPublished("u", r.source().names.all)
	_ = stop()
	expect(t, r.captured()[:1], `public.t insert {"id":1} after {"id":1,"v":1}`)
	status, err := r.source().Status(t.Context())
	if err != nil || !status.Complete || !status.There || len(status.Tables) != 3 {
		t.Errorf("status %+v, %v", status, err)
	}
	r.exec(`create table nobodys (id int primary key)`)
	if text := findingsText(r.source().Check(t.Context())); !strings.Contains(text, "nobodys") {
		t.Errorf("check says\n%s", text)
	}
	r.config.InstallDSN = config.Secret(r.dsn)
	if err := r.source().Remove(t.Context()); err != nil {
		t.Error(err)
	}
}
