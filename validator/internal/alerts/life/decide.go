package life

import (
	"slices"
	"time"
)

// Verb is what people can decide.
type Verb string

// The verbs; each second one undoes the first.
const (
	Ack      Verb = "ack"
	Unack    Verb = "unack"
	Mute     Verb = "mute"
	Unmute   Verb = "unmute"
	Resolve  Verb = "resolve"
	Reopen   Verb = "reopen"
	Accept   Verb = "accept"
	Unaccept Verb = "unaccept"
	Noted    Verb = "note"
)

// Decision is what somebody decided of a group.
type Decision struct {
	Verb  Verb
	ID    string
	User  string
	At    time.Time
	Until time.Time // of a mute: zero is until the schema changes; of an acceptance
	Text  string    // the reason, or the note
	Keys  []string  // of an acceptance: none is all
}

// maxNotes bounds what a card holds of notes: the newest stay.
const maxNotes = 10

// Outcome says what came of a decision.
type Outcome int

// The outcomes.
const (
	Done       Outcome = iota
	Unknown            // no such group, or no such decision
	StillWrong         // rows are wrong: it isn't over
)

// Decide takes a decision. That of a lead is one of all that share its message. Deciding the same twice changes nothing.
func (b *Board) Decide(d Decision) Outcome {
	c := b.cards[d.ID]
	if c == nil || c.Phase == Unborn {
		return Unknown
	}
	all := append([]string{d.ID}, b.members[d.ID]...)
	if d.Verb == Resolve {
		for _, id := range all {
			switch f := b.facts[id]; {
			case f == nil:
				return Unknown
			case f.Wrong > 0:
				return StillWrong
			}
		}
	}
	if d.Verb == Noted {
		return c.note(d)
	}
	for _, id := range all {
		if !b.apply(d, id, b.cards[id]) {
			return Unknown
		}
	}
	return Done
}

func (c *Card) note(d Decision) Outcome {
	n := Note{d.User, d.At, d.Text}
	if slices.Contains(c.Notes, n) {
		return Done
	}
	c.Notes = append(slices.Clone(c.Notes), n)
	if len(c.Notes) > maxNotes {
		c.Notes = c.Notes[len(c.Notes)-maxNotes:]
	}
	c.At = time.Time{}
	return Done
}

func (b *Board) apply(d Decision, id string, c *Card) bool {
	switch d.Verb {
	case Ack:
		c.AckBy, c.AckAt = d.User, d.At
		c.Hushed = false
		if c.Owed == Reminder {
			c.Owed = None
		}
	case Unack:
		c.AckBy, c.AckAt, c.Remind = "", time.Time{}, d.At.Add(b.times.RemindAfter)
	case Mute:
		c.MutedBy, c.MutedUntil, c.MutedFor = d.User, d.Until, ""
		if f := b.facts[id]; d.Until.IsZero() {
			if f == nil || f.Newest == "" {
				return false
			}
			c.MutedFor = f.Newest
		}
	case Unmute:
		c.MutedBy, c.MutedUntil, c.MutedFor = "", time.Time{}, ""
	case Resolve:
		if c.alive() {
			b.end(b.facts[id], c, d.At)
			c.ResolvedBy = d.User
		}
	case Reopen:
		if c.Phase == Over && c.ResolvedBy != "" {
			c.Phase, c.OverAt, c.ResolvedBy = Open, time.Time{}, ""
		}
	case Accept:
		c.Accepted = &Acceptance{By: d.User, Until: d.Until, Reason: d.Text, Keys: d.Keys}
	case Unaccept:
		c.Accepted = nil
	default:
		return false
	}
	c.At = time.Time{} // people see at once what they have decided
	return true
}
