// Package source states the one contract between a captured system and the broker.
//
// A source reads its system in the order in which changes took effect, and hands events over in batches. Each batch
// carries the progress behind it; both are committed in one Kafka transaction or neither is. A source keeps no state of
// its own: what it gets back after any failure is the progress of the last batch that was committed. It refuses to skip:
// what can't be read is a Gap in a batch, never silence.
package source

import (
	"context"
	"encoding/json"
	"time"

	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// Progress is how far a source has read, as named JSON values, each with a member "version". A database has one entry
// named "", and others beside it; Kafka one a partition, named "<topic>/<partition>".
type Progress map[string]json.RawMessage

// Batch is a run of events and the progress that stands once they are committed. An event that is larger than the broker
// takes may come cut, with its Size: it needn't be held whole to become a dead letter.
type Batch struct {
	Events []event.Raw
	// Progress holds the entries that changed; those that it doesn't name stay. A nil value takes an entry away.
	Progress Progress
}

// Emit commits a batch: when it returns nil, events and progress are in the broker, and only then may the source let go
// of what it read (outbox, slot). On an error, nothing or everything was committed and nobody knows which: the source
// returns the error, and is run again with the progress that the broker holds.
//
// Emit blocks while the broker is slow or away; that is the back-pressure, so a source reads no further meanwhile.
type Emit func(ctx context.Context, batch Batch) error

// Source is one captured system.
type Source interface {
	// Run captures from progress on (empty at the very first run) until ctx is done, and then returns ctx's error; it never
	// returns nil. Any other error has the supervisor run it again after a pause.
	Run(ctx context.Context, progress Progress, emit Emit) error
}

// Checkpointer is a source that can tell when it has captured everything that its system holds at a moment.
type Checkpointer interface {
	// Checkpoint notes the moment. The caller closes it.
	Checkpoint(ctx context.Context) (Checkpoint, error)
}

// Checkpoint is a moment of a captured system.
type Checkpoint interface {
	// Reached tells whether everything that was committed before the moment is behind the progress.
	Reached(ctx context.Context, committed Progress) (bool, error)
	Close(ctx context.Context)
}

// Snapshotter is a source that can read what is there now, as op read, while it runs.
type Snapshotter interface {
	Source
	// TakeSnapshots gives the source the requests that come while it runs. It is called once, before Run.
	TakeSnapshots(requests <-chan SnapshotRequest)
}

// SnapshotRequest asks for what a stream, or each of the source's streams ("" is all), holds now.
type SnapshotRequest struct {
	ID     string
	Stream event.Stream
	At     time.Time
	// Replace ends each stream before its rows are read, so that those go that aren't there any more.
	Replace bool
	// Next is the offset behind the request in the control topic. It is a part of the source's progress: a request is taken
	// once, whoever is killed when.
	Next int64
}

// Reporter is told how a source fares, for metrics and /readyz.
type Reporter interface {
	// State tells what the source is doing now, and why where something is wrong.
	State(state State, why reason.Text)
	// Lag is how far the source is behind its system, in seconds.
	Lag(seconds float64)
	// Backlog is what waits in the watched system itself (an outbox, a slot), in bytes.
	Backlog(bytes int64)
	// Gap tells of a stretch that was not captured; the event itself is in a batch.
	Gap(cause string)
}

// WindowReporter is a Reporter that is told how much the watched system still holds for who reads late.
type WindowReporter interface {
	Window(w control.Window)
}

// State is what a source is doing.
type State string

// The states of a source.
const (
	Connecting State = "connecting"
	Snapshot   State = "snapshot"
	Streaming  State = "streaming"
	Stalled    State = "stalled"
	Failed     State = "failed"
	Standby    State = "standby" // another collector runs it
)
