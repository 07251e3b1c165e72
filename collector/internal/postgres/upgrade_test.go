package postgres

import (
	"context"
	_ "embed"
	"errors"
	"strings"
	"testing"
)

// version2SQL is what version 2 installed on a table t (id int primary key, v text, n numeric(12,2), at timestamptz), with
// {{server}} in the place of the server's name.
//
//go:embed testdata/version2.sql
var version2SQL string

// An outbox of version 2 is read as it is, by who doesn't manage it and while somebody upgrades it; what its functions
// wrote is read after it too, and nothing of the stream is lost or told twice.
func TestAnOlderInstallationIsReadAndUpgradedInPlace(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text, n numeric(12,2), at timestamptz)`)
	server, err := serverIdentity(t.Context(), r.db)
	if err != nil {
		t.Fatal(err)
	}
	r.exec(strings.ReplaceAll(version2SQL, "{{server}}", server))
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
	r.exec(`update t set v = 'd' where id < 3; delete from t where id = 3`)
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
	if n := r.number(`select count(*) from datawatch.outbox where news is not null`); n != 1 {
		t.Errorf("%d updates are in binary form", n)
	}
	if steps, err := r.source().Plan(t.Context()); err != nil || len(steps) != 0 {
		t.Errorf("a plan of %v, %v", steps, err)
	}
}

// Packs of version 2 that nobody had read are read from the upgraded outbox.
func TestWhatAnOlderInstallationWroteIsReadAfterItsUpgrade(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text, n numeric(12,2), at timestamptz)`)
	server, err := serverIdentity(t.Context(), r.db)
	if err != nil {
		t.Fatal(err)
	}
	r.exec(strings.ReplaceAll(version2SQL, "{{server}}", server))
	r.exec(`insert into t (id, v) values (1, 'a')`)
	r.install()
	r.exec(`insert into t (id, v) values (2, 'b')`)
	expect(t, r.wait(2),
		`public.t insert {"id":1} after {"id":1,"v":"a","n":null,"at":null}`,
		`public.t insert {"id":2} after {"id":2,"v":"b","n":null,"at":null}`)
	if n := r.number(`select count(*) from datawatch.outbox where news is not null`); n != 1 {
		t.Errorf("%d packs are in binary form", n)
	}
}
