// Package waitalert tells people in Telegram that records wait for a schema, since when, how many and what to do; again
// when they become dead letters, and again when it is over.
//
// What is over within seconds isn't told: a registry that restarts is nobody's trouble. It refuses to wait for Telegram on
// the pipeline's side: Update never blocks. Told is at most once: a message that is lost with the process is still in
// /readyz, the metrics and the log.
package waitalert

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
	"datawatch/pkg/telegram"
)

// Wait is something that records wait for.
type Wait struct {
	Stream event.Stream           // of the record that waits first
	For    *normalize.Unavailable // what is missing
	Since  time.Time
	Until  time.Time // when records become dead letters for want of it
	Lost   bool      // whether they do
}

// Sender is what is needed of Telegram.
type Sender interface {
	Send(ctx context.Context, chat telegram.Chat, m telegram.Message, p telegram.Priority) (telegram.Ref, error)
	Edit(ctx context.Context, ref telegram.Ref, m telegram.Message, p telegram.Priority) error
}

// Count tells how many records of a stream aren't in clean yet; more says that there are more than those.
type Count func(ctx context.Context, stream event.Stream) (n int, more bool, err error)

// Options say where to tell, and how.
type Options struct {
	Sender   Sender
	Chat     telegram.Chat
	Language string // en | vi
	Zone     *time.Location
	Count    Count
	Log      *slog.Logger
	// After is how long a wait has lasted before it is told. Default: 5 s.
	After time.Duration
	// Every is how often the number in a message is brought up to date. Default: 1 min.
	Every time.Duration
}

// Alerter tells of waits.
type Alerter struct {
	o     Options
	words words
	told  map[string]*told

	mu    sync.Mutex
	waits []Wait
	wake  chan struct{}
}

// told is what people know.
type told struct {
	wait Wait
	ref  telegram.Ref
	sent bool // whether it is in the chat
	text string
	n    number // of the records that wait, when last counted
	next time.Time
}

// number is how many records wait.
type number struct {
	n    int
	more bool
}

// New is ready to be told of waits.
func New(o Options) *Alerter {
	if o.After == 0 {
		o.After = 5 * time.Second
	}
	if o.Every == 0 {
		o.Every = time.Minute
	}
	return &Alerter{o: o, words: wordsIn(o.Language), told: map[string]*told{}, wake: make(chan struct{}, 1)}
}

// Update says what is waited for now; nothing when all is well.
func (a *Alerter) Update(waits []Wait) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waits = slices.Clone(waits)
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Run tells until ctx is done and returns its error.
func (a *Alerter) Run(ctx context.Context) error {
	for {
		next, err := a.look(ctx)
		if err != nil {
			return err
		}
		var due <-chan time.Time
		if !next.IsZero() {
			due = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.wake:
		case <-due:
		}
	}
}

// look tells what is due, and gives the time at which to look again; zero is only when something changes.
func (a *Alerter) look(ctx context.Context) (next time.Time, err error) {
	a.mu.Lock()
	waits := a.waits
	a.mu.Unlock()
	present := map[string]bool{}
	for _, w := range waits {
		present[w.For.What] = true
		t := a.told[w.For.What]
		if t == nil {
			t = &told{wait: w, next: w.Since.Add(a.o.After)}
			a.told[w.For.What] = t
		}
		if w.Lost && !t.wait.Lost {
			t.next = time.Now()
		}
		if time.Now().Before(t.next) {
			next = earlier(next, t.next)
			continue
		}
		if err := a.tell(ctx, t, w); err != nil {
			return next, err
		}
		next = earlier(next, t.next)
	}
	for what, t := range a.told {
		if present[what] {
			continue
		}
		delete(a.told, what)
		if !t.sent {
			continue
		}
		m := telegram.NewMessage(a.over(t)...)
		m.ReplyTo = t.ref.ID
		if _, _, err := a.send(ctx, m); err != nil {
			return next, err
		}
	}
	return next, nil
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// tell sends what wasn't told, with sound, or brings the message up to date without.
func (a *Alerter) tell(ctx context.Context, t *told, w Wait) error {
	news := !t.sent || w.Lost && !t.wait.Lost
	t.wait, t.next = w, time.Now().Add(a.o.Every)
	if n, more, err := a.o.Count(ctx, w.Stream); err == nil {
		t.n = number{n, more}
	} else if ctx.Err() == nil {
		a.o.Log.Warn("records that wait couldn't be counted", "stream", w.Stream, "error", err)
	}
	m := telegram.NewMessage(a.waiting(t)...)
	if m.HTML() == t.text {
		return ctx.Err()
	}
	if !news {
		err := a.o.Sender.Edit(ctx, t.ref, m, telegram.Warning)
		if err == nil {
			t.text = m.HTML()
		}
		return a.failed(ctx, err)
	}
	m.ReplyTo = t.ref.ID
	ref, sent, err := a.send(ctx, m)
	if sent {
		t.ref, t.sent, t.text = ref, true, m.HTML()
	}
	return err
}

func (a *Alerter) send(ctx context.Context, m telegram.Message) (ref telegram.Ref, sent bool, err error) {
	ref, err = a.o.Sender.Send(ctx, a.o.Chat, m, telegram.Critical)
	return ref, err == nil, a.failed(ctx, err)
}

// failed keeps what ends the alerter, and logs anything else.
func (a *Alerter) failed(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, telegram.ErrStopped):
		return err
	case err != nil:
		a.o.Log.Error("that records wait for a schema couldn't be told in Telegram; it is in /readyz and in the metrics", "error", err)
	}
	return nil
}
