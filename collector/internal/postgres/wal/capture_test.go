package wal

import (
	"strings"
	"testing"

	"datawatch/pkg/testrig"
)

func TestEveryStatementComesOutInOrder(t *testing.T) {
	r := newRig(t, `create table orders (id int primary key, total numeric(10,2), note text); alter table orders replica identity full`)
	r.install()
	r.exec(`insert into orders values (1, 10.50), (2, 20)`)
	r.exec(`begin; update orders set total = 11 where id = 1; delete from orders where id = 2; truncate orders; commit`)
	r.exec(`update orders set total = 0; insert into orders values (3, 'NaN', E'a\tb')`)
	got := r.wait(6)
	expect(t, got,
		`public.orders insert {"id":1} after {"id":1,"total":10.50,"note":null}`,
		`public.orders insert {"id":2} after {"id":2,"total":20.00,"note":null}`,
		`public.orders update {"id":1} before {"id":1,"total":10.50,"note":null} after {"id":1,"total":11.00,"note":null}`,
		`public.orders delete {"id":2} before {"id":2,"total":20.00,"note":null}`,
		`public.orders truncate -`,
		`public.orders insert {"id":3} after {"id":3,"total":"NaN","note":"a\tb"}`,
	)
	var transaction string
	if err := r.db.QueryRow(t.Context(), `select xmin::text from orders`).Scan(&transaction); err != nil {
		t.Fatal(err)
	}
	if c := rowChange(t, got[5]); c.Transaction != transaction || c.TransactionIndex != 0 || c.Actor != nil {
		t.Errorf("transaction %q (%s), index %d, actor %v", c.Transaction, transaction, c.TransactionIndex, c.Actor)
	}
	if c := rowChange(t, got[4]); c.TransactionIndex != 2 {
		t.Errorf("the third change of a transaction has the index %d", c.TransactionIndex)
	}
}

func TestARowOfATableWithoutColumnsIsAnEvent(t *testing.T) {
	r := newRig(t, `create table nothing ()`)
	r.install()
	r.exec(`insert into nothing default values`)
	expect(t, r.wait(1), `public.nothing insert - after {}`)
}

func TestWhatTheReplicaIdentityLacksIsSaid(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text, big text, twice int generated always as (id * 2) stored)`,
		`alter table t alter big set storage external`)
	r.install()
	long := strings.Repeat("x", 5000)
	r.exec(`insert into t values (1, 'a', '` + long + `'), (2, 'b', '` + long + `')`)
	r.exec(`update t set v = 'c' where id = 1; update t set id = 3 where id = 2; delete from t where id = 1`)
	first, second, fields := ``, ``, `"big","twice"`
	if r.version() >= 180000 { // publishes what it computes
		first, second, fields = `,"twice":2`, `,"twice":6`, `"big"`
	}
	expect(t, r.wait(6)[2:],
		`public.t update {"id":1} after {"id":1,"v":"c"`+first+`} incomplete {"before":"unavailable","fields":[`+fields+`]}`,
		`public.t delete {"id":2} before {"id":2} after {"id":3,"v":"b"`+second+`} moved_to incomplete {"before":"unavailable","fields":[`+fields+`]}`,
		`public.t insert {"id":3} before {"id":2} after {"id":3,"v":"b"`+second+`} moved_from incomplete {"before":"unavailable","fields":[`+fields+`]}`,
		`public.t delete {"id":1} before {"id":1} incomplete {"before":"unavailable"}`,
	)
}

func TestAWholeReplicaIdentityMakesUnchangedValuesKnown(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text, big text); alter table t replica identity full`,
		`alter table t alter big set storage external`)
	r.install()
	long := strings.Repeat("x", 5000)
	r.exec(`insert into t values (1, 'a', '` + long + `')`)
	r.exec(`update t set v = 'c'`)
	expect(t, r.wait(2)[1:],
		`public.t update {"id":1} before {"id":1,"v":"a","big":"`+long+`"} after {"id":1,"v":"c","big":"`+long+`"}`)
}

// TestWhatLogicalReplicationAppliesIsCaptured, which fires no triggers.
func TestWhatLogicalReplicationAppliesIsCaptured(t *testing.T) {
	const table = `create table t (id int primary key, v text)`
	r := newRig(t, table)
	from := &rig{t: t, dsn: databaseOn(t, "")}
	from.db = from.session()
	from.exec(table)
	r.install()
	testrig.Subscribe(t, r.dsn, from.dsn)
	stop := r.start()
	from.exec(`insert into t values (1, 'a')`)
	from.exec(`update t set v = 'b'`)
	r.await(2)
	_ = stop()
	expect(t, r.captured(), `public.t insert {"id":1} after {"id":1,"v":"a"}`, `public.t update {"id":1} after {"id":1,"v":"b"} incomplete {"before":"unavailable"}`)
}
