package life

import (
	"fmt"
	"testing"
	"time"

	"datawatch/pkg/event"
)

// full is a scene whose chat has no more room for the sound of a critical alert: five rang within six minutes.
func full(t *testing.T) *scene {
	t.Helper()
	s := newScene(t)
	for i := range 5 {
		s.fails(fmt.Sprint("g", i), 1, 1).Stream = event.Stream(fmt.Sprint("shop-db/t", i))
		s.pass(70*time.Second, time.Second)
	}
	s.hears("new g0", "new g1", "new g2", "new g3", "new g4")
	return s
}

func (s *scene) trouble(id string, severity event.Severity, lasts bool) {
	f := s.fails(id, 0, int64(boolean(lasts)))
	f.Own, f.Rows, f.Severity, f.Stream, f.Seen, f.Count, f.Live = true, true, severity, "", s.now, 1, 1
}

// TestATroubleOfOurOwnNeverWaitsBehindAlerts: one sound of six is kept for it, and the next comes at once without, and
// rings when there is room.
func TestATroubleOfOurOwnNeverWaitsBehindAlerts(t *testing.T) {
	s := full(t)
	s.trouble("outbox/shop-db", event.Critical, true)
	s.pass(2*time.Second, time.Second)
	s.hears("new outbox/shop-db")
	s.trouble("source/shop-mongo", event.Critical, true)
	s.trouble("dead/shop-db", event.Warning, true)
	s.pass(2*time.Second, time.Second)
	s.hears("hushed source/shop-mongo", "hushed dead/shop-db")
	if c := s.board.Card("source/shop-mongo"); !c.Hushed || c.Lead != "" {
		t.Errorf("%+v", c)
	}
	s.pass(10*time.Minute, time.Second)
	s.hears("reminder source/shop-mongo", "reminder dead/shop-db")
	if s.board.Card("source/shop-mongo").Hushed {
		t.Error("its sound came, and is owed yet")
	}
}

// TestACriticalAlertBeyondTheBudgetComesAtOnceAndTheNextJoinIt, without a sound; there is one sound for all, when there is room.
func TestACriticalAlertBeyondTheBudgetComesAtOnceAndTheNextJoinIt(t *testing.T) {
	s := full(t)
	for i := range 4 {
		s.fails(fmt.Sprint("late", i), 1, 1).Stream = event.Stream(fmt.Sprint("shop-mongo/t", i))
		s.pass(20*time.Second, time.Second)
	}
	f := s.fails("warning", 1, 1)
	f.Severity, f.Stream = event.Warning, "shop-mongo/t9"
	s.pass(20*time.Second, time.Second)
	s.hears("hushed late0")
	if got := s.board.Members("late0"); len(got) != 3 {
		t.Errorf("with %q", got)
	}
	s.pass(10*time.Minute, time.Second)
	s.hears("reminder late0", "new warning")
}

// TestWhoAcknowledgesWhatCameWithoutASoundIsntRung.
func TestWhoAcknowledgesWhatCameWithoutASoundIsntRung(t *testing.T) {
	s := full(t)
	s.fails("late", 1, 1).Stream = "shop-mongo/t"
	s.pass(2*time.Second, time.Second)
	s.hears("hushed late")
	s.decide(Ack, "late", time.Time{})
	s.pass(20*time.Minute, time.Second)
	s.hears()
	if s.board.Card("late").Hushed {
		t.Error("a sound is owed to nobody")
	}
}

// TestWhatIsOverDoesntRing: neither a trouble that ended before anybody was told, nor one that came without a sound.
func TestWhatIsOverDoesntRing(t *testing.T) {
	s := full(t)
	s.board.Block(chat, s.now.Add(time.Minute))
	s.trouble("outbox/shop-db", event.Critical, true)
	s.pass(20*time.Second, time.Second)
	s.trouble("outbox/shop-db", event.Critical, false)
	s.pass(2*time.Minute, time.Second)
	s.hears("hushed outbox/shop-db")
	if c := s.board.Card("outbox/shop-db"); c.Hushed || c.Owed != None {
		t.Errorf("it is over, and owes %+v", c)
	}
	s = full(t)
	s.fails("late", 1, 1).Stream = "shop-mongo/t"
	s.pass(2*time.Second, time.Second)
	s.fails("late", 0, 0)
	s.pass(20*time.Minute, time.Second)
	s.hears("hushed late")
}

// TestATroubleOfOurOwnDoesntHideInABurstOfAlerts, nor a burst of them in each other's messages with the data's.
func TestATroubleOfOurOwnDoesntHideInABurstOfAlerts(t *testing.T) {
	s := newScene(t)
	for i := range 40 {
		s.fails(fmt.Sprintf("g%02d", i), 1, 1)
	}
	s.trouble("outbox/shop-db", event.Critical, true)
	s.pass(2*time.Second, time.Second)
	s.hears("new outbox/shop-db", "new g00")
	for i := range 40 {
		s.trouble(fmt.Sprintf("source/s%02d", i), event.Critical, true)
	}
	s.pass(2*time.Second, time.Second)
	s.hears("new source/s00")
	if got := len(s.board.Members("source/s00")); got != 39 {
		t.Errorf("with %d others", got)
	}
}

// TestWhoeverSharedAMessageThatIsNeverToldHasItsOwn: the first of many is only counted from now on.
func TestWhoeverSharedAMessageThatIsNeverToldHasItsOwn(t *testing.T) {
	s := newScene(t)
	for i := range 8 {
		s.fails(fmt.Sprint("g", i), 1, 1)
	}
	s.step()
	s.now = s.now.Add(2 * time.Second)
	s.step()
	if got := len(s.board.Members("g0")); got != 7 {
		t.Fatalf("g0 speaks for %d", got)
	}
	s.facts["g0"].Severity = event.Info
	s.pass(5*time.Second, time.Second)
	s.hears("new g1")
	if got := len(s.board.Members("g1")); got != 6 {
		t.Errorf("g1 speaks for %d", got)
	}
}
