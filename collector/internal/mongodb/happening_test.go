package mongodb

import (
	"context"
	"errors"
	"slices"
	"testing"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// A source that was killed as soon as it had noted where it begins, before it opened its stream.
func TestStreamBeginsBeforeTheFirstEventHoweverSoonItIsKilled(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	s.insert(t, "carts", doc("_id", "before"))
	killed := errors.New("killed")
	err := New(Options{Name: "shop-mongo", Config: s.config("*"), Reporter: c}).Run(t.Context(), nil, func(ctx context.Context, b source.Batch) error {
		_ = c.Emit(ctx, b)
		return killed
	})
	if !errors.Is(err, killed) || c.emits != 1 {
		t.Fatalf("%v after %d emits", err, c.emits)
	}
	s.insert(t, "carts", doc("_id", "behind"))
	c.run(t, s.config("*"))
	s.insert(t, "carts", doc("_id", "later"))
	expect(t, c.await(t, 2), `insert carts {"_id":"behind"}  -> {"_id":"behind"}`, `insert carts {"_id":"later"}  -> {"_id":"later"}`)
}

// A database that is dropped invalidates its stream; what comes behind is captured, also by a source that was stopped there.
func TestStreamGoesOnBehindAnInvalidation(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	stop := c.run(t, s.config("*"))
	s.insert(t, "carts", doc("_id", 1))
	c.await(t, 1)
	s.do(t, s.db.Drop)
	c.await(t, 2)
	_ = stop()
	s.insert(t, "carts", doc("_id", 2))
	c.run(t, s.config("*"))
	s.insert(t, "carts", doc("_id", 3))
	events := c.await(t, 4)
	reason := events[1].Change.Origin.Reason // drop, says the manual
	expect(t, events, `insert carts {"_id":1}  -> {"_id":1}`, `truncate carts   ->  reason `+reason,
		`insert carts {"_id":2}  -> {"_id":2}`, `insert carts {"_id":3}  -> {"_id":3}`)
	if len(c.gaps) > 0 {
		t.Errorf("gaps %v", c.gaps)
	}
}

// One of two databases goes, and a third one comes.
func TestDatabasesComeAndGo(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	crm, later := *s, *s
	crm.db, later.db = s.client.Database(s.db.Name()+"_crm"), s.client.Database(s.db.Name()+"_later")
	t.Cleanup(func() { _, _ = crm.db.Drop(context.Background()), later.db.Drop(context.Background()) })
	crm.insert(t, "people", doc("_id", 0))
	cfg := s.config("*")
	cfg.Collections = []string{s.db.Name() + "*.*"}
	c.run(t, cfg)
	s.insert(t, "carts", doc("_id", 1))
	c.await(t, 1)
	s.do(t, crm.db.Drop)
	c.await(t, 2)
	later.insert(t, "orders", doc("_id", 2))
	c.await(t, 3)
	s.insert(t, "carts", doc("_id", 3))
	events := c.await(t, 4)
	reason := events[1].Change.Origin.Reason // drop, says the manual
	expect(t, events, `insert carts {"_id":1}  -> {"_id":1}`, `truncate people   ->  reason `+reason,
		`insert orders {"_id":2}  -> {"_id":2}`, `insert carts {"_id":3}  -> {"_id":3}`)
	if got := events[2].Stream.Entity(); got != later.db.Name()+".orders" {
		t.Errorf("stream %s", got)
	}
}

// Collections are renamed: onto one that there is (which some servers tell as dropped first), to a name that isn't captured,
// and from one.
func TestRenamesAcrossWhatIsCaptured(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	s.insert(t, "cap_a", doc("_id", 1))
	s.insert(t, "cap_b", doc("_id", 2))
	s.insert(t, "other", doc("_id", 3))
	c.run(t, s.config("cap*"))
	rename := func(from, to string) {
		s.do(t, func(ctx context.Context) error {
			return s.client.Database("admin").RunCommand(ctx,
				doc("renameCollection", s.db.Name()+"."+from, "to", s.db.Name()+"."+to, "dropTarget", true)).Err()
		})
	}
	await := func(n int) []*event.Clean {
		isDrop := func(e *event.Clean) bool { return e.Change.Origin.Reason == opDrop }
		for more := 0; ; more++ {
			if events := slices.DeleteFunc(c.await(t, n+more), isDrop); len(events) >= n {
				return events
			}
		}
	}
	rename("cap_a", "cap_b")
	await(3)
	rename("cap_b", "away")
	await(4)
	rename("other", "cap_c")
	await(6)
	s.insert(t, "cap_c", doc("_id", 4))
	expect(t, await(7),
		`truncate cap_a   ->  reason rename`, `truncate cap_b   ->  reason rename`, `read cap_b {"_id":1}  -> {"_id":1}`,
		`truncate cap_b   ->  reason rename`,
		`truncate cap_c   ->  reason rename`, `read cap_c {"_id":3}  -> {"_id":3}`, `insert cap_c {"_id":4}  -> {"_id":4}`)
}
