package life

import (
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

// Phase is where a group is in its life.
type Phase string

// The phases.
const (
	Unborn Phase = ""
	Open   Phase = "open"
	Quiet  Phase = "quiet"
	Over   Phase = "over"
)

// Signal is what is owed to people beside edits.
type Signal string

// The signals. New, Back, Flapping, Snapshot and Hushed are a message of the group's own, the others answer it. Hushed is
// never owed: it is how another is told.
const (
	None      Signal = ""
	New       Signal = "new"
	Back      Signal = "back"
	Flapping  Signal = "flapping"
	Snapshot  Signal = "snapshot" // silent: what a snapshot found
	Hushed    Signal = "hushed"   // silent: what is owed as New, Back or Flapping, and has no room to sound
	Escalated Signal = "escalated"
	Reminder  Signal = "reminder"
)

// Begins tells whether the signal is a new message, and not an answer to the one that is there.
func (s Signal) Begins() bool { return s == New || s == Back || s == Flapping || s.Silent() }

// Silent tells whether the signal makes no sound.
func (s Signal) Silent() bool { return s == Snapshot || s == Hushed }

// Incident is why groups share a message.
type Incident string

// The incidents.
const (
	Alone       Incident = ""
	Transaction Incident = "transaction"
	Actor       Incident = "actor"
	Schema      Incident = "schema"
	Burst       Incident = "burst"
	Stream      Incident = "stream" // most of a stream is invalid
	Reads       Incident = "snapshot"
)

// Card is a group's life so far, as it is stored.
type Card struct {
	Version  int            `json:"version"` // 2
	Severity event.Severity `json:"severity,omitempty"`
	Stream   event.Stream   `json:"stream,omitempty"`
	Origin   Origin         `json:"origin,omitzero"`
	Chat     telegram.Chat  `json:"chat"` // where its message belongs
	Own      bool           `json:"own,omitempty"`
	Since    time.Time      `json:"since,omitzero"` // of a trouble of our own

	// What people were shown last.
	Message telegram.Ref `json:"message"`
	Sent    bool         `json:"sent,omitempty"`
	Text    string       `json:"text"` // a hash of what it says
	At      time.Time    `json:"at"`
	Sounds  []time.Time  `json:"sounds,omitempty"` // of late
	Hushed  bool         `json:"hushed,omitempty"` // told without a sound, which is owed yet

	Phase    Phase       `json:"phase"`
	Opened   time.Time   `json:"opened,omitzero"`
	OverAt   time.Time   `json:"over_at,omitzero"`
	WasOver  time.Time   `json:"was_over,omitzero"` // before it came back
	QuietAt  time.Time   `json:"quiet_at,omitzero"`
	Valid    int64       `json:"valid,omitempty"` // valid events when it became quiet
	Count    int64       `json:"count,omitempty"` // events when it was over
	Rows     bool        `json:"rows,omitempty"`  // its errors make wrong rows
	Openings []time.Time `json:"openings,omitempty"`

	HeldUntil time.Time     `json:"held_until,omitzero"` // flapping
	HeldFor   time.Duration `json:"held_for,omitempty"`
	Reading   bool          `json:"reading,omitempty"` // of a snapshot only
	Escalated time.Time     `json:"escalated,omitzero"`
	Remind    time.Time     `json:"remind,omitzero"`
	Reminded  int           `json:"reminded,omitempty"`

	Owed      Signal    `json:"owed,omitempty"`
	OwedSince time.Time `json:"owed_since,omitzero"`

	Lead     string   `json:"lead,omitempty"`     // the group whose message it shares
	Incident Incident `json:"incident,omitempty"` // of a lead: why others share its message
	Share    Share    `json:"share,omitzero"`     // of its stream, where most of that is invalid

	AckBy      string      `json:"ack_by,omitempty"`
	AckAt      time.Time   `json:"ack_at,omitzero"`
	MutedBy    string      `json:"muted_by,omitempty"`
	MutedUntil time.Time   `json:"muted_until,omitzero"`
	MutedFor   string      `json:"muted_for,omitempty"` // a schema's version: until it changes
	ResolvedBy string      `json:"resolved_by,omitempty"`
	Accepted   *Acceptance `json:"accepted,omitempty"`
	Notes      []Note      `json:"notes,omitempty"`
}

// Acceptance says that a group, or some of its rows, are known and accepted.
type Acceptance struct {
	By     string    `json:"by"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
	Keys   []string  `json:"keys,omitempty"` // none: all
}

// Note is what somebody wrote in answer to the message.
type Note struct {
	By   string    `json:"by"`
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Held tells whether the group comes and goes, and is told of again later only.
func (c *Card) Held(now time.Time) bool { return now.Before(c.HeldUntil) }

// Alive tells whether the group isn't over.
func (c *Card) Alive() bool { return c.alive() }

// muted tells whether the card owes nothing for now.
func (c *Card) muted() bool { return c.MutedBy != "" || c.silenced() }

// silenced tells that the whole group is accepted.
func (c *Card) silenced() bool { return c.Accepted != nil && len(c.Accepted.Keys) == 0 }

// urgent tells whether people hear of it at once, though there is no room for its sound.
func (c *Card) urgent() bool { return c.Severity == event.Critical || c.Own }

// alive tells whether the group isn't over.
func (c *Card) alive() bool { return c.Phase == Open || c.Phase == Quiet }
