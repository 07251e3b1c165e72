package silence_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"datawatch/collector/internal/silence"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/control"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
)

func TestMain(m *testing.M) { testrig.Main(m) }

// people read messages.
type people struct {
	mu       sync.Mutex
	messages []string
	sent     func() // does what happens in the moment of a message; may be nil
}

func (p *people) Send(_ context.Context, to telegram.Chat, m telegram.Message, _ telegram.Priority) (telegram.Ref, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages = append(p.messages, m.Plain())
	if p.sent != nil {
		p.sent()
	}
	return telegram.Ref{Chat: to, ID: len(p.messages)}, nil
}

func (p *people) Edit(_ context.Context, ref telegram.Ref, m telegram.Message, _ telegram.Priority) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages[ref.ID-1] = m.Plain()
	return nil
}

func (p *people) read(t *testing.T, want ...string) {
	t.Helper()
	testrig.Eventually(t, 30*time.Second, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.messages) != len(want) {
			return fmt.Errorf("messages %q", p.messages)
		}
		for i, text := range want {
			if !strings.Contains(p.messages[i], text) {
				return fmt.Errorf("messages %q, want %q", p.messages, want)
			}
		}
		return nil
	})
}

// TestASilentValidatorIsToldOnceAndThatItIsBack, also by a collector that started meanwhile, and where the one that told it was
// stopped in that moment.
func TestASilentValidatorIsToldOnceAndThatItIsBack(t *testing.T) {
	c := config.DefaultShared().Broker
	c.Addresses, c.TopicPrefix = strings.Split(testrig.Embedded(t), ","), testrig.Prefix(t)
	log := slog.New(slog.DiscardHandler)
	if err := broker.EnsureTopics(t.Context(), c, log); err != nil {
		t.Fatal(err)
	}
	p, err := broker.OpenPublisher(t.Context(), c, c.TopicPrefix+"-test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	beat := func(service string, age time.Duration) {
		t.Helper()
		b := control.Beat{Service: service, Instance: "x", At: time.Now().Add(-age)}
		if err := p.Publish(t.Context(), []broker.Record{control.BeatRecord(broker.TopicsOf(c.TopicPrefix).Control, b)}); err != nil {
			t.Fatal(err)
		}
	}
	readers := &people{}
	watch := func(after time.Duration) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		readers.mu.Lock()
		readers.sent = cancel
		readers.mu.Unlock()
		ended := make(chan error, 1)
		go func() {
			ended <- silence.Watch(ctx, silence.Options{
				Broker: c, Sender: readers, Chat: telegram.Chat{ID: -1}, Language: "en", Zone: time.UTC, Log: log, After: after, Every: 50 * time.Millisecond,
			})
		}()
		return func() {
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Watch returned %v", err)
			}
		}
	}
	beat("preprocessor", 3*time.Minute)
	beat("validator", 3*time.Minute)
	stop := watch(2 * time.Second)
	readers.read(t, "🟠 The validator is silent")
	stop()
	stop = watch(time.Minute) // or its next sign of life may come too late
	testrig.Eventually(t, 30*time.Second, func() error {
		beat("preprocessor", 0)
		beat("validator", 0)
		readers.mu.Lock()
		defer readers.mu.Unlock()
		if len(readers.messages) != 1 || !strings.Contains(readers.messages[0], "🟢 The validator is there again") {
			return fmt.Errorf("messages %q", readers.messages)
		}
		return nil
	})
	stop()
}
