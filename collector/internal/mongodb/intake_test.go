package mongodb

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"datawatch/pkg/testrig"
)

// openIntake asks for what happens in a shop from now on, 100 events a question.
func openIntake(t *testing.T, s *shop, most limits) *intake {
	t.Helper()
	src := New(Options{Name: "shop-mongo", Config: s.config("*"), Reporter: newCapture()})
	src.limits.received, src.limits.await = 100, 100*time.Millisecond
	d, err := ask(t.Context(), s.client)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := src.watch(t.Context(), s.client, d, begin(time.Now(), "", d.now))
	if err != nil {
		t.Fatal(err)
	}
	in := newIntake(t.Context(), stream, most)
	t.Cleanup(func() {
		in.close()
		_ = stream.Close(context.WithoutCancel(t.Context()))
	})
	return in
}

func (in *intake) holds() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.held.events)
}

func (in *intake) awaitHeld(t *testing.T, n int) {
	t.Helper()
	testrig.Eventually(t, patience, func() error {
		if held := in.holds(); held < n {
			return fmt.Errorf("%d of %d events are held", held, n)
		}
		return nil
	})
}

func (s *shop) fill(t *testing.T, from, n int) {
	t.Helper()
	var docs []any
	for i := range n {
		docs = append(docs, doc("_id", from+i))
	}
	s.insert(t, "carts", docs...)
}

// inOrder tells the ids of inserts, which are to go on from the first.
func inOrder(t *testing.T, a answer, first int) {
	t.Helper()
	for i, e := range a.events {
		if id := e.document.Lookup("documentKey", "_id").AsInt64(); int(id) != first+i {
			t.Fatalf("event %d is of document %d, not %d", i, id, first+i)
		}
	}
}

func TestWhatComesWhileABatchIsCommittedIsOneBatch(t *testing.T) {
	s := newShop(t, testrig.MongoDB(t))
	in := openIntake(t, s, defaultLimits)
	s.fill(t, 0, 1)
	for len(in.take(true).events) == 0 { // until here the stream was idle
	}
	s.fill(t, 1, 1_000)
	in.awaitHeld(t, 1_000)
	a := in.take(true)
	if len(a.events) != 1_000 {
		t.Errorf("%d events", len(a.events))
	}
	inOrder(t, a, 1)
}

func TestWhoWaitsWithABatchIsReadForNoFurtherThanAnother(t *testing.T) {
	s := newShop(t, testrig.MongoDB(t))
	for name, most := range map[string]limits{"events": {events: 300, bytes: 1 << 30}, "bytes": {events: 1 << 30, bytes: 50_000}} {
		t.Run(name, func(t *testing.T) {
			if err := s.db.Collection("carts").Drop(t.Context()); err != nil {
				t.Fatal(err)
			}
			in := openIntake(t, s, most)
			s.fill(t, 0, 1)
			for len(in.take(true).events) == 0 {
			}
			s.fill(t, 1, 2_000)
			in.awaitHeld(t, 50)
			for n := 2_001; n < 6_000; n += 1_000 { // so that there would have been time to read it all
				s.fill(t, n, 1_000)
			}
			first := 1
			for first <= 2_000 {
				a := in.take(true)
				if n := len(a.events); n > 400 {
					t.Fatalf("%d events wait", n)
				}
				inOrder(t, a, first)
				first += len(a.events)
			}
		})
	}
}

func TestNothingIsAskedAheadWhereThatIsNotWanted(t *testing.T) {
	s := newShop(t, testrig.MongoDB(t))
	in := openIntake(t, s, defaultLimits)
	for !in.take(false).idle {
	}
	asked := in.questions()
	for n := range 10 {
		s.fill(t, 100*n, 100)
	}
	if n := in.questions(); n != asked || in.holds() != 0 {
		t.Errorf("%d questions more, %d events wait", n-asked, in.holds())
	}
	for first := 0; first < 1_000; {
		a := in.take(false)
		if a.asked <= asked && a.idle {
			t.Error("an answer without a question")
		}
		inOrder(t, a, first)
		first += len(a.events)
	}
}

func TestIntakeOfACancelledReaderEnds(t *testing.T) {
	s := newShop(t, testrig.MongoDB(t))
	src := New(Options{Name: "shop-mongo", Config: s.config("*"), Reporter: newCapture()})
	d, err := ask(t.Context(), s.client)
	if err != nil {
		t.Fatal(err)
	}
	for _, ahead := range []bool{false, true} {
		stream, err := src.watch(t.Context(), s.client, d, begin(time.Now(), "", d.now))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		in := newIntake(ctx, stream, defaultLimits)
		in.take(ahead)
		cancel()
		a := in.take(ahead)
		for a.err == nil {
			a = in.take(ahead)
		}
		if !errors.Is(a.err, context.Canceled) {
			t.Error(a.err)
		}
		in.close()
		_ = stream.Close(t.Context())
	}
}

func TestServerOfABusyReaderIsNotAskedForEachEvent(t *testing.T) {
	s := newShop(t, testrig.MongoDB(t))
	in := openIntake(t, s, defaultLimits)
	s.fill(t, 0, 1)
	for len(in.take(true).events) == 0 {
	}
	began, asked := time.Now(), in.questions()
	for n := range 200 {
		s.fill(t, 1+n, 1)
	}
	in.awaitHeld(t, 200)
	most := int64(time.Since(began)/pause) + 2
	if n := in.questions() - asked; n > most {
		t.Errorf("%d questions, not %d at most", n, most)
	}
}
