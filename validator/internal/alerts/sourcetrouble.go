package alerts

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
)

// Prefixes of the IDs of what is wrong with a source; then its name.
const (
	sourcePrefix = "source/" // it isn't read
	lagPrefix    = "lag/"    // it is read ever later
	outboxPrefix = "outbox/"
	windowPrefix = "window/" // what it holds for who reads it late is about to end
)

const (
	// lagMuch is how far behind a source may be, and lagGrows how long it may be farther than that without coming nearer.
	lagMuch  = time.Minute
	lagGrows = 2 * time.Minute
)

// levels are how full an outbox, and how short a window is when people are told; the second is until when that lasts.
var levels = struct{ outbox, window [2]float64 }{[2]float64{0.8, 0.7}, [2]float64{0.2, 0.3}}

// behind is since when a source is far behind, and how far it was then.
type behind struct {
	since time.Time
	lag   float64
}

// lags follows how far behind each source is.
func (s *signs) lags(b control.Beat) {
	for _, source := range b.Sources {
		old, known := s.behind[source.Name]
		switch {
		case source.LagSeconds <= lagMuch.Seconds():
			delete(s.behind, source.Name)
		case !known || source.LagSeconds < old.lag: // it comes nearer
			s.behind[source.Name] = behind{b.At, source.LagSeconds}
		}
	}
}

// sources are how those fare that are read now, as the newest signs of life tell.
func (s *signs) sources(now time.Time) map[string]control.Source {
	all, told := map[string]control.Source{}, map[string]time.Time{}
	for _, b := range s.services["collector"] {
		if now.Sub(b.At) >= s.after || b.Stopping {
			continue
		}
		for _, source := range b.Sources {
			if b.At.After(told[source.Name]) {
				all[source.Name], told[source.Name] = source, b.At
			}
		}
	}
	return all
}

// findSources are the troubles with sources.
func (s *sender) findSources(now time.Time, all map[string]*trouble) {
	read := s.signs.sources(now)
	defer s.keepSources(now, read, all)
	for name, source := range read {
		stands := func(id string) bool {
			c := s.board.Card(id)
			return c != nil && c.Alive()
		}
		if w := source.Window; w != nil && w.Size > 0 && s.beyond(stands(windowPrefix+name), -float64(w.Left)/float64(w.Size), [2]float64{-levels.window[0], -levels.window[1]}) {
			s.lasts(all, windowPrefix+name, strconv.FormatInt(w.Left*20/w.Size, 10), now, func(wr writer, since time.Time) telegram.Message { return wr.window(name, w, since) })
		} else if t := source.Trouble; t != nil && now.Sub(t.Since) >= patience {
			all[sourcePrefix+name] = sourceTrouble(name, t, now)
			continue
		}
		if source.BacklogCap > 0 && s.beyond(stands(outboxPrefix+name), float64(source.Backlog)/float64(source.BacklogCap), levels.outbox) {
			s.lasts(all, outboxPrefix+name, size(source.Backlog), now, func(w writer, since time.Time) telegram.Message { return w.outbox(name, source, since) })
		}
		if late, ok := s.signs.behind[name]; ok && now.Sub(late.since) >= lagGrows {
			all[lagPrefix+name] = &trouble{
				severity: event.Warning, since: late.since, last: now, text: strconv.Itoa(int(source.LagSeconds / 60)),
				message: func(w writer) telegram.Message { return w.lag(name, source.LagSeconds, late.since) },
			}
		}
	}
}

func sourceTrouble(name string, t *control.SourceTrouble, now time.Time) *trouble {
	return &trouble{
		severity: event.Critical, since: t.Since, last: now, text: t.Reason,
		message: func(w writer) telegram.Message { return w.source(name, t) },
	}
}

// keepSources keeps what people were told of a source until whoever reads it says that it is well: one that takes over has
// its own minute before it tells, and where collectors stop or fall silent nobody reads it at all. A source that none of those
// that live has named for as long is in the configuration no more.
func (s *sender) keepSources(now time.Time, read map[string]control.Source, all map[string]*trouble) {
	for id, c := range s.board.Cards() {
		name, ok := strings.CutPrefix(id, sourcePrefix)
		if !ok || !c.Alive() || all[id] != nil {
			continue
		}
		last, at := s.signs.lastOf(name)
		if current, is := read[name]; is {
			last, at = current, now
		}
		if last.Trouble == nil || now.Sub(at) >= s.signs.after && s.signs.silent("collector", now).IsZero() {
			continue
		}
		t := *last.Trouble
		if t.Since.After(c.Opened) {
			t.Since = c.Opened
		}
		all[id] = sourceTrouble(name, &t, now)
	}
}

// lastOf is how a source fared when a collector named it last, and when that was.
func (s *signs) lastOf(name string) (last control.Source, at time.Time) {
	for _, b := range s.services["collector"] {
		for _, source := range b.Sources {
			if source.Name == name && b.At.After(at) {
				last, at = source, b.At
			}
		}
	}
	return last, at
}

// beyond tells whether a level is reached that people are told of, or, where they were, not left yet.
func (s *sender) beyond(told bool, level float64, bounds [2]float64) bool {
	return level >= bounds[0] || told && level > bounds[1]
}

// lasts adds a trouble that stands since it was found; text changes when its message does.
func (s *sender) lasts(all map[string]*trouble, id, text string, now time.Time, message func(writer, time.Time) telegram.Message) {
	since := now
	if c := s.board.Card(id); c != nil && c.Alive() {
		since = c.Opened
	}
	all[id] = &trouble{severity: event.Critical, since: since, last: now, text: text, message: func(w writer) telegram.Message { return message(w, since) }}
}

// gaps are the stretches of one source that were not captured for one reason.
type gaps struct {
	Source  string         `json:"source"`
	Streams []event.Stream `json:"streams"` // some
	Cause   string         `json:"cause"`
	Remedy  string         `json:"remedy"`
	Why     *reason.Text   `json:"why,omitempty"`
	Do      *reason.Text   `json:"do,omitempty"`
	From    time.Time      `json:"from"`
	To      time.Time      `json:"to"`
	Lost    int64          `json:"lost"` // where it is known
	Unknown bool           `json:"unknown,omitempty"`
	Count   int64          `json:"count"`
	First   time.Time      `json:"first"`
	Last    time.Time      `json:"last"`
}

// what is the newest of them.
func (g *gaps) what() event.Gap { return event.Gap{Cause: g.Cause, Why: g.Why} }

const (
	gapPrefix  = "gap/" // source, space, cause
	maxGaps    = 200    // kinds that are told apart
	gapStreams = 5      // named
)

// gap counts one.
func (s *signs) gap(told control.Gap, at time.Time) {
	g, stream := told.What, told.Stream
	id := gapPrefix + stream.Source() + " " + g.Cause
	if s.known.Gaps[id] == nil && len(s.known.Gaps) >= maxGaps {
		id = gapPrefix + stream.Source() + " "
	}
	of := s.known.Gaps[id]
	if of == nil {
		of = &gaps{Source: stream.Source(), Cause: g.Cause, From: g.From, To: g.To, First: at}
		s.known.Gaps[id] = of
	}
	if g.From.Before(of.From) {
		of.From = g.From
	}
	if g.To.After(of.To) {
		of.To = g.To
	}
	if g.Lost == nil {
		of.Unknown = true
	} else {
		of.Lost += *g.Lost
	}
	if !slices.Contains(of.Streams, stream) && len(of.Streams) <= gapStreams {
		of.Streams = append(of.Streams, stream)
	}
	of.Remedy, of.Why, of.Do, of.Last = g.Remedy, g.Why, g.Do, at
	of.Count++
	s.changed = true
}

// findGaps are the gaps, as occurrences: they are over when somebody says so.
func (s *sender) findGaps(all map[string]*trouble) {
	for id, g := range s.signs.known.Gaps {
		all[id] = &trouble{
			severity: event.Critical, since: g.First, last: g.Last, count: g.Count, text: fmt.Sprint(g.Count, g.Lost),
			message: func(w writer) telegram.Message { return w.gaps(g) },
		}
	}
}

// forgetTroubles lets go of what was counted and is over for so long that it would be new.
func (s *sender) forgetTroubles(now time.Time) {
	old := func(id string) bool {
		c := s.board.Card(id)
		return c != nil && c.Phase == life.Over && now.Sub(c.OverAt) > s.keeper.options.Times.BackWithin
	}
	for id := range s.signs.known.Letters {
		if old(id) {
			delete(s.signs.known.Letters, id)
			s.signs.changed = true
		}
	}
	for id := range s.signs.known.Gaps {
		if old(id) {
			delete(s.signs.known.Gaps, id)
			s.signs.changed = true
		}
	}
}
