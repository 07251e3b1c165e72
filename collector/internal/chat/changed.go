package chat

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"datawatch/collector/internal/feed"
	"datawatch/collector/internal/record"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

const (
	// changedBack is how far back /tables and /last look.
	changedBack = 24 * time.Hour
	defaultLast = 5
	mostLast    = 20
	mostTables  = 60
	settleTime  = 2 * time.Second
)

// stretch is what a collector captured of a stream between two of its signs of life.
type stretch struct {
	stream event.Stream
	control.Changes
	until time.Time // all of it was in raw by then
}

// history is what collectors captured of late.
type history struct {
	means  func(event.Stream) bool
	tables map[event.Stream]control.Changes
	// meant are the newest stretches of the streams that are meant, the oldest first: of each there is at least one change,
	// so not many of them hold all that may be asked for.
	meant []stretch
}

// mostMeant stretches are kept, and as many again before the oldest are left out.
const mostMeant = 1000

func (h *history) add(one stretch) {
	h.tables[one.stream] = h.tables[one.stream].Add(one.Changes)
	if !h.means(one.stream) {
		return
	}
	h.meant = append(h.meant, one)
	if len(h.meant) >= 2*mostMeant {
		h.sort()
		h.meant = slices.Clone(h.meant[len(h.meant)-mostMeant:])
	}
}

func (h *history) sort() {
	slices.SortStableFunc(h.meant, func(a, b stretch) int { return a.until.Compare(b.until) })
}

// streams are those that changed, by name.
func (h *history) streams() []event.Stream { return slices.Sorted(maps.Keys(h.tables)) }

// history is what collectors captured of late, whichever of them reads a source. Of this one it is known to the moment, of
// the others to their last sign of life.
func (d *Desk) history(ctx context.Context, s *broker.Scanner, means func(event.Stream) bool) (*history, error) {
	h := &history{means: means, tables: map[event.Stream]control.Changes{}}
	now := time.Now()
	from, err := s.Since(d.topics.Control, 0, now.Add(-changedBack))
	if err != nil {
		return nil, err
	}
	end, err := s.End(d.topics.Control, 0)
	if err != nil {
		return nil, err
	}
	err = s.Scan(ctx, d.topics.Control, 0, from, end, func(r broker.Record) error {
		if !bytes.Contains(r.Value, changesMark) {
			return nil
		}
		if b, ok := control.ReadBeat(r); ok {
			for stream, c := range b.Changes {
				h.add(stretch{stream, c, b.At})
			}
		}
		return nil
	})
	for stream, c := range d.o.Feed.Changed() {
		h.add(stretch{stream, c, now})
	}
	h.sort()
	return h, err
}

// changesMark stands in signs of life that tell of changes.
var changesMark = []byte(`"changes":{`)

func (d *Desk) tables(ctx context.Context, _ telegram.Command) ([]telegram.Block, error) {
	scanner, err := broker.NewScanner(d.o.Broker, "datawatch-collector")
	if err != nil {
		return nil, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	h, err := d.history(ctx, scanner, func(event.Stream) bool { return false })
	if err != nil {
		return nil, err
	}
	list := h.streams()
	if len(list) == 0 {
		return say(d.words.noTables), nil
	}
	var lines []telegram.Block
	source := ""
	for i, stream := range list {
		if i == mostTables {
			lines = append(lines, telegram.Line(telegram.Italic(d.more(len(list)-i))))
			break
		}
		if s := stream.Source(); s != source {
			source = s
			lines = append(lines, telegram.Line(telegram.Bold(s)))
		}
		lines = append(lines, telegram.Line(telegram.Code(stream.Readable()), telegram.Plain("  "+d.changes(h.tables[stream]))))
	}
	return lines, nil
}

// last tells the newest changes of the streams that a name means, the oldest of them first.
func (d *Desk) last(ctx context.Context, c telegram.Command) ([]telegram.Block, error) {
	m := lastForm.FindStringSubmatch(c.Args)
	if m == nil {
		return say(d.words.lastForm), nil
	}
	name, n := m[1], defaultLast
	if m[2] != "" {
		var err error
		if n, err = strconv.Atoi(m[2]); err != nil {
			return nil, err
		}
	}
	scanner, err := broker.NewScanner(d.o.Broker, "datawatch-collector")
	if err != nil {
		return nil, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	h, err := d.history(ctx, scanner, func(stream event.Stream) bool { return feed.Means(name, stream) })
	if err != nil {
		return nil, err
	}
	if len(h.meant) == 0 {
		var names []string
		for _, stream := range h.streams() {
			name := stream.Readable()
			names = append(names, name, name[strings.LastIndexByte(name, '.')+1:])
		}
		return say(d.words.noTable(name, config.Nearest(name, names))), nil
	}
	if err := d.awaitHidden(ctx); err != nil {
		return nil, err
	}
	events, err := d.newest(ctx, scanner, h.meant, min(n, mostLast))
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return say(d.words.notHeld), nil
	}
	var lines []telegram.Block
	for _, e := range events {
		if d.o.Hide != nil {
			e.clean.Change = d.o.Hide(e.clean.Stream, e.clean.Change)
		}
		lines = append(lines, d.o.Feed.Line(e.clean, e.at))
	}
	return lines, nil
}

// seen is an event and the source's time of it.
type seen struct {
	clean *event.Clean
	at    time.Time
}

// newest reads the last n events of stretches from raw, where it holds them still, the oldest of them first.
func (d *Desk) newest(ctx context.Context, s *broker.Scanner, of []stretch, n int) ([]seen, error) {
	if err := d.settle(ctx, s); err != nil {
		return nil, err
	}
	var events []seen
	known := map[string]bool{}
	wanted := map[event.Stream]bool{}
	for _, one := range of {
		wanted[one.stream] = true
	}
	for _, w := range spans(of, n) {
		w.Stream = func(stream event.Stream) bool { return wanted[stream] }
		err := record.Events(ctx, s, d.topics, w, d.o.Normalizer, func(raw *event.Raw, e *event.Clean) {
			if e.Change == nil || e.Change.Op == event.Read || known[e.ID] {
				return
			}
			known[e.ID] = true
			events = append(events, seen{e, raw.Time})
			if len(events) > 1000 {
				events = lastOf(events, n)
			}
		})
		if err != nil {
			return nil, err
		}
		if len(events) >= n {
			break
		}
	}
	return lastOf(events, n), nil
}

// settle waits until what was committed can be read: its end may be written a moment later. Whoever left a transaction open
// isn't waited for long.
func (d *Desk) settle(ctx context.Context, s *broker.Scanner) error {
	partitions, err := s.Partitions(d.topics.Raw)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for _, p := range partitions {
		if _, err := s.Settled(waiting, d.topics.Raw, p); err != nil && waiting.Err() == nil {
			return err
		}
	}
	return ctx.Err()
}

func lastOf(events []seen, n int) []seen {
	slices.SortStableFunc(events, func(a, b seen) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(event.PositionOf(a.clean.ID), event.PositionOf(b.clean.ID)))
	})
	return slices.Clone(events[max(0, len(events)-n):])
}

// spans are times that hold the last n events of stretches, the newest first. Those that overlap are one.
func spans(of []stretch, n int) []record.Wanted {
	var out []record.Wanted
	count := int64(0)
	for _, one := range slices.Backward(of) {
		if count >= int64(n) && one.until.Before(out[len(out)-1].First) {
			break
		}
		count += one.Count
		if len(out) > 0 && !one.until.Before(out[len(out)-1].First) {
			last := &out[len(out)-1]
			if one.First.Before(last.First) {
				last.First = one.First
			}
			continue
		}
		out = append(out, record.Wanted{First: one.First, Until: one.until})
	}
	return out
}
