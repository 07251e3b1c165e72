package feed

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
)

// maxOpen bounds the transactions that are being put together. A tick of a busy outbox may hold thousands, interleaved.
const maxOpen = 4096

// assembler puts changes together into transactions. All changes of a transaction share the position but for its last
// part (a tick, a commit, a cluster time), so one is complete when its source goes on to another; where the source is
// quiet then, after the linger.
type assembler struct {
	normalizer *normalize.Normalizer
	audience   *audience
	hidden     Hidden
	linger     time.Duration
	log        *slog.Logger
	complete   func(*transaction)

	regards map[event.Stream]regard // of the events at hand
	pressed bool                    // more comes than can be read row by row

	open  []*transaction // the oldest first
	index map[name]*transaction
	ticks map[string]string // the newest by source
}

type name struct{ source, id string }

func newAssembler(n *normalize.Normalizer, audience *audience, hidden Hidden, linger time.Duration, log *slog.Logger, complete func(*transaction)) *assembler {
	return &assembler{
		normalizer: n, audience: audience, hidden: hidden, linger: linger, log: log, complete: complete,
		regards: map[event.Stream]regard{}, index: map[name]*transaction{}, ticks: map[string]string{},
	}
}

// pressedAt is how many events that wait at once are too many to read each row of transactions that nobody may want.
const pressedAt = 2000

// begin looks at the viewers anew, before n events are taken.
func (a *assembler) begin(n int) {
	clear(a.regards)
	a.pressed = n >= pressedAt
}

func (a *assembler) regard(stream event.Stream) regard {
	r, ok := a.regards[stream]
	if !ok {
		r = a.audience.regard(stream, time.Now())
		a.regards[stream] = r
	}
	return r
}

// take reads one event. Where nobody is shown rows of it, changes are only counted.
func (a *assembler) take(ctx context.Context, r *event.Raw) {
	regard := a.regard(r.Stream)
	s := glance(r)
	if s.op != "" && regard.counted(a.pressed) {
		t := a.transaction(placeOf(r), s.transaction)
		t.see(r.Stream, s)
		t.show(regard.all)
		a.finishAlone(t)
		return
	}
	if t := a.full(r, s, regard); t != nil {
		t.table(r.Stream).tally.count(s.op, s.movedTo, false)
		t.show(regard.all)
		return
	}
	cleans, err := a.normalizer.Events(ctx, r)
	if err != nil {
		a.log.Debug("not shown in the feed: it can't be read", "event", r.ID, "error", err)
		return
	}
	for _, c := range cleans {
		wanted := regard.matching(ctx, c)
		a.takeClean(placeOf(r), c, wanted, regard.all)
	}
}

// full is the transaction of an event that it counts without its row, for it has more rows of the table than are shown; nil
// where the row may be needed: by somebody who picks rows, to end a move, to tell the tag.
func (a *assembler) full(r *event.Raw, s sight, regard regard) *transaction {
	at := placeOf(r)
	t := a.index[name{at.source, s.transaction}]
	switch {
	case t == nil || a.ticks[at.source] != at.tick:
		return nil
	case len(regard.picky) > 0, s.movedFrom, s.tagged && t.tag == "", len(t.table(r.Stream).rows) < maxRows:
		return nil
	}
	return a.transaction(at, s.transaction)
}

// takeClean takes one event as clean holds it: wanted follow it, and all are shown its transaction anyway.
func (a *assembler) takeClean(at place, c *event.Clean, wanted, all []*viewer) {
	if c.Change == nil || c.Change.Op == event.Read {
		return
	}
	t := a.transaction(at, c.Change.Origin.Transaction)
	c.Change = a.hidden.For(c.Stream).Change(c.Change)
	if t.id == "" && t.kafka {
		t.record = c
		t.size = weight(c.Change)
		t.table(c.Stream).tally.count(c.Change.Op, false, false)
	} else {
		t.add(c, wanted)
	}
	t.show(all)
	t.want(wanted)
	a.finishAlone(t)
}

// place is what is known of where and when an event happened.
type place struct {
	source, tick string // tick: the position without its last part
	at, captured time.Time
	kafka        bool
}

func placeOf(r *event.Raw) place {
	return place{r.Stream.Source(), tickOf(r), r.Time, r.CapturedAt, r.Kind == event.Kafka}
}

// transaction is the open one that an event belongs to, or a new one.
func (a *assembler) transaction(p place, id string) *transaction {
	source, tick := p.source, p.tick
	if id != "" && a.ticks[source] != tick {
		a.completeSource(source)
		a.ticks[source] = tick
	}
	t, ok := a.index[name{source, id}]
	if !ok {
		t = &transaction{source: source, id: id, tick: tick, first: p.at, kafka: p.kafka}
		if id != "" {
			a.index[name{source, id}] = t
			a.open = append(a.open, t)
		}
	}
	if p.at.Before(t.first) {
		t.first = p.at
	}
	if p.at.After(t.last) {
		t.last = p.at
	}
	t.caught.add(p.captured, p.captured)
	t.touched = time.Now()
	for len(a.open) > maxOpen {
		oldest := a.open[0]
		a.finish(func(o *transaction) bool { return o == oldest })
	}
	return t
}

// tickOf is a position without its last part.
func tickOf(r *event.Raw) string {
	position := r.Position()
	if at := strings.LastIndexByte(position, '.'); at >= 0 {
		return position[:at]
	}
	return position
}

// finishAlone completes what has no transaction around it.
func (a *assembler) finishAlone(t *transaction) {
	if t.id == "" {
		a.complete(t)
	}
}

func (a *assembler) completeSource(source string) {
	a.finish(func(t *transaction) bool { return t.source == source })
}

func (a *assembler) completeAll() { a.finish(func(*transaction) bool { return true }) }

// completeQuiet completes what has lingered, and tells when to look again; 0 is when something new comes.
func (a *assembler) completeQuiet(now time.Time) time.Duration {
	a.finish(func(t *transaction) bool { return now.Sub(t.touched) >= a.linger })
	if len(a.open) == 0 {
		return 0
	}
	oldest := a.open[0].touched
	for _, t := range a.open {
		if t.touched.Before(oldest) {
			oldest = t.touched
		}
	}
	return max(oldest.Add(a.linger).Sub(now), time.Millisecond)
}

// finish completes the open transactions that match, in their order.
func (a *assembler) finish(match func(*transaction) bool) {
	kept := a.open[:0]
	var finished []*transaction
	for _, t := range a.open {
		if match(t) {
			finished = append(finished, t)
			delete(a.index, name{t.source, t.id})
		} else {
			kept = append(kept, t)
		}
	}
	clear(a.open[len(kept):])
	a.open = kept
	for _, t := range finished {
		a.complete(t)
	}
}
