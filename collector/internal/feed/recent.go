package feed

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

const (
	// recentEvents and recentBytes bound what is kept of a stream for /last, recentStreams the streams.
	recentEvents  = 20
	recentBytes   = 64 << 10
	recentStreams = 500
)

// recent are the newest changes of each stream, as they were captured.
type recent struct {
	mu      sync.Mutex
	streams map[event.Stream]*newest
}

type newest struct {
	events []event.Raw // the oldest first
	bytes  int
	count  int
	last   time.Time
}

func newRecent() *recent { return &recent{streams: map[event.Stream]*newest{}} }

func (r *recent) add(e *event.Raw) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, ok := r.streams[e.Stream]
	if !ok {
		if len(r.streams) >= recentStreams {
			return
		}
		n = &newest{}
		r.streams[e.Stream] = n
	}
	n.count++
	n.last = e.Time
	n.events = append(n.events, *e)
	n.bytes += len(e.Value)
	for len(n.events) > recentEvents || n.bytes > recentBytes && len(n.events) > 1 {
		n.bytes -= len(n.events[0].Value)
		n.events = slices.Delete(n.events, 0, 1)
	}
}

// Table is what was captured of a stream since the feed began.
type Table struct {
	Stream event.Stream
	Count  int
	Last   time.Time // the source's time of the newest change
}

// Tables are the streams that changed since the feed began, by name.
func (f *Feed) Tables() []Table {
	f.recent.mu.Lock()
	defer f.recent.mu.Unlock()
	out := make([]Table, 0, len(f.recent.streams))
	for stream, n := range f.recent.streams {
		out = append(out, Table{stream, n.count, n.last})
	}
	slices.SortFunc(out, func(a, b Table) int { return strings.Compare(string(a.Stream), string(b.Stream)) })
	return out
}

// Last are the newest changes of the streams that a name means, as in /follow, each a line, the oldest first: at most n, and
// at most as many as are kept. ok is false where nothing of that name changed since the feed began.
func (f *Feed) Last(ctx context.Context, stream string, n int) (lines []telegram.Block, ok bool) {
	meant := &Follow{stream: stream}
	var events []event.Raw
	f.recent.mu.Lock()
	for s, kept := range f.recent.streams {
		if meant.concerns(s) {
			events, ok = append(events, kept.events...), true
		}
	}
	f.recent.mu.Unlock()
	slices.SortStableFunc(events, func(a, b event.Raw) int { return a.Time.Compare(b.Time) })
	for i := range events {
		cleans, err := f.options.Normalizer.Events(ctx, &events[i])
		if err != nil {
			continue // the preprocessor tells why
		}
		for _, c := range cleans {
			if c.Change != nil {
				c.Change = f.options.Hidden.For(c.Stream).Change(c.Change)
				lines = append(lines, f.writer.lastLine(c, events[i].Time))
			}
		}
	}
	return lines[max(0, len(lines)-n):], ok
}

func (w writer) lastLine(c *event.Clean, at time.Time) telegram.Block {
	spans := append([]telegram.Span{telegram.Plain(w.clock(at, time.Now()) + " ")}, w.row(shortName(c.Stream), &row{change: c.Change})...)
	return telegram.Line(spans...)
}
