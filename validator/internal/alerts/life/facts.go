package life

import (
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

// Facts are what is known of a group now. A trouble of our own is a group with one wrong row as long as it lasts.
type Facts struct {
	ID       string
	Chat     telegram.Chat // where its message belongs
	Severity event.Severity
	Stream   event.Stream
	Newest   string // the version of the schema that found the newest error
	Origin   Origin
	Own      bool      // a trouble of our own
	Since    time.Time // of that: when it began, where that is before it was found

	Count            int64         // events, all told
	Live             int64         // of these, those that aren't of a snapshot
	Seen             time.Time     // when the newest was found
	Gap              time.Duration // usual between two
	Hour, HourBefore int64         // events of this hour, and of the one before

	Rows  bool  // its errors make wrong rows
	Wrong int64 // rows that are wrong now, but for those accepted
	Valid int64 // valid events of the stream, all told
}

// Origin is where the first error of a group came from. What is empty isn't known, and groups don't belong together by it.
type Origin struct {
	Transaction string `json:"transaction,omitempty"` // with its source
	Actor       string `json:"actor,omitempty"`       // who is new to the stream, and not its usual writer
	Schema      string `json:"schema,omitempty"`      // a version of a file that has come into force lately
}

// Share is how much of a stream was found invalid of late.
type Share struct {
	Invalid int64     `json:"invalid"`
	Total   int64     `json:"total"`
	Since   time.Time `json:"since"`
}

// Times are the lengths and numbers by which alerts live.
type Times struct {
	Gather        time.Duration // a new group waits for those that belong to it
	Burst         int           // more new groups than that
	BurstWithin   time.Duration // within that are one incident
	SoundMost     int           // messages with sound a chat: one of them is for what is critical or our own, one for what is both
	SoundWithin   time.Duration
	QuietAfter    time.Duration // at least; or three usual gaps
	OverAfter     time.Duration // of quiet, where no rows say more
	OverValid     int64         // with that many valid events
	BackWithin    time.Duration // a group that was over for longer is new
	FlapsWithin   time.Duration
	Flaps         int           // so often opened within FlapsWithin is flapping
	HoldFlapping  time.Duration // and told again after that, then twice that, up to a day
	RemindAfter   time.Duration // then four times that, and so on
	Escalation    int64         // times the hour before
	StreamShare   float64       // a stream with that share invalid is invalid as a whole
	StreamAtLeast int64         // of so many events
	ReadsEnd      time.Duration // a snapshot without errors for that long has ended
}

// DefaultTimes are what stands where the configuration says nothing.
func DefaultTimes() Times {
	return Times{
		Gather: time.Second, Burst: 5, BurstWithin: 2 * time.Minute, SoundMost: 6, SoundWithin: 10 * time.Minute,
		QuietAfter: 15 * time.Minute, OverAfter: 7 * 24 * time.Hour, OverValid: 20, BackWithin: 14 * 24 * time.Hour,
		FlapsWithin: 24 * time.Hour, Flaps: 3, HoldFlapping: 6 * time.Hour, RemindAfter: time.Hour, Escalation: 10,
		StreamShare: 0.5, StreamAtLeast: 50, ReadsEnd: time.Minute,
	}
}
