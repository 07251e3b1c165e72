package life

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
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
}

// TestWhateverHappensTheInvariantsHold walks at random through errors, mended rows, decisions, restarts and time.
func TestWhateverHappensTheInvariantsHold(t *testing.T) {
	for seed := range uint64(10) {
		w := &walk{scene: newScene(t), random: rand.New(rand.NewPCG(seed, 1)), open: map[string]bool{}, over: map[string]bool{}}
		for range 1500 {
			w.something()
			w.steps()
		}
		w.ends()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func (w *walk) something() {
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
		w.decide(verbs[w.random.IntN(len(verbs))], id, w.now.Add(time.Duration(1+w.random.IntN(600))*time.Minute))
	case n < 15:
		w.restart()
	case n < 19:
		w.now = w.now.Add(time.Duration(w.random.IntN(120)) * time.Second)
	default:
		w.now = w.now.Add(time.Duration(w.random.IntN(72)) * time.Hour)
	}
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
			break
		}
		w.hear(id, signal)
	}
	w.check()
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
	if c.Severity == event.Info {
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
	w.next++
	w.board.Told(id, telegram.Ref{Chat: c.Chat, ID: w.next}, w.now)
	w.heard = append(w.heard, heard{w.now, id, signal})
	sounds := 0
	for _, h := range w.heard {
		if w.now.Sub(h.at) < 10*time.Minute && h.signal != Snapshot && w.board.Card(h.id).Chat.ID == c.Chat.ID {
			sounds++
		}
	}
	if sounds > 6 && !w.moved(c.Chat) {
		w.t.Errorf("%d sounds within ten minutes in chat %d", sounds, c.Chat.ID)
	}
}

// moved tells whether a group that sounded lately has changed its chat since.
func (w *walk) moved(chat telegram.Chat) bool {
	for _, c := range w.board.Cards() {
		if c.Chat == chat && c.Sent && c.Message.Chat != chat {
			return true
		}
	}
	return false
}

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
		if c.alive() && c.Lead == "" && !c.Sent && c.Owed == None && !c.muted() && !c.Held(w.now) && c.Accepted == nil && !w.wasSilenced(c) {
			w.t.Errorf("%s is open, and nobody will ever hear of it: %+v", id, *c)
		}
	}
}

// wasSilenced tells that the group opened while it was accepted: people are reminded when that ends.
func (w *walk) wasSilenced(c *Card) bool { return !c.Remind.IsZero() && len(c.Openings) > 0 }

// ends lets all be told: after that, nobody waits.
func (w *walk) ends() {
	for range 200 {
		w.now = w.now.Add(time.Minute)
		w.steps()
	}
	for id, c := range w.board.Cards() {
		if c.Owed.Begins() && !c.muted() {
			w.t.Errorf("%s waits for ever: %s since %s", id, c.Owed, w.now.Sub(c.OwedSince))
		}
	}
}
