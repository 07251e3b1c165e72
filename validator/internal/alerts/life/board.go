package life

import (
	"cmp"
	"slices"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

// Board holds the cards of all groups.
type Board struct {
	times   Times
	cards   map[string]*Card
	facts   map[string]*Facts
	members map[string][]string // by lead, in the order of their IDs
	shares  map[event.Stream]Share
	blocked map[telegram.Chat]time.Time // chats that can't be reached until then
}

// NewBoard goes on with the cards that another board had.
func NewBoard(times Times, cards map[string]*Card) *Board {
	b := &Board{times: times, cards: cards, facts: map[string]*Facts{}, blocked: map[telegram.Chat]time.Time{}}
	if b.cards == nil {
		b.cards = map[string]*Card{}
	}
	for _, c := range b.cards {
		if l := b.cards[c.Lead]; l == nil || l.Lead != "" {
			c.Lead = ""
		}
	}
	b.index()
	return b
}

// Card is a group's, or nil. It is the board's own: to be read only.
func (b *Board) Card(id string) *Card { return b.cards[id] }

// Cards are those of all groups, by ID; to be read only.
func (b *Board) Cards() map[string]*Card { return b.cards }

// Members are the groups that share the lead's message, without the lead.
func (b *Board) Members(lead string) []string { return b.members[lead] }

// Forgettable are the groups that nobody need know of any more, those of one message together: over for so long that they
// would be new, or only counted and long gone, and nothing that was decided holds.
func (b *Board) Forgettable(now time.Time) [][]string {
	var all [][]string
	for id, c := range b.cards {
		if c.Lead != "" {
			continue
		}
		one := append([]string{id}, b.members[id]...)
		if !slices.ContainsFunc(one, func(of string) bool { return !b.forgettable(of, now) }) {
			all = append(all, one)
		}
	}
	return all
}

// Forget takes cards away, those of one message.
func (b *Board) Forget(ids []string) {
	for _, id := range ids {
		delete(b.cards, id)
		delete(b.facts, id)
		delete(b.members, id)
	}
}

func (b *Board) forgettable(id string, now time.Time) bool {
	c, f := b.cards[id], b.facts[id]
	switch {
	case c.MutedBy != "" || c.Accepted != nil || c.Held(now) || f != nil && f.Wrong > 0:
		return false
	case c.Phase == Over:
		return now.Sub(c.OverAt) > b.times.BackWithin && (f == nil || now.Sub(f.Seen) > b.times.BackWithin)
	case c.Phase == Unborn: // only counted
		return f != nil && now.Sub(f.Seen) > b.times.BackWithin
	}
	return false
}

// Share is what the board was last told of a stream.
func (b *Board) Share(s event.Stream) Share { return b.shares[s] }

// Block has what a chat is owed wait until a time, for it can't be reached.
func (b *Board) Block(chat telegram.Chat, until time.Time) { b.blocked[chat] = until }

// leadOf is the group whose message a group has: its own ID where it stands alone.
func (b *Board) leadOf(id string) string {
	if c := b.cards[id]; c.Lead != "" {
		return c.Lead
	}
	return id
}

func (b *Board) index() {
	b.members = map[string][]string{}
	for id, c := range b.cards {
		if c.Lead != "" {
			b.members[c.Lead] = append(b.members[c.Lead], id)
		}
	}
	for _, ids := range b.members {
		slices.Sort(ids)
	}
}

// Step tells the board all that is known now.
func (b *Board) Step(facts []Facts, shares map[event.Stream]Share, now time.Time) {
	b.shares = shares
	clear(b.facts)
	slices.SortFunc(facts, func(x, y Facts) int {
		return cmp.Or(rank(x.Severity)-rank(y.Severity), x.Seen.Compare(y.Seen), cmp.Compare(x.ID, y.ID))
	})
	for i := range facts {
		f := &facts[i]
		b.facts[f.ID] = f
		b.advance(f, now)
	}
	b.fold()
	for i := range facts {
		if c := b.cards[facts[i].ID]; c.Lead == "" {
			b.remind(facts[i].ID, c, now)
		}
	}
}

// remind owes what an open incident asks for: more at once than before, or somebody who takes care.
func (b *Board) remind(id string, c *Card, now time.Time) {
	if !b.aliveIncident(id) || c.Owed != None || c.muted() || !c.Sent || now.Before(c.HeldUntil) {
		return
	}
	var hour, before int64
	quiet := true
	for _, of := range append([]string{id}, b.members[id]...) {
		if f := b.facts[of]; f != nil {
			hour, before = hour+f.Hour, before+f.HourBefore
		}
		quiet = quiet && b.cards[of].Phase != Open
	}
	switch {
	case before > 0 && hour >= b.times.Escalation*before && now.Sub(c.Escalated) >= time.Hour:
		c.Escalated = now
		c.owe(Escalated, now)
	case c.AckBy == "" && !c.Reading && !c.Remind.IsZero() && !now.Before(c.Remind):
		c.Reminded++
		distance := b.times.RemindAfter
		for range min(c.Reminded, 6) {
			distance *= 4
		}
		c.Remind = now.Add(distance)
		if !quiet || c.Rows {
			c.owe(Reminder, now)
		}
	}
}

// Due is the most urgent signal that may be told now: what is critical first, then what is new, then what waits longest.
// Where none may, wait is how long until one could; zero is no end.
func (b *Board) Due(now time.Time) (id string, s Signal, wait time.Duration) {
	b.place(now)
	later := func(d time.Duration) {
		if d > 0 && (wait == 0 || d < wait) {
			wait = d
		}
	}
	var best *Card
	sounds := b.sounds(now)
	for of, c := range b.cards {
		if c.Owed == None || c.muted() {
			continue
		}
		if at := latest(b.ready(c), b.blocked[c.Chat]); now.Before(at) {
			later(at.Sub(now))
			continue
		}
		if c.Owed != Snapshot {
			if room := b.room(sounds[c.Chat.ID], c.Severity, now); room > 0 {
				later(room)
				continue
			}
		}
		if best == nil || before(c, of, best, id) {
			best, id, s = c, of, c.Owed
		}
	}
	if best != nil {
		wait = 0
	}
	return id, s, wait
}

// ready is when a signal may be told at the earliest.
func (b *Board) ready(c *Card) time.Time {
	switch c.Owed {
	case New, Back:
		return c.OwedSince.Add(b.times.Gather)
	case Snapshot:
		return c.OwedSince.Add(b.times.ReadsEnd)
	}
	return c.OwedSince
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func before(c *Card, id string, other *Card, otherID string) bool {
	fresh := func(c *Card) int {
		if c.Owed.Begins() {
			return 0
		}
		return 1
	}
	return cmp.Or(rank(c.Severity)-rank(other.Severity), fresh(c)-fresh(other), c.OwedSince.Compare(other.OwedSince), cmp.Compare(id, otherID)) < 0
}

func rank(s event.Severity) int {
	switch s {
	case event.Critical:
		return 0
	case event.Warning:
		return 1
	}
	return 2
}

// Told says that a signal was told, by a message where it is one of its own.
func (b *Board) Told(id string, message telegram.Ref, now time.Time) {
	c := b.cards[id]
	if c.Owed != Snapshot {
		c.Sounds = append(slices.DeleteFunc(slices.Clone(c.Sounds), func(at time.Time) bool { return now.Sub(at) >= b.times.SoundWithin }), now)
	}
	if c.Owed.Begins() {
		c.Message, c.Sent = message, true
	}
	c.Owed = None
}

// sounds are the messages with sound of late, by chat.
func (b *Board) sounds(now time.Time) map[int64][]time.Time {
	all := map[int64][]time.Time{}
	for _, c := range b.cards {
		for _, at := range c.Sounds {
			if now.Sub(at) < b.times.SoundWithin {
				all[c.Chat.ID] = append(all[c.Chat.ID], at)
			}
		}
	}
	for _, times := range all {
		slices.SortFunc(times, time.Time.Compare)
	}
	return all
}

// room is how long until a chat takes one more message with sound; not positive is now. The last one of a window is for
// what is critical.
func (b *Board) room(sounded []time.Time, s event.Severity, now time.Time) time.Duration {
	most := max(b.times.SoundMost, 1)
	if s != event.Critical && most > 1 {
		most--
	}
	if len(sounded) < most {
		return 0
	}
	return sounded[len(sounded)-most].Add(b.times.SoundWithin).Sub(now)
}
