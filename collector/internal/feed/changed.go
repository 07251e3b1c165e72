package feed

import (
	"maps"
	"time"

	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

// mostChanged bounds the streams of which it is known that they changed.
const mostChanged = 500

// note counts a change of a stream.
func (q *intake) note(r *event.Raw) {
	c, known := q.changed[r.Stream]
	if !known && len(q.changed) >= mostChanged {
		return
	}
	q.changed[r.Stream] = c.Add(control.Changes{Count: 1, First: r.CapturedAt, Last: r.Time})
}

// TakeChanged is how much of which stream was offered since it was asked last, for signs of life to tell.
func (f *Feed) TakeChanged() map[event.Stream]control.Changes {
	q := f.intake
	q.mu.Lock()
	defer q.mu.Unlock()
	changed := q.changed
	q.changed = map[event.Stream]control.Changes{}
	return changed
}

// Changed is what no sign of life has told yet.
func (f *Feed) Changed() map[event.Stream]control.Changes {
	f.intake.mu.Lock()
	defer f.intake.mu.Unlock()
	return maps.Clone(f.intake.changed)
}

// Means tells whether a name means a stream, as in /follow.
func Means(name string, stream event.Stream) bool { return (&Follow{stream: name}).concerns(stream) }

// Line is a change that may be shown, as /last tells it.
func (f *Feed) Line(c *event.Clean, at time.Time) telegram.Block {
	spans := []telegram.Span{telegram.Plain(f.writer.clock(at, time.Now()) + " ")}
	return telegram.Line(append(spans, f.writer.row(shortName(c.Stream), &row{change: c.Change})...)...)
}
