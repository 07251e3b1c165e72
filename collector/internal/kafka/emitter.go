package kafka

import (
	"context"
	"time"

	"datawatch/collector/internal/source"
)

// emitter emits one batch at a time, beside the reader, which gathers the next one meanwhile. Its methods are the reader's.
type emitter struct {
	emit  source.Emit
	ended chan error // of the emit that is under way, nil where none is
	then  func()     // what is to be done once it has committed
	// oldest is the time of the oldest event that is being emitted, zero where none is.
	oldest time.Time
}

// start emits a batch; none may be under way. A panic is how it ended.
func (e *emitter) start(ctx context.Context, batch source.Batch, oldest time.Time, then func()) {
	ended := make(chan error, 1)
	e.ended, e.then, e.oldest = ended, then, oldest
	go func() { ended <- sheltered(func() error { return e.emit(ctx, batch) }) }()
}

// end takes in how the emit ended.
func (e *emitter) end(err error) error {
	then := e.then
	e.ended, e.then, e.oldest = nil, nil, time.Time{}
	if err == nil {
		then()
	}
	return err
}

// wait returns when no emit is under way. An emit ends soon after its context.
func (e *emitter) wait() error {
	if e.ended == nil {
		return nil
	}
	return e.end(<-e.ended)
}

// close waits for the emit that is under way, whatever becomes of it.
func (e *emitter) close() { _ = e.wait() } // the run ends for another reason

// flushable tells whether something waits to be emitted and nothing is in its way.
func (r *reader) flushable() bool { return !r.flushAt.IsZero() && r.emitter.ended == nil }

// flush has emitted what has gathered, behind the batch before.
func (r *reader) flush(ctx context.Context) error {
	if err := r.emitter.wait(); err != nil {
		return err
	}
	r.flushAt = time.Time{}
	progress := make(source.Progress, len(r.moved)+1)
	for p := range r.moved {
		progress[p.entry()] = encode(r.positions[p])
	}
	if r.started != nil {
		progress[beganEntry] = r.started
	}
	if len(r.events) == 0 && len(progress) == 0 {
		return nil
	}
	reached := r.reached()
	r.emitter.start(ctx, source.Batch{Events: r.events, Progress: progress}, r.oldest, func() {
		if r.group != nil {
			r.group.reach(reached)
		}
	})
	r.events, r.bytes, r.started, r.oldest = nil, 0, nil, time.Time{} // whoever got the events may keep them
	clear(r.moved)
	return nil
}

// reached is where what moved since the last batch stands.
func (r *reader) reached() map[partition]int64 {
	offsets := make(map[partition]int64, len(r.moved))
	for p := range r.moved {
		if at := r.positions[p].Offset; at >= 0 {
			offsets[p] = at
		}
	}
	return offsets
}
