// Package gapalert tells people in Telegram of stretches that were not captured: what is missing, from when to when, why,
// and what to do. It is for when no validator gives signs of life: else that tells them, as of everything else.
//
// Gaps that come together, of one source and for one reason, are one message. It refuses to wait for Telegram on the
// capture's side: Offer never blocks. Told is at most once: a gap whose message is lost with the process stays an event
// in clean and a count in the metrics.
package gapalert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"datawatch/collector/internal/feed"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
)

// Sender is what is needed of Telegram.
type Sender interface {
	Send(ctx context.Context, chat telegram.Chat, m telegram.Message, p telegram.Priority) (telegram.Ref, error)
}

// Options say where to tell of gaps, and how.
type Options struct {
	Sender   Sender
	Chat     telegram.Chat
	Language string // en | vi
	Zone     *time.Location
	Log      *slog.Logger
	// Alone tells whether nobody else tells people of gaps: the validator does, as long as it gives signs of life. Nil is always.
	Alone func() bool
	// Known tells whether Alone knows by now: until it does, gaps wait. Nil is always.
	Known func() bool
	// Together is how long gaps are waited for that belong to the first. Default: 2 s.
	Together time.Duration
}

// Alerter tells of gaps.
type Alerter struct {
	o     Options
	words words

	mu      sync.Mutex
	waiting []*group
	wake    chan struct{}
}

// group is the gaps of one source for one reason.
type group struct {
	source  string
	gap     event.Gap
	streams []string
	count   int
}

const (
	// mostGroups bounds what waits while Telegram is away; what is beyond is logged only.
	mostGroups = 1000
	// namedStreams is how many streams a message names.
	namedStreams = 5
)

// New is ready to be offered events.
func New(o Options) *Alerter {
	if o.Together == 0 {
		o.Together = 2 * time.Second
	}
	if o.Alone == nil {
		o.Alone = func() bool { return true }
	}
	if o.Known == nil {
		o.Known = func() bool { return true }
	}
	return &Alerter{o: o, words: wordsIn(o.Language), wake: make(chan struct{}, 1)}
}

// Offer takes the gaps out of committed events.
func (a *Alerter) Offer(events []event.Raw) {
	for i := range events {
		if events[i].Type != event.GapType {
			continue
		}
		var gap event.Gap
		if err := json.Unmarshal(events[i].Value, &gap); err != nil {
			a.o.Log.Error("a gap that can't be read", "id", events[i].ID, "error", err)
			continue
		}
		a.add(events[i].Stream, gap)
	}
}

func (a *Alerter) add(stream event.Stream, gap event.Gap) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, g := range a.waiting {
		if g.source == stream.Source() && g.gap.Cause == gap.Cause && g.gap.Remedy == gap.Remedy {
			g.join(stream.Readable(), gap)
			return
		}
	}
	if len(a.waiting) >= mostGroups {
		a.o.Log.Error("too many gaps wait to be told; this one is in clean and in the metrics only", "stream", stream, "cause", gap.Cause)
		return
	}
	g := &group{source: stream.Source(), gap: gap}
	g.join(stream.Readable(), gap)
	a.waiting = append(a.waiting, g)
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// join widens the group by one more gap.
func (g *group) join(entity string, gap event.Gap) {
	g.count++
	if gap.From.Before(g.gap.From) {
		g.gap.From = gap.From
	}
	if gap.To.After(g.gap.To) {
		g.gap.To = gap.To
	}
	if g.count > 1 {
		g.gap.Lost = sum(g.gap.Lost, gap.Lost)
	}
	for _, known := range g.streams {
		if known == entity {
			return
		}
	}
	g.streams = append(g.streams, entity)
}

func sum(a, b *int64) *int64 {
	if a == nil || b == nil {
		return nil
	}
	total := *a + *b
	return &total
}

// Run sends until ctx is done and returns its error.
func (a *Alerter) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.wake:
		}
		for waited := false; !waited || !a.o.Known(); waited = true {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(a.o.Together):
			}
		}
		for g := a.next(); g != nil; g = a.next() {
			if !a.o.Alone() {
				continue
			}
			if err := a.tell(ctx, g); err != nil {
				return err
			}
		}
	}
}

func (a *Alerter) next() *group {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		return nil
	}
	g := a.waiting[0]
	a.waiting = a.waiting[1:]
	return g
}

func (a *Alerter) tell(ctx context.Context, g *group) error {
	_, err := a.o.Sender.Send(ctx, a.o.Chat, a.message(g), telegram.Critical)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, telegram.ErrStopped):
		return err
	case err != nil:
		a.o.Log.Error("a gap couldn't be told in Telegram; it is in clean and in the metrics", "source", g.source, "cause", g.gap.Cause, "error", err)
	}
	return nil
}

func (a *Alerter) message(g *group) telegram.Message {
	from, to := g.gap.From.In(a.o.Zone), g.gap.To.In(a.o.Zone)
	layout := "15:04:05"
	if from.Format(time.DateOnly) != to.Format(time.DateOnly) || time.Since(to) > 12*time.Hour {
		layout = a.words.date + " 15:04:05"
	}
	what := a.words.one
	if len(g.streams) > 1 {
		what = fmt.Sprintf(a.words.many, len(g.streams))
	}
	blocks := []telegram.Block{
		telegram.Line(telegram.Plain("🟠 "), telegram.Bold(g.source+": "+what), telegram.Plain(" "+from.Format(layout)+" – "+to.Format(layout))),
		telegram.Line(telegram.Plain(g.names())),
		telegram.Line(telegram.Plain(g.gap.Reason().Sentence(a.words.language))),
		telegram.Line(telegram.Plain(a.meaning(g))),
	}
	if g.gap.Remedy != "" {
		blocks = append(blocks, telegram.Line(telegram.Plain(a.words.do+" "+reason.Say(a.words.language, g.gap.Do, g.gap.Remedy))))
	}
	return telegram.NewMessage(blocks...)
}

func (a *Alerter) meaning(g *group) string {
	if g.gap.Lost == nil {
		return a.words.lostSome
	}
	if *g.gap.Lost == 1 {
		return a.words.lostOne
	}
	return fmt.Sprintf(a.words.lost, feed.Number(a.words.language, int(*g.gap.Lost)))
}

func (g *group) names() string {
	if len(g.streams) <= namedStreams {
		return strings.Join(g.streams, ", ")
	}
	return strings.Join(g.streams[:namedStreams], ", ") + " …"
}
