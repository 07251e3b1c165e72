package life

import (
	"cmp"
	"slices"
	"time"

	"datawatch/pkg/telegram"
)

// leave has a group stand alone again: it has its own message from now on, and so have those that shared it.
func (b *Board) leave(id string, c *Card) {
	for _, member := range b.members[id] {
		b.cards[member].Lead = ""
	}
	delete(b.members, id)
	if c.Lead != "" {
		b.members[c.Lead] = slices.DeleteFunc(b.members[c.Lead], func(of string) bool { return of == id })
	}
	c.Incident, c.Lead = Alone, ""
}

// join has a group share the message of another, which is a lead.
func (b *Board) join(id, lead string, why Incident) {
	c := b.cards[id]
	for _, joins := range append([]string{id}, b.members[id]...) {
		b.cards[joins].Lead = lead
		at, _ := slices.BinarySearch(b.members[lead], joins)
		b.members[lead] = slices.Insert(b.members[lead], at, joins)
	}
	delete(b.members, id)
	c.Incident, c.Owed, c.Hushed = Alone, None, false
	if l := b.cards[lead]; l.Incident == Alone || why == Stream {
		l.Incident = why
	}
}

// place finds those of the new groups that share a message: with one another, or with one that people have.
func (b *Board) place(now time.Time) {
	chats := map[telegram.Chat][]string{}
	sounds := b.sounds(now)
	for id, c := range b.cards {
		if c.Owed.Begins() && c.Owed != Flapping && !c.muted() && !now.Before(b.ready(c)) {
			chats[c.Chat] = append(chats[c.Chat], id)
		}
	}
	if len(chats) == 0 {
		return
	}
	told := b.told()
	for chat, fresh := range chats {
		slices.SortFunc(fresh, func(x, y string) int {
			a, b := b.cards[x], b.cards[y]
			return cmp.Or(rank(a.Severity)-rank(b.Severity), a.Opened.Compare(b.Opened), cmp.Compare(x, y))
		})
		burst := map[bool]bool{}
		for _, own := range []bool{false, true} {
			burst[own] = b.opened(chat, own, now) > b.times.Burst
		}
		late := 0 // they waited, for room or for Telegram
		for _, id := range fresh {
			if now.Sub(b.ready(b.cards[id])) > b.times.BurstWithin {
				late++
			}
		}
		many := len(fresh) > b.times.Burst || late > 1
		var leads []string // of those that are new now
		for _, id := range fresh {
			c := b.cards[id]
			lead, why := b.host(id, c, append(told[chat], leads...), burst[c.Own])
			if lead == "" && c.Owed != Snapshot {
				lead, why = b.crowded(c, leads, told[chat], many, b.room(sounds[chat.ID], c, now) > 0), Burst
			}
			if lead == "" {
				leads = append(leads, id)
				continue
			}
			b.join(id, lead, why)
		}
	}
}

// crowded is whose message a new group shares where a chat is to hear of fewer than there are: that of another new one, or,
// where it doesn't wait for room, one that was told without a sound and will be with it. Our own troubles have messages of
// their own as long as they aren't many at once: what is to be done stands there.
func (b *Board) crowded(c *Card, fresh, told []string, many, full bool) string {
	if many || full {
		for _, of := range fresh {
			if l := b.cards[of]; l.Owed != Snapshot && l.Own == c.Own && (many || !c.Own) {
				return of
			}
		}
	}
	if full && c.urgent() && !c.Own {
		for _, of := range told {
			if l := b.cards[of]; l.Hushed && !l.Own {
				return of
			}
		}
	}
	return ""
}

// opened counts the groups of a chat, our own troubles or the others, that opened within the time of a burst.
func (b *Board) opened(chat telegram.Chat, own bool, now time.Time) int {
	n := 0
	for _, c := range b.cards {
		if c.Chat == chat && c.Own == own && c.alive() && !c.Reading && now.Sub(c.Opened) <= b.times.BurstWithin {
			n++
		}
	}
	return n
}

// told are the open alerts that people have a message of, by chat, the newest first.
func (b *Board) told() map[telegram.Chat][]string {
	told := map[telegram.Chat][]string{}
	for of, l := range b.cards {
		if l.Sent && l.Lead == "" && l.alive() && !l.Owed.Begins() && !l.muted() {
			told[l.Chat] = append(told[l.Chat], of)
		}
	}
	for _, of := range told {
		slices.SortFunc(of, func(x, y string) int {
			return cmp.Or(b.cards[y].Opened.Compare(b.cards[x].Opened), cmp.Compare(x, y))
		})
	}
	return told
}

// host is the first of some leads whose message a new group shares, or none. A message that people have is changed without
// a sound: what is more severe than it doesn't hide in it.
func (b *Board) host(id string, c *Card, leads []string, burst bool) (string, Incident) {
	for _, of := range leads {
		l := b.cards[of]
		if of == id || l.Own != c.Own || l.Reading != c.Reading || l.Sent && rank(c.Severity) < rank(l.Severity) {
			continue
		}
		if why := b.related(c, l, burst); why != Alone {
			return of, why
		}
	}
	return "", Alone
}

// related tells why two groups that opened near each other are one incident.
func (b *Board) related(c, l *Card, burst bool) Incident {
	apart := c.Opened.Sub(l.Opened).Abs()
	near := apart <= b.times.BurstWithin
	same := func(x, y string) bool { return x != "" && x == y }
	switch {
	case c.Reading && c.Stream == l.Stream:
		return Reads
	case c.Reading:
		return Alone
	case same(c.Origin.Transaction, l.Origin.Transaction):
		return Transaction
	case same(string(c.Stream), string(l.Stream)) && b.whole(c) && b.whole(l):
		return Stream
	case near && same(c.Origin.Schema, l.Origin.Schema):
		return Schema
	case near && same(c.Origin.Actor, l.Origin.Actor):
		return Actor
	case near && burst && (!l.Sent || l.Incident == Burst || l.Hushed): // a message that names a cause isn't for what has another
		return Burst
	}
	return Alone
}

// whole tells that most of the group's stream turned invalid, and the group with it.
func (b *Board) whole(c *Card) bool {
	s, ok := b.shares[c.Stream]
	return ok && s.Total >= b.times.StreamAtLeast && float64(s.Invalid) >= b.times.StreamShare*float64(s.Total) && !c.Opened.Before(s.Since.Add(-b.times.BurstWithin))
}

// fold makes one alert of a stream that turned invalid as a whole: the oldest message people have, or the first to come.
func (b *Board) fold() {
	streams := map[string][]string{}
	for id, c := range b.cards {
		if c.Stream != "" && c.Lead == "" && c.alive() && !c.Reading && !c.muted() && b.whole(c) {
			streams[string(c.Stream)] = append(streams[string(c.Stream)], id)
		}
	}
	for _, ids := range streams {
		slices.SortFunc(ids, func(x, y string) int {
			a, o := b.cards[x], b.cards[y]
			return cmp.Or(rank(a.Severity)-rank(o.Severity), -boolean(a.Sent)+boolean(o.Sent), a.Opened.Compare(o.Opened), cmp.Compare(x, y))
		})
		for _, id := range ids[1:] {
			if b.cards[id].Chat == b.cards[ids[0]].Chat {
				b.join(id, ids[0], Stream)
			}
		}
		b.cards[ids[0]].Incident, b.cards[ids[0]].Share = Stream, b.shares[b.cards[ids[0]].Stream]
	}
}

func boolean(v bool) int {
	if v {
		return 1
	}
	return 0
}
