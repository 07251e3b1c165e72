package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// gap appends a gap to its stream, at this place in the order, and names it in the log.
func (b *batch) gap(stream event.Stream, g event.Gap) {
	value, err := json.Marshal(g)
	if err != nil { // a Gap is made of texts, times and a number
		panic(err)
	}
	b.events = append(b.events, event.Raw{
		Type: event.GapType, Kind: event.Postgres, ID: event.ID(b.r.name, b.position()), Stream: stream, Time: g.To.UTC(),
		RecordKey: event.RecordKey(stream, nil), Value: value, CapturedAt: b.now,
	})
	b.bytes += len(value)
	b.tells(stream, change{})
	b.r.report.Gap(g.Cause)
	b.r.logGap(stream, g)
}

// maxLogged bounds what is remembered of gaps that were logged.
const maxLogged = 1000

// logGap names a gap once: a batch that the broker didn't take is made again, with the same gaps.
func (s *Source) logGap(stream event.Stream, g event.Gap) {
	what := fmt.Sprint(stream, g.Cause, g.From.UnixNano(), g.To.UnixNano(), g.Remedy)
	if s.logged[what] {
		return
	}
	if s.logged == nil || len(s.logged) >= maxLogged {
		s.logged = map[string]bool{}
	}
	s.logged[what] = true
	s.log.Warn("a gap", "stream", stream, "cause", g.Cause, "from", g.From, "to", g.To, "remedy", g.Remedy)
}

// since tells of a stretch that the database knows of: a table, or a partition of one, had rows before it had triggers, or
// capture was switched off.
func (b *batch) since(p *pack, s *shape) {
	from, err := time.Parse(time.RFC3339Nano, string(p.after))
	if err != nil { // written by planNew and datawatch.tell_off
		b.unreadable(p, s, fmt.Errorf("the beginning of a gap: %w", err))
		return
	}
	cause, do := causeTableNew, reason.DoTableNew
	if p.op == packOff {
		cause, do = causeSwitchedOff, reason.DoSwitchedOff
	}
	b.gap(s.stream, event.Gap{From: from.UTC(), To: p.at, Cause: cause}.Advising(do.With()))
}

// tooLarge tells of rows that were written together and are too large to be read.
func (b *batch) tooLarge(p *pack, s *shape) {
	b.gap(s.stream, event.Gap{From: p.at, To: p.at, Cause: causeTooLarge, Lost: &p.rows}.Advising(reason.DoRowsTooLarge.With(p.first, p.txid)))
}

func (b *batch) unreadable(p *pack, s *shape, err error) {
	b.r.log.Error("a pack can't be read", "stream", s.stream, "seq", p.seq, "part", p.part, "error", err)
	b.gap(s.stream, event.Gap{From: p.at, To: p.at, Cause: causeUnreadable, Lost: &p.rows}.Advising(reason.DoRowUnreadable.With(err)))
}

// tellCounted tells what triggers only counted: statements left out for want of room, or whose failure couldn't be noted.
func (r *reader) tellCounted(ctx context.Context, now position) error {
	if now.failed == r.p.Failed && now.skipped == r.p.Skipped {
		r.cleanAt = now.at
		return nil
	}
	if now.at.Sub(r.gapTold) < gapEvery {
		return nil
	}
	cause, do := causeOutboxFull, reason.DoOutboxFull
	if now.skipped == r.p.Skipped {
		cause, do = causeCaptureFailed, reason.DoCaptureUnnoted
	}
	g := gap{Gap: event.Gap{From: r.cleanAt, To: now.at, Cause: cause}.Advising(do.With())}
	r.p.Failed, r.p.Skipped = now.failed, now.skipped
	if err := r.tell(ctx, g); err != nil {
		return err
	}
	r.gapTold, r.cleanAt = now.at, now.at
	return nil
}

// uncaptured are selected tables, by their stream, that can't be captured.
type uncaptured map[event.Stream]lack

// lack is since when a table isn't captured, as far as that is known, and why.
type lack struct {
	since time.Time
	why   reason.Text
}

// tellUncaptured tells of each of them, once in a run and for each time that it begins.
func (r *reader) tellUncaptured(ctx context.Context) error {
	refused := r.refused.Load()
	if refused == nil {
		return nil
	}
	for stream, m := range *refused {
		if _, told := r.missed[stream]; told {
			continue
		}
		from := m.since
		if from.IsZero() {
			from = r.last.at
		}
		g := event.Gap{From: from.UTC(), To: r.last.at, Cause: causeNotCaptured}.Advising(reason.DoNotCaptured.With(m.why))
		if err := r.tell(ctx, gap{stream: stream, Gap: g}); err != nil {
			return err
		}
	}
	r.missed = *refused
	return nil
}

// tell commits a gap, in its stream or in all that are captured, as a tick of its own.
func (r *reader) tell(ctx context.Context, g gap) error {
	streams := []event.Stream{g.stream}
	if g.stream == "" {
		var err error
		if streams, err = r.streams(ctx); err != nil {
			return err
		}
	}
	return r.tellAside(ctx, func(b *batch) error {
		for _, stream := range streams {
			b.gap(stream, g.Gap)
		}
		return nil
	})
}

// tellAside commits events that are of no pack, as a tick of their own.
func (r *reader) tellAside(ctx context.Context, events func(*batch) error) error {
	next := r.p
	next.Open = &openTick{}
	b := r.newBatch(next)
	if err := events(b); err != nil {
		return err
	}
	next.Open = r.p.Open
	if next.Open == nil {
		next.Tick++
	}
	return r.commit(ctx, next, b)
}

// streams are those of the tables that the configuration selects.
func (r *reader) streams(ctx context.Context) ([]event.Stream, error) {
	status, err := r.status(ctx, r.db)
	if err != nil {
		return nil, err
	}
	var streams []event.Stream
	for _, t := range status.Tables {
		if !slices.Contains(streams, t.Stream) {
			streams = append(streams, t.Stream)
		}
	}
	return streams, nil
}
