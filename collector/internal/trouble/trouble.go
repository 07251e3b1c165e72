// Package trouble knows of sources that aren't read: what happened, since when and what to do. Signs of life carry it to the
// validator, which tells people of it as of everything else. Where no validator gives signs of life it tells them itself, in
// Telegram: once, when it has lasted for a minute, and again when it is over. A configuration that can't be used it always
// tells itself.
//
// It refuses to wait for Telegram on capture's side: State never blocks. What it has told lives in memory: after a
// restart, what still lasts is told again.
package trouble

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/control"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
)

// Sender is what is needed of Telegram.
type Sender interface {
	Send(ctx context.Context, chat telegram.Chat, m telegram.Message, p telegram.Priority) (telegram.Ref, error)
}

// Options say where to tell, and how.
type Options struct {
	Sender   Sender
	Chat     telegram.Chat
	Language string // en | vi
	Zone     *time.Location
	Log      *slog.Logger
	// Alone tells whether nobody else tells people of sources: the validator does, as long as it gives signs of life. Nil is
	// always.
	Alone func() bool
}

const (
	// lasting is how long trouble must last to be told.
	lasting = time.Minute
	// wellFor is how long all must be well for it to be over: a source that fails again and again streams in between.
	wellFor = 10 * time.Second
	look    = time.Second
)

// configuration is the subject of what is wrong with the file; no source has such a name.
const configuration = "datawatch.yaml"

// Teller tells of trouble.
type Teller struct {
	o      Options
	words  words
	loaded time.Time // when the configuration in force was read

	mu    sync.Mutex
	cases map[string]*matter
	left  []telegram.Message // of troubles that were told, and aren't this collector's any more
}

// matter is one subject's trouble.
type matter struct {
	subject string
	since   time.Time
	well    time.Time // since when it is well again; zero while it isn't
	why, do reason.Text
	told    bool
}

// New is ready to be told states.
func New(o Options) *Teller {
	if o.Alone == nil {
		o.Alone = func() bool { return true }
	}
	return &Teller{o: o, words: wordsIn(o.Language), loaded: time.Now(), cases: map[string]*matter{}}
}

// State implements supervise.Watcher.
func (t *Teller) State(name string, state source.State, why, do reason.Text) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m, now := t.cases[name], time.Now()
	switch well := state == source.Streaming || state == source.Snapshot || state == source.Standby; {
	case m == nil && well:
		return
	case m == nil:
		m = &matter{subject: name, since: now}
		t.cases[name] = m
	case well:
		if m.well.IsZero() {
			m.well = now
		}
		return
	}
	m.well = time.Time{}
	if !why.IsZero() {
		m.why, m.do = why.FirstLine(), do
	}
}

// Gone implements supervise.Watcher.
func (t *Teller) Gone(name string) { t.leave(name, t.words.elsewhere) }

// Removed implements supervise.Watcher. What a source is split into is told of by itself.
func (t *Teller) Removed(name string, split bool) {
	if split {
		t.leave(name, nil)
		return
	}
	t.leave(name, t.words.unconfigured)
}

// leave ends a source's trouble here, with a message where it was told; nil is none.
func (t *Teller) leave(name string, message func(*matter) telegram.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m := t.cases[name]; m != nil && m.told && message != nil {
		t.left = append(t.left, message(m))
	}
	delete(t.cases, name)
}

// Configuration tells at once of a file that can't be used, and of nil when it is mended.
func (t *Teller) Configuration(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m, now := t.cases[configuration], time.Now()
	if err == nil {
		t.loaded = now
		if m != nil {
			m.well = now.Add(-wellFor)
		}
		return
	}
	if why := reason.Why(err).FirstLine(); m == nil || m.why.String() != why.String() {
		t.cases[configuration] = &matter{subject: configuration, since: now.Add(-lasting), why: why}
	}
}

// Of is a source's trouble, as signs of life carry it, or nil.
func (t *Teller) Of(name string) *control.SourceTrouble {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.cases[name]
	if m == nil {
		return nil
	}
	return &control.SourceTrouble{Since: m.since, Reason: m.why.String(), Remedy: m.do.String(), Why: m.why.Pointer(), Do: m.do.Pointer()}
}

// Run sends until ctx is done and returns its error.
func (t *Teller) Run(ctx context.Context) error {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		for _, message := range t.due(time.Now()) {
			if err := t.send(ctx, message); err != nil {
				return err
			}
		}
	}
}

// due are the messages for which the time has come.
func (t *Teller) due(now time.Time) []telegram.Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	messages := t.left
	t.left = nil
	for _, name := range slices.Sorted(maps.Keys(t.cases)) {
		m := t.cases[name]
		switch {
		case !m.well.IsZero() && now.Sub(m.well) >= wellFor:
			if m.told {
				messages = append(messages, t.words.over(m))
			}
			delete(t.cases, name)
		case m.well.IsZero() && !m.told && now.Sub(m.since) >= lasting && (m.subject == configuration || t.o.Alone()):
			m.told = true
			messages = append(messages, t.message(m))
		}
	}
	return messages
}

func (t *Teller) message(m *matter) telegram.Message {
	if m.subject == configuration {
		return t.words.notLoaded(m, t.loaded.In(t.o.Zone))
	}
	return t.words.trouble(m, t.o.Zone)
}

func (t *Teller) send(ctx context.Context, m telegram.Message) error {
	_, err := t.o.Sender.Send(ctx, t.o.Chat, m, telegram.Critical)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, telegram.ErrStopped):
		return err
	case err != nil:
		t.o.Log.Error("trouble couldn't be told in Telegram; it is in /readyz and in the metrics", "error", err)
	}
	return nil
}
