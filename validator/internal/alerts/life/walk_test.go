package life

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

// walk is a random life of many groups, and what must hold at each step.
type walk struct {
	*scene
	random *rand.Rand
	open   map[string]bool // groups that people heard of and that aren't over since
	over   map[string]bool // groups that were over at some time since they were told last
	silent int             // how often something urgent came without a sound
	rung   int             // how often its sound came when there was room

	accepted map[string]bool     // at some time
	chats    map[string]int64    // of the groups
	came     map[int64]time.Time // when one came from another chat
}

// TestWhateverHappensTheInvariantsHold walks at random through errors, mended rows, decisions, restarts and time.
func TestWhateverHappensTheInvariantsHold(t *testing.T) {
	silent, rung := 0, 0
	for seed := range uint64(10) {
		w := &walk{
			scene: newScene(t), random: rand.New(rand.NewPCG(seed, 1)), open: map[string]bool{}, over: map[string]bool{}, accepted: map[string]bool{},
			chats: map[string]int64{}, came: map[int64]time.Time{},
		}
		for range 1500 {
			w.something()
			w.steps()
		}
		w.ends()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		silent, rung = silent+w.silent, rung+w.rung
	}
	if silent < 10 || rung < 10 {
		t.Errorf("only %d came without a sound, and %d of them rang afterwards: the walk doesn't fill its chats", silent, rung)
	}
}

func (w *walk) something() {
	if w.random.IntN(6) == 0 {
		w.trouble()
		return
	}
	id := fmt.Sprint("g", w.random.IntN(20))
	f := w.facts[id]
	switch n := w.random.IntN(20); {
	case n < 6 || f == nil:
		f = w.fails(id, 1+w.random.Int64N(5), 0)
		f.Severity = []event.Severity{event.Critical, event.Warning, event.Info}[len(id)*7%3]
		if f.Count < 6 {
			f.Severity = []event.Severity{event.Critical, event.Warning, event.Info}[w.random.IntN(3)]
			f.Origin.Transaction = fmt.Sprint(w.random.IntN(8))
			f.Chat.ID = -1 - w.random.Int64N(2)
		}
		if w.random.IntN(3) > 0 {
			w.fails(id, 0, w.random.Int64N(10))
		}
	case n < 10:
		w.fails(id, 0, 0)
	case n < 11:
		w.shares[orders] = Share{Invalid: w.random.Int64N(100), Total: 100, Since: w.now}
	case n < 14:
		verbs := []Verb{Ack, Unack, Mute, Unmute, Resolve, Reopen, Accept, Unaccept, Noted}
		verb := verbs[w.random.IntN(len(verbs))]
		w.accepted[id] = w.accepted[id] || verb == Accept
		w.decide(verb, id, w.now.Add(time.Duration(1+w.random.IntN(600))*time.Minute))
	case n < 15:
		w.restart()
	case n < 19:
		w.now = w.now.Add(time.Duration(w.random.IntN(120)) * time.Second)
	default:
		w.now = w.now.Add(time.Duration(w.random.IntN(72)) * time.Hour)
	}
}

// trouble begins or ends a trouble of our own.
func (w *walk) trouble() {
	id := fmt.Sprint("own/", w.random.IntN(12))
	f := w.facts[id]
	if f == nil {
		f = &Facts{ID: id, Own: true, Chat: telegram.Chat{ID: -1 - w.random.Int64N(2)}, Severity: []event.Severity{event.Critical, event.Warning}[w.random.IntN(2)], Count: 1, Live: 1, Rows: true}
		w.facts[id] = f
	}
	f.Seen, f.Wrong = w.now, 1-f.Wrong
}

// restart goes on with what was stored.
func (w *walk) restart() {
	stored, err := json.Marshal(w.board.Cards())
	if err != nil {
		w.t.Fatal(err)
	}
	cards := map[string]*Card{}
	if err := json.Unmarshal(stored, &cards); err != nil {
		w.t.Fatal(err)
	}
	w.board = NewBoard(DefaultTimes(), cards)
}

// steps tells the board what is known, lets people hear some of what is due, and looks at the invariants.
func (w *walk) steps() {
	for range w.random.IntN(4) + 1 {
		w.board.Step(slices.Collect(w.copies()), w.shares, w.now)
		w.noteOver()
		id, signal, _ := w.board.Due(w.now)
		if id == "" {
			w.nothingUrgentWaits()
			break
		}
		w.hear(id, signal)
	}
	w.check()
}

// nothingUrgentWaits looks whether anything critical or our own waits for room, while nothing is due.
func (w *walk) nothingUrgentWaits() {
	for id, c := range w.board.Cards() {
		if c.Owed.Begins() && c.Owed != Snapshot && (c.Severity == event.Critical || strings.HasPrefix(id, "own/")) && !c.muted() && w.now.Sub(c.OwedSince) >= time.Second {
			w.t.Errorf("%s waits since %s: %+v", id, w.now.Sub(c.OwedSince), *c)
		}
	}
}

func (w *walk) copies() func(func(Facts) bool) {
	return func(yield func(Facts) bool) {
		for _, f := range w.facts {
			if !yield(*f) {
				return
			}
		}
	}
}

func (w *walk) noteOver() {
	for id, c := range w.board.Cards() {
		if was := w.chats[id]; was != c.Chat.ID && was != 0 {
			w.came[c.Chat.ID] = w.now
		}
		w.chats[id] = c.Chat.ID
		if c.Phase == Over || len(c.Openings) > 0 && w.open[id] && c.Opened.Equal(w.now) {
			w.over[id] = true
		}
		f := w.facts[id]
		if c.Phase == Over && f.Wrong > 0 && f.Severity != event.Info {
			w.t.Errorf("%s is over with %d wrong rows", id, f.Wrong)
		}
	}
}

func (w *walk) hear(id string, signal Signal) {
	c := w.board.Card(id)
	if c.MutedBy != "" || c.silenced() {
		w.t.Errorf("%s is told, though it is muted or accepted", id)
	}
	if c.Severity == event.Info && !w.board.Ongoing(id) {
		w.t.Errorf("%s is told, though it is only counted", id)
	}
	if c.Lead != "" {
		w.t.Errorf("%s is told, though it shares a message", id)
	}
	if signal.Begins() && signal != Flapping && w.open[id] && !w.over[id] {
		w.t.Errorf("%s is told anew while it is open: %s", id, signal)
	}
	if signal.Begins() {
		w.open[id], w.over[id] = true, false
	}
	if signal == Hushed && !c.urgent() {
		w.t.Errorf("%s is told without a sound, and could wait for one", id)
	}
	w.silent += boolean(signal == Hushed)
	w.rung += boolean(signal == Reminder && c.Hushed)
	w.next++
	w.board.Told(id, signal, telegram.Ref{Chat: c.Chat, ID: w.next}, w.now)
	w.heard = append(w.heard, heard{w.now, id, signal})
	sounds := 0
	w.heard = slices.DeleteFunc(w.heard, func(h heard) bool { return w.now.Sub(h.at) >= 10*time.Minute })
	for _, h := range w.heard {
		if !h.signal.Silent() && w.board.Card(h.id).Chat.ID == c.Chat.ID {
			sounds++
		}
	}
	if sounds > 6 && !w.moved(c.Chat) {
		w.t.Errorf("%d sounds within ten minutes in chat %d", sounds, c.Chat.ID)
	}
}

// moved tells whether a group has come to the chat lately: it brings its sounds.
func (w *walk) moved(chat telegram.Chat) bool { return w.now.Sub(w.came[chat.ID]) < 10*time.Minute }

func (w *walk) check() {
	for id, c := range w.board.Cards() {
		lead := w.board.Card(c.Lead)
		switch {
		case c.Lead == "":
		case lead == nil || lead.Lead != "":
			w.t.Errorf("%s shares the message of %s, which has none", id, c.Lead)
		case !slices.Contains(w.board.Members(c.Lead), id):
			w.t.Errorf("%s isn't among those of %s", id, c.Lead)
		}
		if c.alive() && c.Lead == "" && !c.Sent && c.Owed == None && !c.muted() && !c.Held(w.now) && c.Accepted == nil && !w.accepted[id] {
			w.t.Errorf("%s is open, and nobody will ever hear of it: %+v", id, *c)
		}
	}
}

// ends lets all be told: after that, nobody waits.
func (w *walk) ends() {
	for range 200 {
		w.now = w.now.Add(time.Minute)
		w.steps()
	}
	for id, c := range w.board.Cards() {
		if (c.Owed.Begins() || c.Hushed) && !c.muted() {
			w.t.Errorf("%s waits for ever: %s since %s", id, c.Owed, w.now.Sub(c.OwedSince))
		}
	}
}
