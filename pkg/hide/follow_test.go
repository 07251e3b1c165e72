package hide

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

func TestMain(m *testing.M) { testrig.Main(m) }

// follow runs a follower until the test ends.
func follow(t *testing.T, c config.Broker, change func(*Follower)) *Follower {
	t.Helper()
	f := NewFollower(c, "test", slog.New(slog.NewTextHandler(t.Output(), nil)))
	if change != nil {
		change(f)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	})
	return f
}

func TestFollowerHidesEverythingUntilItKnowsAndThenWhatWasWrittenLast(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c := config.DefaultShared().Broker
		c.Addresses, c.TopicPrefix, c.Partitions = []string{addr}, testrig.Prefix(t), 1
		if err := broker.EnsureTopics(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		f := follow(t, c, func(f *Follower) { f.patience = time.Hour })
		hides := func(stream event.Stream, want string) {
			t.Helper()
			testrig.Eventually(t, 30*time.Second, func() error {
				if got := fmt.Sprintf("%q", f.For(stream).pointers); got != want {
					return fmt.Errorf("%s hides %s, want %s", stream, got, want)
				}
				return nil
			})
		}
		hides("a/b", `[""]`) // all of it
		publish := func(wantWritten bool, keep []string, files ...File) {
			t.Helper()
			written, err := Publish(t.Context(), c, "test", files, keep)
			if err != nil || written != wantWritten {
				t.Fatalf("written: %v, %v", written, err)
			}
		}
		publish(true, nil, File{Stream: "a/b", Hide: []string{"/email"}}, File{Stream: "a/c", Hide: []string{"/x"}})
		select {
		case <-f.Known():
		case <-time.After(2 * time.Minute):
			t.Fatal("it never knows")
		}
		hides("a/b", `["/email"]`)
		publish(false, nil, File{Stream: "a/c", Hide: []string{"/x"}}, File{Stream: "a/b", Hide: []string{"/email"}})
		publish(true, nil, File{Stream: "a/b", Hide: []string{"/phone"}}, File{Stream: "a/c", Hide: []string{"/x"}})
		hides("a/b", `["/phone"]`)
		// The file of a/b is broken, and nobody has a good version: what was hidden stays. That of a/c is removed.
		publish(true, []string{"a/b"})
		hides("a/c", `[]`)
		hides("a/b", `["/phone"]`)
	})
}

func TestWithoutAnyValidatorFollowerWaitsAWhileOnly(t *testing.T) {
	c := config.DefaultShared().Broker
	c.Addresses, c.TopicPrefix, c.Partitions = []string{testrig.Embedded(t)}, testrig.Prefix(t), 1
	if err := broker.EnsureTopics(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	f := follow(t, c, func(f *Follower) { f.patience = 10 * time.Millisecond })
	select {
	case <-f.Known():
	case <-time.After(2 * time.Minute):
		t.Fatal("it waits for ever")
	}
	if !f.For("a/b").None() {
		t.Error("something is hidden")
	}
}
