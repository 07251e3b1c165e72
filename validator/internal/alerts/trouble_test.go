package alerts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
)

// TestTroublesSayWhatSinceWhenWhatItMeansAndWhatToDo in both languages, letter by letter.
func TestTroublesSayWhatSinceWhenWhatItMeansAndWhatToDo(t *testing.T) {
	now := time.Date(2026, 11, 22, 7, 30, 0, 0, time.UTC)
	lost := int64(1240)
	var got bytes.Buffer
	for _, language := range []string{"en", "vi"} {
		s := desk(language, now)
		s.signs.after, s.signs.behind = 2*time.Minute, map[string]behind{}
		s.signs.services = map[string]map[string]control.Beat{"validator": {"x": {At: now}}, "preprocessor": {"x": {At: now.Add(-5 * time.Minute)}}}
		s.signs.known.Canaries = control.Canaries{}
		s.signs.known.Gaps = map[string]*gaps{}
		for i := range 5 {
			s.signs.beat(control.Beat{Service: "collector", Instance: "x", At: now.Add(time.Duration(i-4) * time.Minute), Parts: []control.Part{
				{Name: "source shop-mongo", Reason: "failed: no route to host", Since: now.Add(-time.Hour)}, {Name: "telegram", Reason: "away", Since: now.Add(-time.Hour)},
			}, Sources: []control.Source{
				{Name: "shop-mongo", Trouble: &control.SourceTrouble{Since: now.Add(-32 * time.Minute), Reason: "in English", Remedy: "in English", Why: reason.MongoUnanswered.With().Quoting(errors.New("no route to host")).Pointer(), Do: reason.DoMongoUnanswered.With().Pointer()}},
				{Name: "shop-db", Backlog: 1800 << 20, BacklogCap: 2 << 30, LagSeconds: float64(100 + 60*i)},
				{Name: "shop-wal", Window: &control.Window{Left: 1 << 30, Size: 10 << 30}, Trouble: &control.SourceTrouble{Since: now.Add(-32 * time.Minute), Reason: "the slot is about to be lost", Why: reason.SlotNearlyLost.With("datawatch_shop", 1, 2).Pointer()}},
				{Name: "shop-oplog", Window: &control.Window{Left: 3600, Size: 86400, Seconds: true}},
				{Name: "well", Backlog: 1, BacklogCap: 2 << 30, LagSeconds: float64(400 - 60*i), Window: &control.Window{Left: 9, Size: 10}},
			}})
		}
		for _, stream := range []event.Stream{"shop-db/public.orders", "shop-db/public.wallets"} {
			s.signs.gap(control.Gap{Stream: stream, What: event.Gap{
				From: now.Add(-2 * time.Hour), To: now.Add(-time.Hour), Cause: "outbox_full", Lost: &lost,
			}.Advising(reason.DoOutboxFull.With())}, now)
		}
		s.signs.gap(control.Gap{Stream: "shop-mongo/shop.carts", What: event.Gap{From: now.Add(-2 * time.Hour), To: now.Add(-time.Hour), Cause: "history_lost: the resume point may no longer be in the oplog"}}, now)
		troubles := s.findTroubles(now)
		s.signs.known.Canaries[2] = now.Add(-10 * time.Minute) // none was silent where one is told
		delete(s.signs.services, "preprocessor")
		maps.Copy(troubles, s.findTroubles(now))
		s.troubles = troubles
		for _, id := range slices.Sorted(maps.Keys(troubles)) {
			w := writer{words: s.words, zone: hanoi, now: now}
			c := &life.Card{Phase: life.Open, Rows: troubles[id].count == 0, Opened: now, Since: troubles[id].since}
			over := &life.Card{Phase: life.Over, Rows: c.Rows, OverAt: now.Add(20 * time.Minute), Opened: c.Opened, Since: c.Since}
			fmt.Fprintf(&got, "== %s: %s\n%s\n%s\n\n", language, id, s.troubleMessage(w, id, c).HTML(), s.troubleMessage(w, id, over).HTML())
		}
		s.several(&got, language, now)
	}
	const golden = "testdata/troubles.golden"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got.Bytes()) {
		t.Errorf("differs from %s:\n%s", golden, got.Bytes())
	}
}

// several writes messages of several troubles at once, as they end one by one, and of one that came without a sound.
func (s *sender) several(to io.Writer, language string, now time.Time) {
	ids := []string{"outbox/shop-db", "source/shop-mongo", "lag/shop-db"}
	cards := map[string]*life.Card{}
	for i, id := range ids {
		cards[id] = &life.Card{
			Version: 2, Own: true, Severity: s.troubles[id].severity, Phase: life.Open, Rows: true, Sent: i == 0, Opened: now, Since: s.troubles[id].since,
			Incident: life.Burst, Lead: ids[0],
		}
	}
	cards[ids[0]].Lead = ""
	s.board = life.NewBoard(s.keeper.options.Times, cards)
	show := func(name string, m telegram.Message) {
		fmt.Fprintf(to, "== %s: %s\n%s\n%s\n\n", language, name, m.HTML(), buttonTexts(m))
	}
	show("several", s.message(ids[0]))
	show("reminder of several", s.signal(ids[0], life.Reminder))
	show("one of several that had a message", s.message(ids[1]))
	for i, id := range ids {
		cards[id].Phase, cards[id].OverAt = life.Over, now.Add(time.Duration(20*(i+1))*time.Minute)
		if i != 1 {
			show(fmt.Sprint("several, ", i+1, " over"), s.message(ids[0]))
		}
	}
	alone := map[string]*life.Card{ids[0]: {Version: 2, Own: true, Severity: event.Critical, Phase: life.Open, Rows: true, Sent: true, Hushed: true, Opened: now}}
	s.board = life.NewBoard(s.keeper.options.Times, alone)
	show("without a sound", s.message(ids[0]))
}
