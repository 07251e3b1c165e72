package life

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

var update = flag.Bool("update", false, "write the golden files anew")

// storms are incidents in simulated time.
var storms = []struct {
	name string
	run  func(s *scene)
}{
	{"100,000 rows by one transaction", func(s *scene) {
		for range 200 { // 20 seconds
			for _, id := range []string{"balance-not-negative", "ledger-adds-up"} {
				f := s.fails(id, 500, s.wrongOf(id)+500)
				f.Origin = Origin{Transaction: "shop-db 81422", Actor: "psql"}
				f.Hour += 500
			}
			s.pass(100*time.Millisecond, 100*time.Millisecond)
		}
		s.pass(4*time.Hour, 10*time.Second)
	}},
	{"15 rules on 8 tables at once", func(s *scene) {
		for range 600 {
			for rule := range 15 {
				id := fmt.Sprintf("rule-%02d", rule)
				f := s.fails(id, 2, s.wrongOf(id)+1)
				f.Stream = event.Stream(fmt.Sprintf("shop-db/public.t%d", rule%8))
			}
			s.pass(time.Second, 500*time.Millisecond)
		}
		s.pass(2*time.Hour, 10*time.Second)
	}},
	{"a stream turns invalid as a whole", func(s *scene) {
		for i := range 600 {
			for rule := range min(20, i+1) { // one more each second
				id := fmt.Sprintf("leaf-%02d", rule)
				s.fails(id, 7, s.wrongOf(id)+7)
			}
			if i%5 == 4 {
				s.shares[orders] = Share{Invalid: int64(7 * i), Total: int64(7*i) + 3, Since: s.now.Add(-time.Duration(i) * time.Second)}
			}
			s.pass(time.Second, 500*time.Millisecond)
		}
		s.pass(2*time.Hour, 10*time.Second)
	}},
	{"a rule flaps for two days", func(s *scene) {
		for range 48 * 6 {
			s.fails("flapping", 1, 1)
			s.pass(2*time.Second, 100*time.Millisecond)
			s.pass(5*time.Minute, 5*time.Second)
			s.fails("flapping", 0, 0)
			s.pass(5*time.Minute, 5*time.Second)
		}
	}},
	{"a leak of one a minute for a day", func(s *scene) {
		for i := range 24 * 60 {
			f := s.fails("leak", 1, int64(i)+1)
			f.Gap, f.Hour, f.HourBefore = time.Minute, int64(i%60)+1, int64(min(i/60, 1)*60)
			s.pass(time.Minute, time.Second)
		}
	}},
	{"Telegram is away for an hour in the middle", func(s *scene) {
		s.fails("before", 1, 1)
		s.pass(10*time.Second, time.Second)
		for i := range 3600 {
			s.now = s.now.Add(time.Second)
			id := fmt.Sprintf("meanwhile-%02d", i/120)
			s.fails(id, 1, s.wrongOf(id)+1)
			s.step() // nobody hears of it
		}
		s.pass(2*time.Hour, time.Second)
	}},
}

func (s *scene) wrongOf(id string) int64 {
	if f := s.facts[id]; f != nil {
		return f.Wrong
	}
	return 0
}

func (s *scene) step() {
	all := make([]Facts, 0, len(s.facts))
	for _, f := range s.facts {
		all = append(all, *f)
	}
	s.board.Step(all, s.shares, s.now)
	s.board.Due(s.now)
}

// TestAStormIsAHandfulOfMessages counts what people hear of each storm: at most ten, the first within two seconds, and of
// every group.
func TestAStormIsAHandfulOfMessages(t *testing.T) {
	var got bytes.Buffer
	for _, storm := range storms {
		s := newScene(t)
		began := s.now
		storm.run(s)
		counts := map[Signal]int{}
		for _, h := range s.heard {
			counts[h.signal]++
		}
		var parts []string
		for _, signal := range []Signal{New, Back, Flapping, Hushed, Escalated, Reminder} {
			if counts[signal] > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", counts[signal], signal))
			}
		}
		fmt.Fprintf(&got, "%s: %d messages (%s), the first after %s\n", storm.name, len(s.heard), strings.Join(parts, ", "), s.heard[0].at.Sub(began))
		if len(s.heard) > 10 {
			t.Errorf("%s: %d messages", storm.name, len(s.heard))
		}
		if first := s.heard[0].at.Sub(began); first > 2*time.Second {
			t.Errorf("%s: the first message after %s", storm.name, first)
		}
		for id := range s.facts {
			if !s.board.Card(s.board.leadOf(id)).Sent {
				t.Errorf("%s: nobody heard of %s", storm.name, id)
			}
		}
		s.withinBudget(storm.name)
	}
	const golden = "testdata/storms.golden"
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

func (s *scene) withinBudget(storm string) {
	s.t.Helper()
	loud := slices.DeleteFunc(slices.Clone(s.heard), func(h heard) bool { return h.signal.Silent() })
	for i, h := range loud {
		n := slices.IndexFunc(loud, func(o heard) bool { return h.at.Sub(o.at) < 10*time.Minute })
		if i-n+1 > 6 {
			s.t.Errorf("%s: %d sounds within ten minutes before %s", storm, i-n+1, h.at.Format(time.TimeOnly))
		}
	}
}

// TestCriticalGoesFirst: however much else is due, what is critical is told before it.
func TestCriticalGoesFirst(t *testing.T) {
	s := newScene(t)
	for i := range 5 {
		f := s.fails(fmt.Sprint("w", i), 1, 1)
		f.Severity, f.Chat = event.Warning, telegram.Chat{ID: int64(-1 - i)}
	}
	s.fails("critical", 1, 1).Chat = telegram.Chat{ID: -9}
	s.step()
	s.pass(2*time.Second, 2*time.Second)
	if s.heard[0].id != "critical" {
		t.Errorf("heard %v", s.heard)
	}
}
