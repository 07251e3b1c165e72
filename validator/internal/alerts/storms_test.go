package alerts_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/alerts/life"
)

const (
	stormRounds = 12
	// mostHeard is how many messages with sound an incident makes at most.
	mostHeard = 10
)

// storm is an incident on a real Kafka, and the keeper's processes that are killed in it.
type storm struct {
	*world
	api     *api
	scanner *broker.Scanner
	counts  map[string]int64 // events, by fingerprint
	rows    int
}

// storms play a round of an incident each.
var storms = map[string]func(s *storm, round int){
	"one transaction": func(s *storm, _ int) {
		s.fail(150, "balance-not-negative", "ledger-adds-up")
	},
	"15 rules on 8 tables": func(s *storm, round int) {
		for rule := range 15 {
			s.of(event.Stream(fmt.Sprintf("shop-db/public.t%d", rule%8)), fmt.Sprintf("rule-%02d of %02d", rule, round), 3, fmt.Sprintf("rule-%02d", rule))
		}
	},
	"a stream turns invalid": func(s *storm, round int) {
		for leaf := range 10 + round {
			s.of(stream, fmt.Sprintf("leaf-%02d of %02d", leaf, round), 2, fmt.Sprintf("leaf-%02d", leaf))
		}
		s.write([]broker.Record{control.BeatRecord(s.topics.Control, control.Beat{
			Service: "validator", Instance: "x", At: time.Now(), Tallies: map[string]control.Tally{string(stream): {Valid: 1, Invalid: 97}},
		})})
	},
	"a rule flaps": func(s *storm, round int) {
		if round%2 == 0 {
			s.fail(1, "flapping")
			s.awaits("flapping", func(c *life.Card) bool { return c.Alive() })
			return
		}
		s.mend("flapping", s.rows)
		s.awaits("flapping", func(c *life.Card) bool { return c.Phase == life.Over })
	},
	"a slow leak": func(s *storm, round int) {
		s.of(stream, fmt.Sprint("of ", round), 1, "leak")
	},
	"Telegram is away": func(s *storm, round int) {
		s.api.goAway(round > 1 && round < stormRounds-2)
		if round == stormRounds-2 {
			s.api.floods(2 * time.Second) // others send to the chat, too
		}
		s.of(stream, fmt.Sprint("of ", round), 2, fmt.Sprint("meanwhile-", round))
		if round == 1 {
			s.heard()
		}
	},
}

// fail publishes events of one transaction that have an error of each rule each.
func (s *storm) fail(n int, rules ...string) { s.of(stream, "81422", n, rules...) }

func (s *storm) of(of event.Stream, transaction string, n int, rules ...string) {
	s.t.Helper()
	var all []*event.Violation
	for range n {
		s.rows++
		for _, rule := range rules {
			v := violation(s.rows, rule, event.Critical)
			v.Transaction, v.Stream = &transaction, of
			all = append(all, v)
			s.counts["fp-"+rule]++
		}
	}
	s.publish(true, all...)
}

// cards are the groups' lives as they are stored.
func (s *storm) cards() (map[string]*life.Card, error) {
	state, err := s.scanner.State(s.t.Context(), s.topics.State, "alert-message/fp-")
	if err != nil {
		return nil, err
	}
	cards := map[string]*life.Card{}
	for key, value := range state {
		c := new(life.Card)
		if err := json.Unmarshal(value, c); err != nil {
			return nil, err
		}
		cards[strings.TrimPrefix(key, "alert-message/")] = c
	}
	return cards, nil
}

func (s *storm) awaits(rule string, is func(*life.Card) bool) {
	s.t.Helper()
	testrig.Eventually(s.t, 60*time.Second, func() error {
		cards, err := s.cards()
		if c := cards["fp-"+rule]; err == nil && (c == nil || !is(c)) {
			err = fmt.Errorf("%s is %+v", rule, c)
		}
		return err
	})
}

// heard waits until people have been told of anything.
func (s *storm) heard() {
	s.t.Helper()
	testrig.Eventually(s.t, 60*time.Second, func() error {
		if messages, _ := s.api.sent(); len(messages) == 0 {
			return errors.New("nobody was told yet")
		}
		return nil
	})
}

// told waits until people have been told of every group, and each event is counted once.
func (s *storm) told() {
	s.t.Helper()
	testrig.WhileMoving(s.t, time.Minute, func() (far int, err error) {
		groups, err := s.scanner.State(s.t.Context(), s.topics.State, "alert/fp-")
		if err != nil {
			return far, err
		}
		cards, err := s.cards()
		if err != nil {
			return far, err
		}
		for id, n := range s.counts {
			var group struct{ Count int64 }
			if e := json.Unmarshal(groups["alert/"+id], &group); e != nil || group.Count != n {
				err = fmt.Errorf("%s counts %d of %d: %w", id, group.Count, n, e)
			}
			far += int(group.Count)
			lead := cards[id]
			if lead != nil && lead.Lead != "" {
				lead = cards[lead.Lead]
			}
			if lead == nil || !lead.Sent || lead.Owed != life.None && !lead.Hushed { // what came without a sound may owe it longer
				err = fmt.Errorf("nobody was told of %s: %+v", id, cards[id])
			} else {
				far++
			}
		}
		return far, err
	})
}

// TestAStormIsAHandfulOfMessagesThoughTheKeeperIsKilledInIt plays each storm on a real Kafka, at once, and kills the keeper with
// SIGKILL at a random moment of it, again and again as long as DATAWATCH_SOAK says: people are told of every group, every
// event counts once, and nobody hears more than ten messages.
func TestAStormIsAHandfulOfMessagesThoughTheKeeperIsKilledInIt(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the group needs to notice a death")
	}
	kafka := testrig.Kafka(t)
	for name, play := range storms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			for again := true; again; again = time.Since(began) < testrig.Soak()/2 {
				weather(t, kafka, play)
			}
		})
	}
}

func weather(t *testing.T, kafka string, play func(*storm, int)) {
	a := newAPI(t)
	s := &storm{world: newWorld(t, kafka, a), api: a, counts: map[string]int64{}}
	var err error
	if s.scanner, err = broker.NewScanner(s.shared.Broker, "test"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.scanner.Close() })
	kill := s.spawn(a)
	death := 2 + rand.IntN(stormRounds-4)
	for round := range stormRounds {
		play(s, round)
		if round != death {
			continue
		}
		s.heard()
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond) // a moment at random is what is tested
		kill()
		kill = s.spawn(a)
	}
	s.told()
	kill()
	messages, _ := a.sent()
	heard := 0
	for _, m := range messages {
		if !m.silent {
			heard++
		}
	}
	if heard == 0 || heard > mostHeard {
		t.Errorf("people heard %d messages: %+v", heard, messages)
	}
	if !a.obeyed() {
		t.Error("Telegram said how long to wait, and nobody was told so, or somebody didn't wait")
	}
	t.Logf("people heard %d messages of %d groups; the keeper was killed in round %d", heard, len(s.counts), death)
}
