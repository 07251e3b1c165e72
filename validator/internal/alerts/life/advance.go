package life

import (
	"time"

	"datawatch/pkg/event"
)

// advance brings one group's card to what is known of it now.
func (b *Board) advance(f *Facts, now time.Time) *Card {
	c := b.cards[f.ID]
	if c == nil {
		c = &Card{Version: 2}
		b.cards[f.ID] = c
	}
	c.Severity, c.Stream, c.Chat, c.Own = f.Severity, f.Stream, f.Chat, f.Own
	c.Rows = c.Rows || f.Rows || f.Wrong > 0
	b.expire(c, f, now)
	if f.Severity == event.Info {
		if c.alive() {
			b.end(f, c, now)
		}
		if c.Owed.Begins() { // it won't be told: those that share its message are
			b.leave(f.ID, c)
		}
		c.Owed, c.Hushed = None, false
		return c
	}
	switch c.Phase {
	case Unborn:
		if f.Count > 0 || f.Wrong > 0 {
			c.Origin, c.Reading, c.Since = f.Origin, f.Count > 0 && f.Live == 0, f.Since
			b.open(f.ID, c, New, now)
		}
	case Over:
		if f.Count < c.Count { // it was forgotten, and counts anew
			c.Count = 0
		}
		if f.Wrong > 0 || f.Count > c.Count && !(c.Accepted != nil && c.Rows) {
			b.reopen(f, c, now)
		}
	case Open, Quiet:
		b.live(f, c, now)
	}
	return c
}

// expire ends what was decided for a time only.
func (b *Board) expire(c *Card, f *Facts, now time.Time) {
	timed := !c.MutedUntil.IsZero() && !now.Before(c.MutedUntil)
	if timed || c.MutedFor != "" && f.Newest != "" && f.Newest != c.MutedFor {
		c.MutedBy, c.MutedUntil, c.MutedFor = "", time.Time{}, ""
	}
	if c.Accepted != nil && !now.Before(c.Accepted.Until) {
		c.Accepted = nil
		if c.alive() {
			c.AckBy, c.AckAt, c.Remind = "", time.Time{}, now
		}
	}
	if !c.HeldUntil.IsZero() && !now.Before(c.HeldUntil) {
		c.HeldUntil = time.Time{}
		if c.alive() && len(c.Openings) > 0 && now.Sub(c.Openings[len(c.Openings)-1]) < c.HeldFor { // it went on meanwhile
			b.leave(f.ID, c)
			b.hold(c, now)
			c.owe(Flapping, now)
		}
	}
}

// open begins a life.
func (b *Board) open(id string, c *Card, s Signal, now time.Time) {
	c.Phase, c.Opened, c.OverAt, c.QuietAt, c.ResolvedBy = Open, now, time.Time{}, time.Time{}, ""
	c.Remind, c.Reminded, c.Escalated = now.Add(b.times.RemindAfter), 0, time.Time{}
	c.AckBy, c.AckAt = "", time.Time{}
	b.opening(c, now)
	if now.Before(c.HeldUntil) || c.silenced() { // it is known that it comes and goes
		return
	}
	if c.Owed.Begins() { // nobody has heard of the last time yet: once is enough
		return
	}
	b.leave(id, c)
	if len(c.Openings) >= b.times.Flaps {
		b.hold(c, now)
		s = Flapping
	} else {
		c.HeldFor = 0
	}
	c.owe(s, now)
}

// opening remembers when a group opened, as far as flapping is judged by it.
func (b *Board) opening(c *Card, now time.Time) {
	since := now.Add(-b.times.FlapsWithin)
	var openings []time.Time
	for _, at := range c.Openings {
		if at.After(since) {
			openings = append(openings, at)
		}
	}
	c.Openings = append(openings, now)
	if most := 4 * b.times.Flaps; len(c.Openings) > most {
		c.Openings = c.Openings[len(c.Openings)-most:]
	}
}

// hold has a group that comes and goes told again later, and each time later still.
func (b *Board) hold(c *Card, now time.Time) {
	c.HeldFor = min(max(2*c.HeldFor, b.times.HoldFlapping), max(24*time.Hour, b.times.HoldFlapping))
	c.HeldUntil = now.Add(c.HeldFor)
}

// reopen is a group that was over. An incident that isn't over takes its own back.
func (b *Board) reopen(f *Facts, c *Card, now time.Time) {
	c.WasOver, c.Since = c.OverAt, f.Since
	if b.Ongoing(b.leadOf(f.ID)) {
		c.Phase, c.OverAt, c.QuietAt = Open, time.Time{}, time.Time{}
		b.opening(c, now)
		return
	}
	s := Back
	if now.Sub(c.OverAt) > b.times.BackWithin {
		s, c.WasOver, c.Origin = New, time.Time{}, f.Origin
	}
	b.open(f.ID, c, s, now)
}

// live is a group that isn't over.
func (b *Board) live(f *Facts, c *Card, now time.Time) {
	if c.Rows && f.Wrong == 0 {
		b.end(f, c, now)
		return
	}
	switch {
	case c.Reading && f.Live > 0: // a snapshot found it, and now a change did
		c.Reading = false
		if c.Owed == Snapshot {
			c.owe(New, now)
		}
	case c.Owed == Snapshot && f.Seen.After(c.OwedSince):
		c.OwedSince = f.Seen
	}
	quietAfter := max(b.times.QuietAfter, 3*f.Gap)
	switch {
	case now.Sub(f.Seen) < quietAfter:
		c.Phase, c.QuietAt = Open, time.Time{}
	case c.Phase == Open:
		c.Phase, c.QuietAt, c.Valid = Quiet, now, f.Valid
	case !c.Rows && now.Sub(c.QuietAt) >= b.times.OverAfter && f.Valid-c.Valid >= b.times.OverValid:
		b.end(f, c, now)
	}
}

func (b *Board) end(f *Facts, c *Card, now time.Time) {
	c.Phase, c.OverAt, c.Count = Over, now, f.Count
}

func (c *Card) owe(s Signal, now time.Time) {
	if s == New && c.Reading {
		s = Snapshot
	}
	c.Owed, c.OwedSince = s, now
}
