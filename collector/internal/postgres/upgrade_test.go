package postgres

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/pkg/testrig"
)

// These are what earlier versions installed on a table t (id int primary key, v text, n numeric(12,2), at timestamptz), with
// {{server}} in the place of the server's name.
var (
	//go:embed testdata/version2.sql
	version2SQL string
	//go:embed testdata/version3.sql
	version3SQL string
	//go:embed testdata/version4.sql
	version4SQL string
)

const upgradedTable = `create table t (id int primary key, v text, n numeric(12,2), at timestamptz)`

// newOlderRig has what an earlier version installed.
func newOlderRig(t *testing.T, installed string) *rig {
	t.Helper()
	r := newRig(t, upgradedTable)
	server, err := serverIdentity(t.Context(), r.db)
	if err != nil {
		t.Fatal(err)
	}
	r.exec(strings.ReplaceAll(installed, "{{server}}", server))
	return r
}

var olderVersions = map[string]string{"2": version2SQL, "3": version3SQL, "4": version4SQL}

// An outbox of an earlier version is read as it is, by who doesn't manage it and while somebody upgrades it; what its functions
// wrote is read after it too, and nothing of the stream is lost or told twice.
func TestAnOlderInstallationIsReadAndUpgradedInPlace(t *testing.T) {
	for name, installed := range olderVersions {
		t.Run(name, func(t *testing.T) { testUpgrade(t, newOlderRig(t, installed)) })
	}
}

func testUpgrade(t *testing.T, r *rig) {
	r.config.ManageTriggers = false
	r.exec(`insert into t values (1, 'a', 1.50, '2026-01-01 00:00:00+00'); insert into t select g, 'b' from generate_series(2, 3) g`)
	r.wait(3) // nobody upgrades it

	r.exec(`update t set v = 'c' where id < 3`) // is in the outbox when it is upgraded
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { ended <- r.source().Run(ctx, r.progress(), r.emit) }()
	r.await(5)
	r.install()
	r.exec(`update t set v = 'd' where id < 3`)
	r.exec(`delete from t where id = 3`)
	if err := <-ended; !errors.Is(err, errUpgraded) {
		t.Fatalf("the run ended with %v", err)
	}
	expect(t, r.wait(8),
		`public.t insert {"id":1} after {"id":1,"v":"a","n":1.50,"at":"2026-01-01T00:00:00+00:00"}`,
		`public.t insert {"id":2} after {"id":2,"v":"b","n":null,"at":null}`,
		`public.t insert {"id":3} after {"id":3,"v":"b","n":null,"at":null}`,
		`public.t update {"id":1} before {"id":1,"v":"a","n":1.50,"at":"2026-01-01T00:00:00+00:00"} after {"id":1,"v":"c","n":1.50,"at":"2026-01-01T00:00:00+00:00"}`,
		`public.t update {"id":2} before {"id":2,"v":"b","n":null,"at":null} after {"id":2,"v":"c","n":null,"at":null}`,
		`public.t update {"id":1} before {"id":1,"v":"c","n":1.50,"at":"2026-01-01T00:00:00+00:00"} after {"id":1,"v":"d","n":1.50,"at":"2026-01-01T00:00:00+00:00"}`,
		`public.t update {"id":2} before {"id":2,"v":"c","n":null,"at":null} after {"id":2,"v":"d","n":null,"at":null}`,
		`public.t delete {"id":3} before {"id":3,"v":"b","n":null,"at":null}`)
	r.writesSingles(`insert into t (id) values (100 + i); delete from t where id = 100 + i`)
	steps, err := r.source().Plan(t.Context())
	steps = slices.DeleteFunc(steps, func(s Statement) bool { return s.Optional }) // a sequence that may be left
	if err != nil || len(steps) != 0 {
		t.Errorf("a plan of %v, %v", steps, err)
	}
}

// Packs of an earlier version that nobody had read are read from the upgraded outbox.
func TestWhatAnOlderInstallationWroteIsReadAfterItsUpgrade(t *testing.T) {
	for name, installed := range olderVersions {
		t.Run(name, func(t *testing.T) {
			r := newOlderRig(t, installed)
			r.exec(`insert into t (id, v) values (1, 'a')`)
			r.install()
			r.exec(`insert into t (id, v) values (2, 'b')`)
			expect(t, r.wait(2),
				`public.t insert {"id":1} after {"id":1,"v":"a","n":null,"at":null}`,
				`public.t insert {"id":2} after {"id":2,"v":"b","n":null,"at":null}`)
			r.writesSingles(`insert into t (id) values (100 + i)`)
		})
	}
}

// A transaction may begin before an upgrade and go on after it, and come to a table whose function isn't made anew yet: its
// rows are counted through, and told in their order, also where numbers become places meanwhile.
func TestATransactionThatAnUpgradeComesAmidIsCountedThrough(t *testing.T) {
	for _, name := range []string{"3", "4"} {
		t.Run(name, func(t *testing.T) {
			r := newOlderRig(t, olderVersions[name])
			r.exec(`create table u (id int primary key)`)
			writer := r.session()
			r.run(writer, `begin; select pg_current_xact_id()`) // what it has written would hold up new indexes
			r.install()
			r.run(writer, `insert into t (id) values (1); insert into u values (1); insert into t (id) select generate_series(2, 3)`)
			r.exec(older(olderVersions[name]))
			r.run(writer, `insert into t (id) values (4); insert into u values (2); insert into t (id) select generate_series(5, 6)`)
			r.install()
			if n := r.number(`select count(*) from datawatch.places where is_called`); n != 0 {
				t.Error("numbers are places while a transaction is open that began before")
			}
			r.run(writer, `insert into t (id) values (7); truncate t; insert into u values (3); insert into t (id) values (8)`)
			r.run(writer, `commit`)
			r.exec(`insert into t (id) values (9)`)
			r.install()
			r.exec(`update t set v = 'a' where id = 9; update t set v = 'b' where id = 9`)
			var got []string
			for i, e := range r.wait(15) {
				c := rowChange(t, e)
				if i < 12 && c.TransactionIndex != int64(i) {
					t.Errorf("%s has the index %d, not %d", brief(t, e), c.TransactionIndex, i)
				}
				got = append(got, fmt.Sprintf("%s %s %s", c.Table, c.Op, e.Key))
			}
			want := `t insert {"id":1} | u insert {"id":1} | t insert {"id":2} | t insert {"id":3} | t insert {"id":4} | u insert {"id":2} | t insert {"id":5} | t insert {"id":6} | ` +
				`t insert {"id":7} | t truncate  | u insert {"id":3} | t insert {"id":8} | t insert {"id":9} | t update {"id":9} | t update {"id":9}`
			if got := strings.Join(got, " | "); got != want {
				t.Errorf("captured\n%s\nnot\n%s", got, want)
			}
			if r.number(`select count(to_regclass('datawatch.places'))`) != 0 || r.number(`select min(seq) from datawatch.packs where op = 'u'`) < 1000000 {
				t.Error("numbers aren't places")
			}
		})
	}
}

// older is the function of t that a version installed.
func older(installed string) string {
	const begin, end = "create or replace function datawatch.capture_t_", "revoke all on function datawatch.capture_t_"
	_, body, _ := strings.Cut(installed, begin)
	body, _, _ = strings.Cut(body, end)
	return begin + body
}

// TestATickThatAnEarlierProgramReadInPartIsReadOn: it knew statements by their numbers.
func TestATickThatAnEarlierProgramReadInPartIsReadOn(t *testing.T) {
	r := newOlderRig(t, version4SQL)
	r.limits.batchEvents = 500
	r.config.ManageTriggers = false
	r.exec(`insert into t (id) select generate_series(1, 2000); update t set id = id + 10000`)
	for _, at := range []int{2, 7} {
		r.fail = func(batch int) (bool, bool) { return false, batch == at }
		r.runFor(10 * time.Second)
		var p map[string]any
		if err := json.Unmarshal(r.committed[entry], &p); err != nil {
			t.Fatal(err)
		}
		p["version"] = 3
		for _, f := range p["open"].(map[string]any)["path"].([]any) {
			frame := f.(map[string]any)
			delete(frame, "at")
			if moves, _ := frame["moves"].(map[string]any); moves != nil {
				delete(moves, "xid")
			} else if at == 7 {
				t.Error("no deletes were made before")
			}
		}
		r.committed[entry], _ = json.Marshal(p)
		if at == 7 {
			r.install()
		}
	}
	r.fail = nil
	r.exec(`insert into t (id) values (-1)`)
	r.wait(6001)
	if rows := replay(t, r.captured())["shop-db/public.t"]; len(rows) != 2001 || r.count() != 6001 {
		t.Errorf("%d rows by %d events", len(rows), r.count())
	}
}

// TestNumbersArePlacesWhenTheWALIsBeyondTheSequence: a dump brings the sequence to a server that has written less.
func TestNumbersArePlacesWhenTheWALIsBeyondTheSequence(t *testing.T) {
	r := newOlderRig(t, version4SQL)
	r.exec(`select setval('datawatch.seq', 100000000000000)`)
	r.exec(`insert into t (id, v) values (1, 'a')`)
	_ = r.start()
	r.await(1)
	r.install()
	r.exec(`update t set v = 'b'`)
	time.Sleep(3 * markEvery)
	r.exec(`update t set v = 'c'`)
	r.await(3)
	if status, err := r.source().Status(t.Context()); err != nil || status.Complete || r.number(`select count(*) from datawatch.places where is_called`) != 0 {
		t.Errorf("numbers are places: %v, %v", status, err)
	}
}

// A collector of before, which reads on while somebody upgrades, doesn't pass over what it can't see.
func TestACollectorOfBeforeEndsWhenTheOutboxIsUpgraded(t *testing.T) {
	r := newOlderRig(t, version3SQL)
	reader := r.session()
	before := queriesOf(3)
	poll := func() error {
		_, err := reader.Exec(t.Context(), before.poll, false)
		return err
	}
	if err := poll(); err != nil {
		t.Fatal(err)
	}
	r.install()
	var server *pgconn.PgError
	if err := poll(); !errors.As(err, &server) || server.Code != codeUndefinedTable {
		t.Errorf("polled with %v", err)
	}
}

//go:embed testdata/catalog.sql
var catalogSQL string

// catalog is what is in the schema datawatch, and the triggers that call its functions, a line each.
func (r *rig) catalog() []string {
	r.t.Helper()
	rows, err := r.db.Query(r.t.Context(), catalogSQL)
	if err != nil {
		r.t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		r.t.Fatal(err)
	}
	for i, line := range lines {
		lines[i] = ofAnyTable.ReplaceAllString(line, ofMark)
	}
	return lines
}

// ofAnyTable is the oid of a function's table.
var ofAnyTable = regexp.MustCompile(regexp.QuoteMeta(ofMark) + `[0-9]+`)

// Nothing tells an installation that was upgraded from a fresh one, once no transaction runs any more that began before.
func TestAnUpgradedInstallationIsAFreshOne(t *testing.T) {
	fresh := newRig(t, upgradedTable)
	fresh.install()
	want := fresh.catalog()
	if len(want) < 100 {
		t.Fatalf("a catalog of %d lines", len(want))
	}
	for name, installed := range olderVersions {
		t.Run(name, func(t *testing.T) {
			r := newOlderRig(t, installed)
			if name == "3" {
				running := r.session()
				r.run(running, `begin; select pg_current_xact_id()`)
				r.install()
				r.install()
				if n := r.number(`select count(to_regclass('datawatch.filled'))`); n != 1 {
					t.Error("what a function needs that somebody may be running is gone")
				}
				r.run(running, `commit`)
			}
			testrig.Eventually(t, time.Minute, func() error {
				r.install()
				if r.number(`select count(coalesce(to_regclass('datawatch.filled'), to_regclass('datawatch.seq')))`) > 0 {
					return errors.New("a sequence of before is there")
				}
				return nil
			})
			got := r.catalog()
			for _, line := range got {
				if !slices.Contains(want, line) && !strings.HasPrefix(line, "shape ") { // packs of before may name those of before
					t.Errorf("only the upgraded one has %s", line)
				}
			}
			for _, line := range want {
				if !slices.Contains(got, line) {
					t.Errorf("only the fresh one has %s", line)
				}
			}
		})
	}
}

// TestAnUpgradeWaitsUntilTheOutboxIsRead: writers would wait for its new indexes.
func TestAnUpgradeWaitsUntilTheOutboxIsRead(t *testing.T) {
	t.Parallel() // it waits most of its time
	r := newOlderRig(t, version4SQL)
	r.limits.upgradeBytes, r.limits.rotateBytes = 100<<10, 64<<10
	r.exec(`do $$ begin for i in 1..2000 loop insert into t (id, v) values (i, md5(i::text)); end loop; end $$`)
	if err := r.source().Install(t.Context()); err == nil || !strings.Contains(err.Error(), "that nobody has read") {
		t.Errorf("installed with %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- r.source().Run(ctx, r.progress(), r.emit) }()
	n := 2000
	testrig.Eventually(t, time.Minute, func() error {
		n++
		r.exec(fmt.Sprintf(`insert into t (id) values (%d)`, n))
		select {
		case err := <-ended:
			if !errors.Is(err, errUpgraded) {
				t.Fatalf("the run ended with %v", err)
			}
			return nil
		default:
			return errors.New("it isn't upgraded")
		}
	})
	for i, e := range r.wait(n) {
		if want := fmt.Sprintf(`public.t insert {"id":%d} `, i+1); !strings.HasPrefix(brief(t, e), want) {
			t.Fatalf("%s, not %s", brief(t, e), want)
		}
	}
}

// TestAnUpgradeWaitsForWhoMayBeAtAFunctionOfBefore, and for no others: where transactions overlap, there is always one. Where a function of
// before comes back, who waited for them begins anew.
func TestAnUpgradeWaitsForWhoMayBeAtAFunctionOfBefore(t *testing.T) {
	r := newOlderRig(t, version4SQL)
	install := func(want bool) {
		t.Helper()
		r.install()
		if switched := r.number(`select count(*) from pg_proc where oid = 'datawatch.number'::regproc and strpos(prosrc, 'nextval') = 0`) == 1; switched != want {
			t.Fatalf("numbers are places: %t, not %t", switched, want)
		}
	}
	var open []*pgx.Conn
	for range 4 {
		open = append(open, r.session())
	}
	r.run(open[0], `begin; select 1`)
	install(false)
	r.run(open[1], `begin; select 1`)
	r.exec(older(version4SQL))
	install(false)
	r.run(open[0], `commit`)
	install(false) // the second may be at the function that came back
	r.exec(older(version4SQL))
	r.exec(switchSQL)
	r.run(open[2], `begin; select 1`)
	r.run(open[1], `commit`)
	install(false) // the third too
	r.run(open[3], `begin; select 1`)
	r.run(open[2], `insert into t (id) values (1); commit`)
	install(true)
	r.run(open[3], `insert into t (id) values (2); commit`)
	expect(t, r.wait(2), `public.t insert {"id":1} after {"id":1,"v":null,"n":null,"at":null}`, `public.t insert {"id":2} after {"id":2,"v":null,"n":null,"at":null}`)
}

// TestWhatAnUpgradeAddsIsTheOwners: functions go on to be run as who installed, whoever runs the plan.
func TestWhatAnUpgradeAddsIsTheOwners(t *testing.T) {
	r := newRig(t, upgradedTable, `drop role if exists dw_test_owner; create role dw_test_owner login password 'x'; grant trigger on t to dw_test_owner`,
		`do $$ begin execute format('grant create on database %I to dw_test_owner', current_database()); end $$`)
	t.Cleanup(func() {
		db := r.session0()
		_, _ = db.Exec(context.Background(), `drop owned by dw_test_owner cascade; drop role dw_test_owner`)
		_ = db.Close(context.Background())
	})
	server, err := serverIdentity(t.Context(), r.db)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(version4SQL, "create or replace function datawatch.follow()") // which takes a superuser
	_, rest, _ = strings.Cut(rest, "commit;")
	r.exec(`set role dw_test_owner; ` + strings.ReplaceAll(before+"commit;"+rest, "{{server}}", server))
	r.exec(`reset role`)
	r.config.DSN = r.as("dw_test_owner", "x")
	steps, err := r.source().Plan(t.Context())
	if err != nil || len(steps) < 5 {
		t.Fatalf("a plan of %d steps, %v", len(steps), err)
	}
	blocked := r.session()
	r.run(blocked, `begin; select 1`) // numbers are of the sequence still
	for _, step := range steps {
		r.exec(step.SQL)
	}
	r.exec(`insert into t (id) values (1)`)
	r.run(blocked, `commit`)
	r.install()
	r.exec(`insert into t (id) values (2)`)
	expect(t, r.wait(2), `public.t insert {"id":1} after {"id":1,"v":null,"n":null,"at":null}`, `public.t insert {"id":2} after {"id":2,"v":null,"n":null,"at":null}`)
	if status, err := r.source().Status(t.Context()); err != nil || !status.Complete {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestATableIsInstalledWithTheSchemaAlone: psql goes on behind a transaction that failed.
func TestATableIsInstalledWithTheSchemaAlone(t *testing.T) {
	r := newOlderRig(t, version4SQL)
	r.exec(`create table u (id int primary key)`)
	steps, err := r.source().Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range Groups(steps) {
		if table := group[0].Table; table != "" {
			r.exec(`begin`)
			for _, step := range group {
				_, err = r.db.PgConn().Exec(t.Context(), step.SQL).ReadAll()
			}
			r.exec(`commit`)
			if err == nil {
				t.Errorf("%s is installed", table)
			}
		}
	}
	r.exec(`insert into u values (1)`)
	r.install()
	r.exec(`insert into u values (2)`)
	expect(t, r.wait(2), `public.u gap table_new`, `public.u insert {"id":2} after {"id":2}`)
}
