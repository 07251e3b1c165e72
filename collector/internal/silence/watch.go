// Package silence tells people when the validator, which tells them of everything else, gives no sign of life: then nothing
// is checked, and nobody would hear. One message, edited when the validator is there again.
//
// Loss and repetition: what was told is stored, so a collector that restarts doesn't tell it anew; two collectors that
// notice at the same moment may both. A validator of which there was never a sign isn't missed.
package silence

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/control"
	"datawatch/pkg/telegram"
)

const (
	watched  = "validator"
	stateKey = "silence/" + watched
	// lookBack is how old a sign may be for the validator to be missed by a collector that starts.
	lookBack = time.Hour
	// storeWithin is how long a stop waits until it is stored what was told.
	storeWithin = 5 * time.Second
)

// Sender is what the watch needs of a Telegram client.
type Sender interface {
	Send(ctx context.Context, to telegram.Chat, m telegram.Message, p telegram.Priority) (telegram.Ref, error)
	Edit(ctx context.Context, ref telegram.Ref, m telegram.Message, p telegram.Priority) error
}

// Options say whom to tell, and how.
type Options struct {
	Broker   config.Broker
	Sender   Sender
	Chat     telegram.Chat
	Language string
	Zone     *time.Location
	Log      *slog.Logger
	// After is how long there may be no sign; default 2 minutes.
	After time.Duration
	// Every is how often that is looked at; default 5 s.
	Every time.Duration
	// Canaries is told when the oldest of the partitions' newest canaries that came through was sent; default: nobody is.
	Canaries func(sent time.Time)
	// Heard is told of the validator's signs of life; default: nobody is.
	Heard func(at time.Time)
}

// told is the message that stands, in the state topic.
type told struct {
	Version int          `json:"version"` // 1
	Since   time.Time    `json:"since"`
	Message telegram.Ref `json:"message"`
}

type watch struct {
	Options
	topics broker.Topics
	last   atomic.Int64 // the newest sign, in nanoseconds since 1970; 0 is none
	began  time.Time    // what was silent before may only have been stopped with this collector
	told   *told

	canaries control.Canaries
}

// Watch tells of the validator's silence until ctx is done, and returns its error, or the broker's.
func Watch(ctx context.Context, o Options) error {
	if o.After == 0 {
		o.After = 2 * time.Minute
	}
	if o.Every == 0 {
		o.Every = 5 * time.Second
	}
	if o.Canaries == nil {
		o.Canaries = func(time.Time) {}
	}
	if o.Heard == nil {
		o.Heard = func(time.Time) {}
	}
	w := &watch{Options: o, topics: broker.TopicsOf(o.Broker.TopicPrefix), began: time.Now(), canaries: control.Canaries{}}
	w.After += rand.N(o.After / 8) // several collectors don't notice all at once
	from, err := w.open(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return broker.Tail(ctx, o.Broker, "datawatch-collector", w.topics.Control, map[int32]int64{0: from}, o.Log, w.hear)
	})
	group.Go(func() error { return w.look(ctx) })
	return group.Wait()
}

// open finds where to begin to listen, and what was told.
func (w *watch) open(ctx context.Context) (from int64, err error) {
	scanner, err := broker.NewScanner(w.Broker, "datawatch-collector")
	if err != nil {
		return 0, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	if w.told, err = w.stored(ctx, scanner); err != nil {
		return 0, err
	}
	return scanner.Since(w.topics.Control, 0, time.Now().Add(-lookBack))
}

func (w *watch) stored(ctx context.Context, scanner *broker.Scanner) (*told, error) {
	state, err := scanner.State(ctx, w.topics.State, stateKey)
	if err != nil {
		return nil, err
	}
	value, ok := state[stateKey]
	if !ok {
		return nil, nil
	}
	t := new(told)
	if err := json.Unmarshal(value, t); err != nil {
		return nil, fmt.Errorf("read state %s: %w", stateKey, err)
	}
	return t, nil
}

func (w *watch) hear(r broker.Record) error {
	if b, ok := control.ReadBeat(r); ok && b.Service == watched {
		w.last.Store(max(w.last.Load(), b.At.UnixNano()))
		w.Heard(b.At)
		w.canaries.Add(b.Canaries)
		if _, sent, ok := w.canaries.Oldest(); ok {
			w.Canaries(sent)
		}
	}
	return nil
}

func (w *watch) look(ctx context.Context) error {
	ticker := time.NewTicker(w.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		last := time.Unix(0, w.last.Load())
		if w.last.Load() == 0 {
			continue
		}
		var err error
		switch silent := time.Since(last) > w.After; {
		case silent && w.told == nil && time.Since(w.began) > w.After:
			err = w.tell(ctx, last)
		case !silent && w.told != nil:
			err = w.back(ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			w.Log.Error("the validator's silence can't be told", "error", err)
		}
	}
}

// tell sends the message, unless another collector has.
func (w *watch) tell(ctx context.Context, since time.Time) error {
	scanner, err := broker.NewScanner(w.Broker, "datawatch-collector")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }() // it only read
	if w.told, err = w.stored(ctx, scanner); err != nil || w.told != nil {
		return err
	}
	w.Log.Error("the validator is silent", "since", since)
	ref, err := w.Sender.Send(ctx, w.Chat, w.message(since, time.Time{}), telegram.Critical)
	if err != nil {
		return err
	}
	w.told = &told{1, since, ref}
	// Also where it was told in the moment of a stop: else nobody would say that it is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeWithin)
	defer cancel()
	return w.store(ctx, w.told)
}

// back says in the same message that it is over.
func (w *watch) back(ctx context.Context) error {
	if err := w.Sender.Edit(ctx, w.told.Message, w.message(w.told.Since, time.Now()), telegram.Warning); err != nil {
		w.Log.Warn("the validator is there again, and that can't be told", "error", err)
	}
	w.told = nil
	return w.store(ctx, nil)
}

func (w *watch) store(ctx context.Context, t *told) error {
	record := broker.Record{Topic: w.topics.State, Key: []byte(stateKey)}
	if t != nil {
		value, err := json.Marshal(t)
		if err != nil {
			return err
		}
		record.Value = value
	}
	p, err := broker.OpenPublisher(ctx, w.Broker, w.Broker.TopicPrefix+"-silence-"+uuid.NewString())
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	return p.Publish(ctx, []broker.Record{record})
}

// words are the message's in one language.
type words struct{ silent, since, means, do, again string }

var languages = map[string]words{
	"en": {
		silent: "The validator is silent", since: "since", means: "Nothing is being checked. Events wait in clean.",
		do: "Do: is it running? Look at its log, and run validator check.", again: "The validator is there again; what waited is being checked",
	},
	"vi": {
		silent: "Validator im lặng", since: "từ", means: "Không có gì được kiểm tra. Sự kiện chờ trong clean.",
		do: "Cần làm: dịch vụ có đang chạy không? Xem log và chạy validator check.", again: "Validator đã chạy lại; những gì đang chờ được kiểm tra",
	},
}

func (w *watch) message(since, again time.Time) telegram.Message {
	words := languages[w.Language]
	clock := func(t time.Time) string { return t.In(w.Zone).Format("15:04") }
	if !again.IsZero() {
		return telegram.NewMessage(telegram.Line(telegram.Plain("🟢 "), telegram.Bold(words.again), telegram.Plain(" · "+clock(since)+" – "+clock(again))))
	}
	return telegram.NewMessage(
		telegram.Line(telegram.Plain("🟠 "), telegram.Bold(words.silent), telegram.Plain(" · "+words.since+" "+clock(since))),
		telegram.Line(telegram.Plain(words.means)), telegram.Line(telegram.Plain(words.do)),
	)
}
