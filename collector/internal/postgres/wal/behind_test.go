package wal

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"

	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
)

// confirmed is where the slot is.
func (r *rig) confirmed() pglogrepl.LSN {
	r.t.Helper()
	s, err := askSlot(r.t.Context(), r.db, r.source().names.slot, r.version())
	if err != nil || s == nil {
		r.t.Fatalf("slot %v, %v", s, err)
	}
	return s.confirmed
}

// TestTheSlotNeverGoesBack: what was confirmed lies behind the last transaction that was captured, and stays there for whoever begins and ends
// without reading anything.
func TestTheSlotNeverGoesBack(t *testing.T) {
	for _, version := range []string{"", "13", "17", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			r := newRigOn(t, databaseOn(t, version), `create table t (id int primary key)`, `create table other (v text)`)
			r.config.Tables = []string{"public.t"}
			stop := r.start()
			r.exec(`insert into t values (1)`)
			r.await(1)
			r.exec(`insert into other select repeat('x', 1000) from generate_series(1, 1000)`)
			var end string
			if err := r.db.QueryRow(t.Context(), `select pg_current_wal_lsn()::text`).Scan(&end); err != nil {
				t.Fatal(err)
			}
			lsn, err := pglogrepl.ParseLSN(end)
			if err != nil {
				t.Fatal(err)
			}
			testrig.Eventually(t, time.Minute, func() error {
				if at := r.confirmed(); at < lsn {
					return fmt.Errorf("the slot is at %s, not at %s", at, lsn)
				}
				return nil
			})
			_ = stop()
			before := r.confirmed()
			stop = r.start()
			_ = stop()
			if after := r.confirmed(); after < before {
				t.Errorf("the slot went from %s back to %s", before, after)
			}
		})
	}
}

// TestALostPublicationIsAGapFromWhereItWasRight: what is published still was read for a while.
func TestALostPublicationIsAGapFromWhereItWasRight(t *testing.T) {
	right, read := time.Unix(1000, 0).UTC(), time.Unix(1002, 0).UTC()
	from := stored{read: &progress{At: read, Right: right, LSN: 100}}
	for unpublished, since := range map[bool]time.Time{true: right, false: read} {
		_, gap := begin(from, whereabouts{server: server{lsn: 200}, created: reason.SlotDroppedOnce.With(), unpublished: unpublished, now: time.Unix(1010, 0)})
		if gap == nil || !gap.From.Equal(since) {
			t.Errorf("unpublished %v: gap %+v", unpublished, gap)
		}
	}
}

// TestAKeepaliveTellsOnlyHowFarTheServerIs: it is sent in the middle of what waits to be read, and what committed before it comes behind it.
func TestAKeepaliveTellsOnlyHowFarTheServerIs(t *testing.T) {
	before, looked := time.Unix(1000, 0).UTC(), time.Unix(2000, 0)
	lag := &lagging{lag: -1}
	r := &reader{Source: &Source{reporter: lag}, batch: &batch{}, p: progress{LSN: 100, At: before}, ahead: 300, look: &look{lsn: 300, at: looked}}
	if err := r.alive(&message{lsn: 200}); err != nil || r.p.LSN != 200 || !r.p.At.Equal(before) || lag.lag >= 0 {
		t.Errorf("progress %+v, a lag of %v, %v", r.p, lag.lag, err)
	}
	if err := r.alive(&message{lsn: 300}); err != nil || !r.p.At.Equal(looked) || lag.lag != 0 {
		t.Errorf("progress %+v, a lag of %v, %v", r.p, lag.lag, err)
	}
}

type lagging struct {
	silent
	lag float64
}

func (l *lagging) Lag(seconds float64) { l.lag = seconds }

// TestOldPartitionsAreOfTheTree: the transaction that made one of them is more than 2^31 before.
func TestOldPartitionsAreOfTheTree(t *testing.T) {
	r := newRig(t, `create table p (id int primary key) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`, `create table p_2 partition of p for values from (10) to (20)`)
	var ids []uint32
	var made int64
	err := r.db.QueryRow(t.Context(), `select array_agg(inhrelid order by inhrelid), min(xmin::text::bigint) from pg_inherits where inhparent = 'p'::regclass`).Scan(&ids, &made)
	if err != nil {
		t.Fatal(err)
	}
	reader := &reader{
		catalog: &catalog{db: r.db}, tx: &transaction{xid: fmt.Sprint(made + 1<<31 + 1)},
		known: knownTables{ids[0]: {Schema: "public", Table: "p", Root: true}, ids[1]: {Schema: "public", Table: "p", Root: true}},
	}
	if whole, err := reader.truncatesWhole(t.Context(), ids[1:]); err != nil || whole {
		t.Errorf("the truncate of a partition is one of the whole table: %v, %v", whole, err)
	}
	if whole, err := reader.truncatesWhole(t.Context(), ids); err != nil || !whole {
		t.Errorf("the truncate of all partitions is one of the whole table: %v, %v", whole, err)
	}
}
