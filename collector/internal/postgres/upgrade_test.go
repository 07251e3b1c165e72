package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
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
	if n := r.number(`select count(*) from datawatch.single_0 where was is not null`); n != 1 {
		t.Errorf("%d deletes are where single rows are", n)
	}
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
			want := int64(1)
			if name == "4" {
				want = 2
			}
			if n := r.number(`select count(*) from datawatch.single_0`); n != want {
				t.Errorf("%d packs are where single rows are", n)
			}
		})
	}
}

// A transaction may begin before an upgrade and go on after it: its rows are counted through, whether the function of their table is
// made anew or waits for the transaction's end. From version 2 all waits.
func TestATransactionThatAnUpgradeComesAmidIsCountedThrough(t *testing.T) {
	for _, name := range []string{"3", "4"} {
		t.Run(name, func(t *testing.T) {
			r := newOlderRig(t, olderVersions[name])
			r.exec(`create table u (id int primary key)`)
			writer := r.session()
			r.run(writer, `begin; select from t for update`)
			var want []string
			insert := func(sql string, made ...string) {
				t.Helper()
				r.run(writer, `insert into `+sql)
				want = append(want, made...)
			}
			if err := r.source().install(t.Context(), 1); !isLocked(err) || !strings.Contains(err.Error(), `on "public"."t"`) {
				t.Fatalf("installed with %v", err)
			}
			insert(`t (id) values (1)`, `public.t {"id":1}`)
			insert(`t (id) values (2)`, `public.t {"id":2}`)
			insert(`u values (1)`, `public.u {"id":1}`)
			insert(`t (id) select generate_series(3, 4)`, `public.t {"id":3}`, `public.t {"id":4}`)
			insert(`u select generate_series(2, 3)`, `public.u {"id":2}`, `public.u {"id":3}`)
			insert(`t (id) values (5)`, `public.t {"id":5}`)
			r.run(writer, `commit`)
			r.install()
			r.exec(`begin; insert into t (id) values (6); insert into u values (4); insert into t (id) values (7); commit`)
			then := []string{`public.t {"id":6}`, `public.u {"id":4}`, `public.t {"id":7}`}
			got := r.wait(len(want) + len(then))
			for i, e := range got {
				c := rowChange(t, e)
				expected := want
				if i >= len(want) {
					expected = then
					if c.TransactionIndex != int64(i-len(want)) {
						t.Errorf("%s has the index %d", brief(t, e), c.TransactionIndex)
					}
				}
				if is := expected[min(c.TransactionIndex, int64(len(expected)-1))]; !strings.Contains(brief(t, e), strings.Replace(is, " ", " insert ", 1)) {
					t.Errorf("%s has the index %d, of %s", brief(t, e), c.TransactionIndex, is)
				}
			}
		})
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
	return lines
}

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
				if !slices.Contains(want, line) {
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
