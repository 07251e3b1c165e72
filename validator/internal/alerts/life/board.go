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

// Ongoing tells whether the lead's incident isn't over: it isn't, or one that shares its message.
func (b *Board) Ongoing(lead string) bool {
	return b.cards[lead].alive() || slices.ContainsFunc(b.members[lead], func(id string) bool { return b.cards[id].alive() })
}

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

// remind owes what an open incident asks for: more at once than before, or somebody who takes care. One that is over asks
// for nothing more.
func (b *Board) remind(id string, c *Card, now time.Time) {
	if !b.Ongoing(id) {
		c.Hushed = false
		if c.Owed == Escalated || c.Owed == Reminder {
			c.Owed = None
		}
		return
	}
	if c.Owed != None || c.muted() || now.Before(c.HeldUntil) {
		return
	}
	if !c.Sent { // it shared a message that isn't its own any more
		if c.Severity != event.Info {
			c.owe(New, now)
		}
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

// Due is the most urgent signal that may be told now, and how: what is critical first, then what is new, then our own
// troubles, then what waits longest. Where none may, wait is how long until one could; zero is no end.
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
		as, room := b.manner(of, c, sounds[c.Chat.ID], now)
		if as == None {
			later(room)
			continue
		}
		if best == nil || before(c, of, best, id) {
			best, id, s = c, of, as
		}
	}
	if best == nil {
		return "", None, wait
	}
	if s.Begins() {
		best.Hushed = s == Hushed && best.AckBy == "" && b.Ongoing(id)
	}
	return id, s, 0
}

// manner is how a signal that is owed is told now, or none, and how long there is no room for it. What is urgent waits for
// no room: it comes without a sound, and the sound when there is room. A trouble of our own that is over before anybody was
// told wakes nobody.
func (b *Board) manner(id string, c *Card, sounded []time.Time, now time.Time) (Signal, time.Duration) {
	room := b.room(sounded, c, now)
	switch {
	case c.Owed == Snapshot:
		return Snapshot, 0
	case c.Owed.Begins() && c.Own && !b.Ongoing(id):
		return Hushed, 0
	case room <= 0:
		return c.Owed, 0
	case c.Owed.Begins() && c.urgent():
		return Hushed, 0
	}
	return None, room
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
	return cmp.Or(rank(c.Severity)-rank(other.Severity), fresh(c)-fresh(other), boolean(other.Own)-boolean(c.Own), c.OwedSince.Compare(other.OwedSince), cmp.Compare(id, otherID)) < 0
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

// Told says that a signal was told as Due said, by a message where it is one of its own.
func (b *Board) Told(id string, s Signal, message telegram.Ref, now time.Time) {
	c := b.cards[id]
	if !s.Silent() {
		c.Hushed = false
		c.Sounds = append(slices.DeleteFunc(slices.Clone(c.Sounds), func(at time.Time) bool { return now.Sub(at) >= b.times.SoundWithin }), now)
	}
	if s.Begins() {
		c.Message, c.Sent = message, true
	}
	c.Owed = None
	if c.Hushed {
		c.owe(Reminder, now)
	}
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

// room is how long until a chat takes one more message with sound; not positive is now. One of a window is kept for what is
// critical or our own, and another for what is both.
func (b *Board) room(sounded []time.Time, c *Card, now time.Time) time.Duration {
	most := max(b.times.SoundMost-boolean(c.Severity != event.Critical)-boolean(!c.Own), 1)
	if len(sounded) < most {
		return 0
	}
	return sounded[len(sounded)-most].Add(b.times.SoundWithin).Sub(now)
}
