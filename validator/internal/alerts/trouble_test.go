package alerts

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"datawatch/pkg/control"
	"datawatch/pkg/event"
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
				{Name: "shop-mongo", Trouble: &control.SourceTrouble{Since: now.Add(-32 * time.Minute), Reason: "no route to host", Remedy: "check the uri"}},
				{Name: "shop-db", Backlog: 1800 << 20, BacklogCap: 2 << 30, LagSeconds: float64(100 + 60*i)},
				{Name: "shop-wal", Window: &control.Window{Left: 1 << 30, Size: 10 << 30}, Trouble: &control.SourceTrouble{Since: now.Add(-32 * time.Minute), Reason: "the slot is about to be lost"}},
				{Name: "shop-oplog", Window: &control.Window{Left: 3600, Size: 86400, Seconds: true}},
				{Name: "well", Backlog: 1, BacklogCap: 2 << 30, LagSeconds: float64(400 - 60*i), Window: &control.Window{Left: 9, Size: 10}},
			}})
		}
		for _, stream := range []event.Stream{"shop-db/public.orders", "shop-db/public.wallets"} {
			s.signs.gap(control.Gap{Stream: stream, What: event.Gap{
				From: now.Add(-2 * time.Hour), To: now.Add(-time.Hour), Cause: "the outbox reached its cap", Lost: &lost, Remedy: "run collector snapshot --source shop-db",
			}}, now)
		}
		s.signs.gap(control.Gap{Stream: "shop-mongo/shop.carts", What: event.Gap{From: now.Add(-2 * time.Hour), To: now.Add(-time.Hour), Cause: "the oplog no longer reaches back"}}, now)
		troubles := s.findTroubles(now)
		s.signs.known.Canaries[2] = now.Add(-10 * time.Minute) // none was silent where one is told
		delete(s.signs.services, "preprocessor")
		maps.Copy(troubles, s.findTroubles(now))
		s.troubles = troubles
		for _, id := range slices.Sorted(maps.Keys(troubles)) {
			w := writer{words: s.words, zone: hanoi, now: now}
			c := &life.Card{Phase: life.Open, Rows: true, Opened: now}
			over := &life.Card{Phase: life.Over, OverAt: now}
			fmt.Fprintf(&got, "== %s: %s\n%s\n%s\n\n", language, id, s.troubleMessage(w, id, c).HTML(), s.troubleMessage(w, id, over).HTML())
		}
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
