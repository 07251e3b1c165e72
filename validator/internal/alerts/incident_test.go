package alerts

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"datawatch/pkg/config"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
)

// desk is a sender that knows of some groups, without a broker.
func desk(language string, now time.Time) *sender {
	zone := config.Zone{Location: hanoi}
	options := Options{
		Telegram: config.Telegram{Language: language, Timezone: zone, Owners: map[string]config.Owner{"payments": {Mention: []string{"@oncall"}}}},
		Now:      func() time.Time { return now }, Times: life.DefaultTimes(),
	}
	s := &sender{
		keeper: &Keeper{options: options}, words: wordsOf(language), groups: map[string]*Group{},
		wrong: &wrong{counts: map[string]int64{}, ever: map[string]bool{}},
		signs: &signs{known: signsState{Streams: map[event.Stream]control.Tally{}, Letters: map[string]*letters{}}},
	}
	cards := map[string]*life.Card{}
	for i, rule := range []string{"balance-not-negative", "ledger-adds-up", "currency"} {
		g := exampleGroup(event.RuleViolation, rule, "0", "/balance", []string{"Balance is below zero", "The ledger doesn't add up", "Currency is missing"}[i], "", "-1")
		g.Fingerprint, g.Stream, g.Count = fmt.Sprint("fp", i), "shop-db/public.wallets", []int64{100_000, 99_120, 7}[i]
		g.Example.Transaction, g.Example.Actor = "81422", "psql (app)"
		g.Newest, g.InHour = "3f2a51", g.Count
		g.Hour = now.Unix() / 3600
		for n := range 100 {
			g.Keys.add(fmt.Append(nil, n))
		}
		s.groups[g.Fingerprint] = g
		s.wrong.counts[g.Fingerprint] = 100 - int64(10*i)
		cards[g.Fingerprint] = &life.Card{Version: 2, Severity: event.Critical, Stream: g.Stream, Phase: life.Open, Rows: true, Sent: true, Opened: g.First, Lead: "fp0"}
	}
	cards["fp0"].Lead = ""
	s.board = life.NewBoard(options.Times, cards)
	return s
}

// TestIncidentsAndDigestsReadAsPeopleAreUsedTo holds them in both languages, letter by letter.
func TestIncidentsAndDigestsReadAsPeopleAreUsedTo(t *testing.T) {
	now := time.Date(2026, 11, 22, 7, 30, 0, 0, time.UTC)
	var got bytes.Buffer
	for _, language := range []string{"en", "vi"} {
		show := func(name string, m telegram.Message) {
			fmt.Fprintf(&got, "== %s: %s\n%s\n%s\n\n", language, name, m.HTML(), buttonTexts(m))
		}
		s := desk(language, now)
		lead := s.board.Card("fp0")
		for _, incident := range []life.Incident{life.Transaction, life.Actor, life.Schema, life.Burst, life.Reads} {
			lead.Incident = incident
			show("incident of a "+string(incident), s.message("fp0"))
		}
		lead.Incident, s.groups["fp2"].Stream = life.Burst, "shop-kafka/payments.captured"
		show("incident of a burst in two sources", s.message("fp0"))
		s.groups["fp2"].Stream = "shop-db/public.wallets"
		lead.Incident, lead.Share = life.Stream, life.Share{Invalid: 4074, Total: 4200, Since: now}
		show("most of a stream", s.message("fp0"))
		show("reminder", s.signal("fp0", life.Reminder))
		show("ten times the hour before", s.signal("fp0", life.Escalated))
		show("one of its groups that had a message", s.message("fp1"))
		lead.Incident = life.Transaction
		for i, id := range []string{"fp2", "fp1", "fp0"} {
			c := s.board.Card(id)
			c.Phase, c.OverAt = life.Over, now.Add(time.Duration(i)*time.Minute)
			s.wrong.counts[id] = 0
			show(fmt.Sprint(i+1, " of 3 groups over"), s.message("fp0"))
		}
		show("/alerts when all is well", telegram.NewMessage(s.openAlerts()...))

		s = desk(language, now)
		for i, id := range []string{"fp1", "fp2"} {
			s.board.Card(id).Lead = ""
			if i == 0 {
				s.board.Card(id).MutedBy, s.board.Card(id).MutedUntil = "@linh", now.Add(time.Hour)
			} else {
				s.board.Card(id).Accepted = &life.Acceptance{By: "@an", Until: now.Add(240 * time.Hour), Reason: "import of 2019"}
			}
		}
		s.board = life.NewBoard(s.keeper.options.Times, s.board.Cards())
		show("/alerts", telegram.NewMessage(s.openAlerts()...))
		s.signs.known.Streams = map[event.Stream]control.Tally{
			"shop-db/public.wallets": {Valid: 1_198_000, Invalid: 240}, "shop-db/public.coupons": {Unchecked: 3120}, "shop-db/public.orders": {Valid: 1760},
		}
		s.digested.Streams = map[event.Stream]control.Tally{"shop-db/public.orders": {Valid: 1760}}
		s.digested.Groups = map[string]int64{"fp2": 7}
		s.signs.known.Letters["x"] = &letters{Stream: "shop-kafka/payments.captured", Count: 214}
		s.signs.known.Gaps = map[string]*gaps{"gap/shop-db x": {Source: "shop-db", Count: 2, From: now.Add(-2 * time.Hour), To: now.Add(-time.Hour), Last: now.Add(-time.Hour)}}
		s.groups["fp1"].Severity = event.Info
		show("digest", s.digestMessage(now.In(hanoi), now))
	}
	const golden = "testdata/incidents.golden"
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

// TestTheDigestIsDueAtItsTimeInItsZone, once a day.
func TestTheDigestIsDueAtItsTimeInItsZone(t *testing.T) {
	for at, want := range map[string]string{
		"2026-11-22T01:29:00Z": "2026-11-21", "2026-11-22T01:30:00Z": "2026-11-22", "2026-11-22T16:59:00Z": "2026-11-22", "2026-11-22T17:00:00Z": "2026-11-22",
		"2026-11-23T01:30:00Z": "2026-11-23",
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := digestDay(now, 8, 30, hanoi).Format(time.DateOnly); got != want {
			t.Errorf("at %s the digest of %s is due, want %s", at, got, want)
		}
	}
}

// TestCardsOfTheVersionBeforeGoOn: people's decisions and messages outlive the new version.
func TestCardsOfTheVersionBeforeGoOn(t *testing.T) {
	cards, err := readCards(map[string][]byte{
		"alert-message/a": []byte(`{"version":1,"message":{"chat":{"ID":-1,"Thread":2},"id":7},"route":{"ID":-1,"Thread":2},"text":"x","at":"2026-11-22T07:00:00Z","wrong":true,"ack_by":"@linh","ack_at":"2026-11-22T07:10:00Z"}`),
		"alert-message/b": []byte(`{"version":1,"message":{"chat":{"ID":-1},"id":8},"text":"x","at":"2026-11-22T07:00:00Z","wrong":true,"mended_at":"2026-11-22T08:00:00Z"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	a, b := cards["a"], cards["b"]
	if a.Phase != life.Open || a.Message.ID != 7 || a.AckBy != "@linh" || !a.Sent || !a.Rows || b.Phase != life.Over || b.OverAt.IsZero() {
		t.Errorf("read %+v, %+v", a, b)
	}
	if _, err := readCards(map[string][]byte{"alert-message/c": []byte(`{"version":3}`)}); err == nil {
		t.Error("a card of a version to come is read")
	}
}

// TestSharesBeginWhereAStreamTurned: what was valid before doesn't dilute them.
func TestSharesBeginWhereAStreamTurned(t *testing.T) {
	at := time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)
	beat := func(n int, valid, invalid int64) control.Beat {
		return control.Beat{At: at.Add(time.Duration(n) * time.Second), Tallies: map[string]control.Tally{"s/a": {Valid: valid, Invalid: invalid}, "s/b": {Valid: 9, Invalid: 1}}}
	}
	s := &signs{recent: []control.Beat{beat(0, 1000, 0), beat(5, 10, 90), beat(10, 2, 98), beat(15, 0, 0)}}
	shares := s.shares()
	if got, want := shares["s/a"], (life.Share{Invalid: 188, Total: 200, Since: at.Add(5 * time.Second)}); got != want || len(shares) != 1 {
		t.Errorf("shares %v, want %v", shares, want)
	}
}
