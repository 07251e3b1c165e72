package life

import (
	"fmt"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

const orders = event.Stream("shop-db/public.orders")

var chat = telegram.Chat{ID: -100456}

// scene is a board, the facts that it is told, and what people heard.
type scene struct {
	t      *testing.T
	now    time.Time
	board  *Board
	facts  map[string]*Facts
	shares map[event.Stream]Share
	heard  []heard
	next   int
}

type heard struct {
	at     time.Time
	id     string
	signal Signal
}

func newScene(t *testing.T) *scene {
	return &scene{
		t: t, now: time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC), board: NewBoard(DefaultTimes(), nil), facts: map[string]*Facts{},
		shares: map[event.Stream]Share{},
	}
}

// fails counts errors of a group, now; wrong is how many of its rows are wrong.
func (s *scene) fails(id string, n, wrong int64) *Facts {
	f := s.facts[id]
	if f == nil {
		f = &Facts{ID: id, Chat: chat, Severity: event.Critical, Stream: orders, Newest: "v1"}
		s.facts[id] = f
	}
	if n > 0 {
		f.Seen = s.now
	}
	f.Count, f.Live, f.Wrong = f.Count+n, f.Live+n, wrong
	f.Rows = f.Rows || wrong > 0
	return f
}

// settle tells the board what is known, and people all that is due.
func (s *scene) settle() {
	s.t.Helper()
	for range 1000 {
		all := make([]Facts, 0, len(s.facts))
		for _, f := range s.facts {
			all = append(all, *f)
		}
		s.board.Step(all, s.shares, s.now)
		id, signal, _ := s.board.Due(s.now)
		if id == "" {
			return
		}
		s.next++
		s.board.Told(id, signal, telegram.Ref{Chat: chat, ID: s.next}, s.now)
		s.heard = append(s.heard, heard{s.now, id, signal})
	}
	s.t.Fatal("people hear without an end")
}

// pass lets time go by in steps, and settles after each.
func (s *scene) pass(d, step time.Duration) {
	s.t.Helper()
	for end := s.now.Add(d); s.now.Before(end); {
		s.now = s.now.Add(step)
		s.settle()
	}
}

// hears compares what people heard since the last call.
func (s *scene) hears(want ...string) {
	s.t.Helper()
	var got []string
	for _, h := range s.heard {
		got = append(got, string(h.signal)+" "+h.id)
	}
	s.heard = nil
	if fmt.Sprint(got) != fmt.Sprint(want) {
		s.t.Fatalf("people heard %q, want %q", got, want)
	}
}

func (s *scene) decide(verb Verb, id string, until time.Time, keys ...string) Outcome {
	return s.board.Decide(Decision{Verb: verb, ID: id, User: "@linh", At: s.now, Until: until, Text: "reason", Keys: keys})
}

func (s *scene) phase(id string, want Phase) {
	s.t.Helper()
	if got := s.board.Card(id).Phase; got != want {
		s.t.Fatalf("%s is %q at %s, want %q", id, got, s.now.Format(time.TimeOnly), want)
	}
}

func TestANewGroupIsToldOnceWithinTwoSecondsAndThenLives(t *testing.T) {
	s := newScene(t)
	began := s.now
	s.fails("a", 1, 1)
	s.settle()
	s.pass(2*time.Second, 100*time.Millisecond)
	if len(s.heard) != 1 || s.heard[0].at.Sub(began) > 2*time.Second {
		t.Fatalf("heard %v", s.heard)
	}
	s.hears("new a")
	for range 100 {
		s.fails("a", 10, 40)
		s.pass(10*time.Second, 10*time.Second)
	}
	s.hears()
	s.phase("a", Open)
}

func TestAGroupWithWrongRowsIsOverWhenNoneIsLeftAndNotBefore(t *testing.T) {
	s := newScene(t)
	s.fails("a", 3, 3)
	s.pass(2*time.Second, time.Second)
	s.pass(16*time.Minute, time.Minute)
	s.phase("a", Quiet)
	if got := s.decide(Resolve, "a", time.Time{}); got != StillWrong {
		t.Fatalf("resolved with wrong rows: %v", got)
	}
	s.fails("a", 0, 1)
	s.settle()
	s.phase("a", Quiet)
	s.fails("a", 0, 0)
	s.settle()
	s.phase("a", Over)
}

func TestAnOccurrenceIsOverWhenSomebodySaysSoOrAfterQuietDaysWithValidEvents(t *testing.T) {
	s := newScene(t)
	s.fails("pressed", 1, 0)
	s.fails("quiet", 1, 0)
	s.fails("idle", 1, 0)
	s.pass(2*time.Second, time.Second)
	if got := s.decide(Resolve, "pressed", time.Time{}); got != Done {
		t.Fatal(got)
	}
	s.phase("pressed", Over)
	if s.decide(Reopen, "pressed", time.Time{}); s.board.Card("pressed").Phase != Open {
		t.Fatal("resolving can't be undone")
	}
	s.pass(20*time.Minute, time.Minute)
	s.facts["quiet"].Valid, s.facts["idle"].Valid = 20, 19
	s.pass(6*24*time.Hour, time.Hour)
	s.phase("quiet", Quiet)
	s.pass(25*time.Hour, time.Hour)
	s.phase("quiet", Over)
	s.phase("idle", Quiet)
}

func TestQuietIsThreeTimesTheUsualGap(t *testing.T) {
	s := newScene(t)
	s.fails("a", 2, 1).Gap = 10 * time.Minute
	s.pass(2*time.Second, time.Second)
	s.pass(29*time.Minute, time.Minute)
	s.phase("a", Open)
	s.pass(2*time.Minute, time.Minute)
	s.phase("a", Quiet)
	s.fails("a", 1, 1)
	s.settle()
	s.phase("a", Open)
}

func TestTenTimesTheHourBeforeIsToldOnceAnHour(t *testing.T) {
	s := newScene(t)
	f := s.fails("a", 30, 30)
	s.pass(2*time.Second, time.Second)
	s.hears("new a")
	s.decide(Ack, "a", time.Time{})
	f.Hour, f.HourBefore = 299, 30
	s.settle()
	s.hears()
	f.Hour = 300
	s.settle()
	s.hears("escalated a")
	f.Hour = 3000
	s.pass(50*time.Minute, time.Minute)
	s.hears()
	f.Hour, f.HourBefore = 30_000, 3000
	s.pass(15*time.Minute, time.Minute)
	s.hears("escalated a")
}

func TestWhatWasOverIsBackWithinTwoWeeksAndNewLater(t *testing.T) {
	s := newScene(t)
	over := func() {
		t.Helper()
		s.fails("a", 0, 0)
		s.settle()
		s.phase("a", Over)
	}
	s.fails("a", 1, 1)
	s.pass(2*time.Second, time.Second)
	s.hears("new a")
	over()
	s.pass(13*24*time.Hour, time.Hour)
	s.fails("a", 1, 1)
	s.pass(2*time.Second, time.Second)
	s.hears("back a")
	if s.board.Card("a").WasOver.IsZero() {
		t.Error("nobody knows since when it was over")
	}
	over()
	s.pass(15*24*time.Hour, time.Hour)
	s.fails("a", 1, 1)
	s.pass(2*time.Second, time.Second)
	s.hears("new a")
}

func TestThreeTimesADayIsOneMessageHeldForSixHours(t *testing.T) {
	s := newScene(t)
	flap := func() {
		t.Helper()
		s.fails("a", 1, 1)
		s.pass(time.Minute, 2*time.Second)
		s.fails("a", 0, 0)
		s.pass(9*time.Minute, time.Minute)
	}
	flap()
	flap()
	flap()
	s.hears("new a", "back a", "flapping a")
	held := s.board.Card("a").HeldUntil
	for s.now.Before(held.Add(-20 * time.Minute)) {
		flap()
	}
	s.hears()
	flap()
	flap()
	flap()
	s.hears("flapping a")
}

func TestNobodyAcknowledgedIsToldAtGrowingDistance(t *testing.T) {
	s := newScene(t)
	s.fails("a", 1, 1)
	s.pass(2*time.Second, time.Second)
	s.heard = nil
	began := s.now
	s.pass(30*24*time.Hour, time.Hour)
	var distances []time.Duration
	last := began
	for _, h := range s.heard {
		if h.signal != Reminder {
			t.Fatalf("heard %v", h)
		}
		distances = append(distances, h.at.Sub(last).Round(time.Hour))
		last = h.at
	}
	if want := []time.Duration{time.Hour, 4 * time.Hour, 16 * time.Hour, 64 * time.Hour, 256 * time.Hour}; fmt.Sprint(distances) != fmt.Sprint(want) {
		t.Errorf("reminded after %v, want %v", distances, want)
	}
	s.heard = nil
	s.decide(Ack, "a", time.Time{})
	s.pass(60*24*time.Hour, 6*time.Hour)
	s.hears()
}

func TestMutedOwesNothingUntilItsTimeOrUntilTheSchemaChanges(t *testing.T) {
	s := newScene(t)
	s.fails("timed", 1, 1)
	s.fails("schema", 1, 1)
	s.pass(2*time.Second, time.Second)
	s.heard = nil
	s.decide(Mute, "timed", s.now.Add(8*time.Hour))
	s.decide(Mute, "schema", time.Time{})
	s.pass(7*time.Hour, time.Minute)
	s.hears()
	s.pass(61*time.Minute, time.Minute)
	s.hears("reminder timed")
	s.pass(2*time.Hour, time.Minute)
	s.hears()
	s.facts["schema"].Newest = "v2"
	s.settle()
	s.hears("reminder schema")
	s.decide(Mute, "schema", s.now.Add(time.Hour))
	s.decide(Unmute, "schema", time.Time{})
	if c := s.board.Card("schema"); c.MutedBy != "" || !c.MutedUntil.IsZero() {
		t.Errorf("muting can't be undone: %+v", c)
	}
}

func TestAcceptedIsSilentUntilItsDay(t *testing.T) {
	s := newScene(t)
	s.fails("a", 1, 1)
	s.pass(2*time.Second, time.Second)
	s.heard = nil
	s.decide(Accept, "a", s.now.Add(30*24*time.Hour))
	s.fails("a", 1000, 1000)
	s.pass(30*24*time.Hour-time.Hour, time.Hour)
	s.hears()
	s.pass(2*time.Hour, time.Hour)
	s.hears("reminder a")
}

func TestAcceptedRowsDontHideOthers(t *testing.T) {
	s := newScene(t)
	s.fails("a", 2, 2)
	s.pass(2*time.Second, time.Second)
	s.heard = nil
	s.decide(Accept, "a", s.now.Add(30*24*time.Hour), "1", "2")
	s.fails("a", 5, 0) // the same two again: accepted rows don't count as wrong
	s.pass(time.Hour, time.Minute)
	s.phase("a", Over)
	s.hears()
	s.fails("a", 1, 1)
	s.pass(2*time.Second, time.Second)
	s.hears("back a")
}

func TestASnapshotNeverRingsAndIsOneMessageWhenItEnds(t *testing.T) {
	s := newScene(t)
	for range 120 {
		for _, id := range []string{"a", "b", "c"} {
			f := s.fails(id, 100, 100)
			f.Live = 0
		}
		s.pass(time.Second, time.Second)
	}
	s.hears()
	s.pass(2*time.Minute, time.Second)
	s.hears("snapshot a")
	if got := s.board.Members("a"); fmt.Sprint(got) != "[b c]" {
		t.Errorf("with %v", got)
	}
	if len(s.board.Card("a").Sounds) != 0 {
		t.Error("it made a sound")
	}
}

func TestGroupsOfOneTransactionActorOrSchemaChangeAreOneMessage(t *testing.T) {
	for name, origin := range map[Incident]Origin{
		Transaction: {Transaction: "shop-db 81422"}, Actor: {Actor: "psql"}, Schema: {Schema: "orders.json v2"},
	} {
		s := newScene(t)
		for i := range 3 {
			s.fails(fmt.Sprint("g", i), 1, 1).Origin = origin
		}
		s.pass(2*time.Second, time.Second)
		s.hears("new g0")
		late := s.fails("late", 1, 1)
		late.Origin = origin
		s.fails("stranger", 1, 1).Origin = Origin{Transaction: "other", Actor: "other", Schema: "other"}
		s.pass(2*time.Second, time.Second)
		s.hears("new stranger")
		if got := s.board.Members("g0"); fmt.Sprint(got) != "[g1 g2 late]" {
			t.Errorf("%s: with %v", name, got)
		}
		if got := s.board.Card("g0").Incident; got != name {
			t.Errorf("incident %q, want %q", got, name)
		}
	}
}

func TestWhatIsCriticalDoesntHideInAMessageThatPeopleHave(t *testing.T) {
	s := newScene(t)
	o := Origin{Transaction: "shop-db 81422"}
	f := s.fails("warning", 1, 1)
	f.Severity, f.Origin = event.Warning, o
	s.pass(2*time.Second, time.Second)
	s.fails("critical", 1, 1).Origin = o
	s.pass(2*time.Second, time.Second)
	s.hears("new warning", "new critical")
}

func TestMoreThanFiveWithinTwoMinutesAreOneMessage(t *testing.T) {
	s := newScene(t)
	for i := range 40 {
		s.fails(fmt.Sprintf("g%02d", i), 1, 1)
	}
	s.pass(2*time.Second, time.Second)
	s.hears("new g00")
	if got := len(s.board.Members("g00")); got != 39 {
		t.Errorf("with %d others", got)
	}
}

// TestAStrangerDoesntJoinAnIncidentThatHasACause, however many groups that has: it would keep it open, and mislead.
func TestAStrangerDoesntJoinAnIncidentThatHasACause(t *testing.T) {
	s := newScene(t)
	for i := range 8 {
		s.fails(fmt.Sprint("g", i), 1, 1).Origin = Origin{Transaction: "shop-db 81422"}
	}
	s.pass(2*time.Second, time.Second)
	s.fails("stranger", 1, 1).Origin = Origin{Transaction: "shop-mongo 1"}
	s.pass(2*time.Second, time.Second)
	s.hears("new g0", "new stranger")
	for i := range 8 {
		s.fails(fmt.Sprint("g", i), 0, 0)
	}
	s.pass(time.Second, time.Second)
	s.phase("g0", Over)
	s.phase("stranger", Open)
}

func TestAStreamThatIsInvalidAsAWholeIsOneAlert(t *testing.T) {
	s := newScene(t)
	for i := range 4 {
		s.fails(fmt.Sprint("g", i), 1, 1)
	}
	s.pass(2*time.Second, time.Second)
	s.hears("new g0", "new g1", "new g2", "new g3")
	s.shares[orders] = Share{Invalid: 4074, Total: 4200, Since: s.now}
	s.settle()
	for i := 4; i < 20; i++ {
		s.fails(fmt.Sprint("g", i), 1, 1)
		s.pass(time.Second, time.Second)
	}
	s.hears()
	c := s.board.Card("g0")
	if got := len(s.board.Members("g0")); got != 19 || c.Incident != Stream || c.Share.Invalid != 4074 {
		t.Errorf("with %d others, %+v", got, c)
	}
}

func TestAChatHearsSixMessagesInTenMinutesAndLosesNone(t *testing.T) {
	s := newScene(t)
	told := map[string]bool{}
	for i := range 40 {
		f := s.fails(fmt.Sprintf("g%02d", i), 1, 1)
		f.Stream = event.Stream(fmt.Sprint("shop-db/t", i))
		s.pass(30*time.Second, time.Second)
	}
	s.pass(30*time.Minute, time.Second)
	for _, h := range s.heard {
		n := 0
		for _, other := range s.heard {
			if d := h.at.Sub(other.at); d >= 0 && d < 10*time.Minute {
				n++
			}
		}
		if n > 6 {
			t.Errorf("%d messages within ten minutes before %s", n, h.at.Format(time.TimeOnly))
		}
		told[h.id] = true
	}
	for id := range s.facts {
		lead := s.board.leadOf(id)
		if !s.board.Card(lead).Sent {
			t.Errorf("nobody heard of %s", id)
		}
	}
}

func TestTheLastSoundOfAWindowIsForWhatIsCritical(t *testing.T) {
	s := newScene(t)
	for i := range 5 {
		f := s.fails(fmt.Sprint("w", i), 1, 1)
		f.Severity = event.Warning
		s.pass(70*time.Second, time.Second)
	}
	f := s.fails("w5", 1, 1)
	f.Severity = event.Warning
	s.pass(30*time.Second, time.Second)
	s.heard = nil
	s.fails("critical", 1, 1)
	s.pass(2*time.Second, time.Second)
	s.hears("new critical")
}

func TestEveryDecisionIsUndone(t *testing.T) {
	s := newScene(t)
	s.fails("a", 1, 0)
	s.pass(2*time.Second, time.Second)
	for _, pair := range [][2]Verb{{Ack, Unack}, {Mute, Unmute}, {Resolve, Reopen}, {Accept, Unaccept}} {
		before := *s.board.Card("a")
		for range 2 { // an update may come twice
			if got := s.decide(pair[0], "a", s.now.Add(time.Hour)); got != Done {
				t.Fatalf("%s: %v", pair[0], got)
			}
		}
		if got := s.decide(pair[1], "a", time.Time{}); got != Done {
			t.Fatalf("%s: %v", pair[1], got)
		}
		after := *s.board.Card("a")
		after.At, after.Count, after.Remind = before.At, before.Count, before.Remind
		if fmt.Sprintf("%+v", before) != fmt.Sprintf("%+v", after) {
			t.Errorf("%s isn't undone by %s:\n%+v\n%+v", pair[0], pair[1], before, after)
		}
	}
	if s.decide(Ack, "unknown", time.Time{}) != Unknown || s.decide("nonsense", "a", time.Time{}) != Unknown {
		t.Error("what isn't known is decided")
	}
}

func TestAChatThatCantBeReachedIsLeftAloneAndHearsAllLater(t *testing.T) {
	s := newScene(t)
	s.fails("a", 1, 1)
	s.board.Block(chat, s.now.Add(5*time.Minute))
	s.settle()
	s.pass(4*time.Minute, time.Second)
	s.hears()
	if _, _, wait := s.board.Due(s.now); wait <= 0 || wait > time.Minute {
		t.Errorf("it is tried again in %s", wait)
	}
	s.pass(2*time.Minute, time.Second)
	s.hears("new a")
}
