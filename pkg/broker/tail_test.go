package broker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"datawatch/pkg/testrig"
)

// following is a tail at work, and what it has read.
func following(t *testing.T, addr string) (publish func(value string), tail func(from map[int32]int64) <-chan string) {
	t.Helper()
	c, topics := ensured(t, addr)
	p := publisher(t, c, "tail")
	publish = func(value string) {
		t.Helper()
		if err := p.Publish(t.Context(), []Record{{Topic: topics.Control, Key: []byte("k"), Value: []byte(value)}}); err != nil {
			t.Fatal(err)
		}
	}
	tail = func(from map[int32]int64) <-chan string {
		ctx, cancel := context.WithCancel(t.Context())
		got, ended := make(chan string, 1000), make(chan error, 1)
		go func() {
			ended <- Tail(ctx, c, "test", topics.Control, from, slog.New(slog.DiscardHandler), func(r Record) error {
				got <- string(r.Value)
				return nil
			})
		}()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Tail returned %v", err)
			}
		})
		return got
	}
	return publish, tail
}

func await(t *testing.T, got <-chan string, want string, never string) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case value := <-got:
			if value == want {
				return
			}
			if value == never {
				t.Fatalf("%q was read", never)
			}
		case <-deadline:
			t.Fatalf("%q was not read", want)
		}
	}
}

func TestTailGivesWhatIsCommittedFromNowOn(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		publish, tail := following(t, addr)
		publish("before")
		got := tail(nil)
		// What is written before the tail has looked for the first time isn't read, so marks are written until one is.
		testrig.Eventually(t, 20*time.Second, func() error {
			publish("mark")
			select {
			case value := <-got:
				if value == "before" {
					t.Error("what was there before the call was read")
				}
				return nil
			case <-time.After(2 * tailPause):
				return errors.New("no record yet")
			}
		})
		publish("after")
		await(t, got, "after", "before")
	})
}

func TestTailBeginsWhereItIsTold(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		publish, tail := following(t, addr)
		for _, value := range []string{"first", "second", "third"} {
			publish(value) // and a marker of its transaction
		}
		await(t, tail(map[int32]int64{0: 0}), "first", "second")
		await(t, tail(map[int32]int64{0: 2}), "second", "first")
	})
}

// TestTailLeavesOutWhatWasWrittenBefore also where its transaction ends behind the first look: a broker may answer a commit before
// its partitions know of it.
func TestTailLeavesOutWhatWasWrittenBefore(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := ensured(t, addr)
		open, err := openProducer(t.Context(), c, "test", c.TopicPrefix+"-open", RecordLimit(c))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = open.close() }()
		record := func(value string) []Record {
			return []Record{{Topic: topics.Control, Key: []byte("k"), Value: []byte(value)}}
		}
		if err := errors.Join(open.async.BeginTxn(), open.send(record("before"))); err != nil {
			t.Fatal(err)
		}
		scanner, err := NewScanner(c, "test")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = scanner.Close() }()
		var got []string
		tail := tail{topic: topics.Control, next: map[int32]int64{}, each: func(r Record) error {
			got = append(got, string(r.Value))
			return nil
		}}
		look := func() {
			t.Helper()
			if err := tail.read(t.Context(), scanner, 0); err != nil {
				t.Fatal(err)
			}
		}
		look()
		look() // the transaction is still open
		if err := publisher(t, c, "test").Publish(t.Context(), record("after")); err != nil {
			t.Fatal(err)
		}
		if err := open.async.CommitTxn(); err != nil {
			t.Fatal(err)
		}
		testrig.Eventually(t, 20*time.Second, func() error {
			if look(); len(got) == 0 {
				return errors.New("nothing was read")
			}
			return nil
		})
		if !slices.Equal(got, []string{"after"}) {
			t.Errorf("%q was read", got)
		}
	})
}
