package alerts

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
	"datawatch/validator/internal/wrongrows"
)

// step tells the board all that is known now.
func (s *sender) step(now time.Time) {
	k := s.keeper
	s.groups = map[string]*Group{}
	var facts []life.Facts
	for _, g := range k.snapshot() {
		s.groups[g.Fingerprint] = g
		facts = append(facts, s.facts(g, now))
	}
	s.troubles = s.findTroubles(now)
	for _, id := range slices.Sorted(maps.Keys(s.troubles)) {
		facts = append(facts, s.troubles[id].facts(id, telegram.ChatOf(k.options.Telegram.Alerts)))
	}
	for id, c := range s.board.Cards() { // those that are over
		if isTrouble(id) && s.troubles[id] == nil {
			facts = append(facts, life.Facts{ID: id, Chat: c.Chat, Severity: c.Severity, Count: c.Count, Seen: c.OverAt, Rows: true, Own: true})
		}
	}
	s.board.Step(facts, s.signs.shares(), now)
	open := map[openLabel]int{}
	for id, g := range s.groups {
		if g.Severity != event.Info && s.board.Card(id).Alive() {
			open[labelOf(g)]++
		}
	}
	k.metrics.open.set(open)
	s.forget(now)
}

// forgetEvery is how often it is looked for what may be forgotten.
const forgetEvery = time.Minute

// forget has the keeper let go of groups that nobody need know of any more, and lets go of the cards of those that it has
// let go of.
func (s *sender) forget(now time.Time) {
	k := s.keeper
	if now.Sub(s.forgot) < min(forgetEvery, k.options.Times.BackWithin) {
		return
	}
	s.forgot = now
	s.forgetTroubles(now)
	for _, ids := range s.board.Forgettable(now) {
		known := false
		for _, id := range ids {
			known = known || s.groups[id] != nil || s.troubles[id] != nil
			if s.groups[id] != nil {
				k.retire(id)
			}
		}
		if !known {
			s.board.Forget(ids)
		}
	}
}

// facts are what is known of a group.
func (s *sender) facts(g *Group, now time.Time) life.Facts {
	f := life.Facts{
		ID: g.Fingerprint, Chat: s.route(g.Owner, g.Severity), Severity: g.Severity, Stream: g.Stream, Newest: g.Newest, Origin: g.Origin,
		Count: g.Count, Live: g.Live, Seen: g.Seen, Gap: g.gap(), Rows: s.wrong.ever[g.Fingerprint], Wrong: s.wrong.counts[g.Fingerprint],
		Valid: s.signs.known.Streams[g.Stream].Valid,
	}
	f.Hour, f.HourBefore = g.hours(now)
	if c := s.board.Card(g.Fingerprint); c != nil && c.Accepted != nil {
		f.Wrong -= s.wrong.standing(g.Fingerprint, acceptedRows(g, c.Accepted.Keys))
	}
	return f
}

// acceptedRows names the records in wrong of a group's rows.
func acceptedRows(g *Group, keys []string) []wrongrows.ID {
	rule := wrongrows.RuleOf(&event.ViolationError{Rule: g.Rule})
	rows := make([]wrongrows.ID, len(keys))
	for i, key := range keys {
		rows[i] = wrongrows.Hash(wrongrows.Key(event.RecordKey(g.Stream, json.RawMessage(key)), rule))
	}
	return rows
}

// route is the chat of an owner's alerts of a severity: the first that can be reached.
func (s *sender) route(owner string, severity event.Severity) telegram.Chat {
	var to telegram.Chat
	for _, c := range s.keeper.options.Telegram.AlertRoutes(owner, severity == event.Critical) {
		if to = telegram.ChatOf(c); !s.keeper.options.Now().Before(s.refused[to].until) {
			break
		}
	}
	return to
}

func priorityOf(s event.Severity) telegram.Priority {
	if s == event.Critical {
		return telegram.Critical
	}
	return telegram.Warning
}

func textOf(m telegram.Message) string {
	sum := sha256.Sum256(fmt.Append(nil, m.HTML(), m.Buttons))
	return hex.EncodeToString(sum[:8])
}

// view is what a message depends on, and what people were shown: as long as it is the same, there is nothing to do.
type view struct {
	mark         mark
	group        *Group
	trouble      string
	count, wrong int64
	alive        int
	held         bool
}

func (s *sender) viewOf(id string, c *life.Card, now time.Time) view {
	v := view{mark: markOf(c), group: s.groups[id], held: c.Held(now), wrong: s.wrong.counts[id]}
	v.mark.at, v.mark.sounds = time.Time{}, 0
	for _, of := range s.incidentOf(id) {
		if t := s.troubles[of]; t != nil {
			v.trouble += t.text + "\n"
		}
	}
	for _, member := range s.board.Members(id) {
		if g := s.groups[member]; g != nil {
			v.count, v.wrong = v.count+g.Count, v.wrong+s.wrong.counts[member]
		}
		if s.board.Card(member).Alive() {
			v.alive++
		}
	}
	return v
}

// outdated is the most urgent message that isn't as it should be, or how long there is none.
func (s *sender) outdated(now time.Time) (id string, wait time.Duration) {
	every := s.keeper.options.EditEvery
	var best *life.Card
	for of, c := range s.board.Cards() {
		if !c.Sent || now.Before(s.refused[c.Message.Chat].until) || c.MutedBy != "" && !c.At.IsZero() {
			continue
		}
		if rest := every - now.Sub(c.At); rest > 0 {
			if wait == 0 || rest < wait {
				wait = rest
			}
			continue
		}
		v := s.viewOf(of, c, now)
		if s.shown[of] == v {
			continue
		}
		if textOf(s.message(of)) == c.Text {
			s.shown[of] = v
			if c.At.IsZero() { // a decision that shows nothing
				c.At = now
			}
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(priorityOf(c.Severity), priorityOf(best.Severity)), c.At.Compare(best.At), cmp.Compare(of, id)) < 0 {
			best, id = c, of
		}
	}
	return id, wait
}

// cardRecords are the records of the cards that differ from what is stored.
func (s *sender) cardRecords() ([]broker.Record, map[string]mark, error) {
	var records []broker.Record
	marks := map[string]mark{}
	for id, c := range s.board.Cards() {
		m := markOf(c)
		if s.saved[id] == m || c.Phase == life.Unborn {
			continue
		}
		value, err := json.Marshal(c)
		if err != nil {
			return nil, nil, fmt.Errorf("write state of alert %s: %w", id, err)
		}
		records, marks[id] = append(records, broker.Record{Topic: s.keeper.topics.State, Key: []byte(messagePrefix + id), Value: value}), m
	}
	for id := range s.saved {
		if s.board.Card(id) == nil { // forgotten
			records, marks[id] = append(records, broker.Record{Topic: s.keeper.topics.State, Key: []byte(messagePrefix + id)}), mark{}
		}
	}
	return records, marks, nil
}
