package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
)

func TestMain(m *testing.M) { testrig.Main(m) }

// listener writes down what it hears.
type listener struct {
	heard chan string
	stop  func()
}

func listen(t *testing.T, c config.Broker, fail error) *listener {
	t.Helper()
	l := &listener{heard: make(chan string, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Listen(ctx, Options{Broker: c, Name: "test", Log: slog.New(slog.DiscardHandler)}, telegram.Handlers{
			Command: func(_ context.Context, c telegram.Command) error {
				l.heard <- fmt.Sprintf("%d %s /%s %s in %d/%d to %d", c.Update, c.User.Name, c.Name, c.Args, c.Message.Chat.ID, c.Message.Chat.Thread, c.ReplyTo)
				return fail
			},
			Press: func(_ context.Context, p telegram.Press) (string, error) {
				if p.Data == "panic" {
					panic("on purpose")
				}
				l.heard <- fmt.Sprintf("%d %s presses %s of %d", p.Update, p.User.Name, p.Data, p.Message.ID)
				return "", fail
			},
		})
	}()
	l.stop = func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Listen returned %v", err)
		}
	}
	return l
}

func (l *listener) hears(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-l.heard:
		if got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	case <-time.After(2 * time.Minute):
		t.Fatalf("%q was not heard", want)
	}
}

// What is done while nobody listens is heard by the next listener, in its order, and what failed isn't heard again.
func TestListenerHearsEverythingFromItsFirstTimeOn(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c := config.DefaultShared().Broker
		c.Addresses, c.TopicPrefix = strings.Split(addr, ","), testrig.Prefix(t)
		if err := broker.EnsureTopics(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		topic := broker.TopicsOf(c.TopicPrefix).Control
		p, err := broker.OpenPublisher(t.Context(), c, c.TopicPrefix+"-poller")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		publish := func(records ...broker.Record) {
			t.Helper()
			if err := p.Publish(t.Context(), records); err != nil {
				t.Fatal(err)
			}
		}
		linh := telegram.User{ID: 1, Name: "@linh"}
		at := telegram.Ref{Chat: telegram.Chat{ID: -5, Thread: 3}, ID: 77}
		press := func(n int, data string) broker.Record {
			return PressRecord(topic, telegram.Press{Update: n, Message: at, User: linh, Data: data}, time.Now())
		}
		publish(press(1, "before anybody listened"))
		first := listen(t, c, errors.New("handled badly"))
		testrig.Eventually(t, 30*time.Second, func() error {
			s, err := broker.NewScanner(c, "test")
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			state, err := s.State(t.Context(), broker.TopicsOf(c.TopicPrefix).State, placeKey("test"))
			if err == nil && len(state) == 0 {
				err = errors.New("the listener has no place yet")
			}
			return err
		})
		publish(press(2, "panic"), press(3, "ack k3f9a1"), broker.Record{Topic: topic, Key: []byte("other"), Value: []byte(`{"kind":"snapshot"}`)})
		first.hears(t, "3 @linh presses ack k3f9a1 of 77")
		publish(CommandRecord(topic, telegram.Command{Update: 4, Message: at, User: linh, Name: "mute", Args: "k3f9a1 3d", ReplyTo: 9}, time.Now()))
		first.hears(t, "4 @linh /mute k3f9a1 3d in -5/3 to 9")
		// Its place is kept behind the handler; the next listener begins there.
		testrig.Eventually(t, 30*time.Second, func() error { return placed(t, c, topic) })
		first.stop()
		publish(press(5, "while nobody listens"))
		second := listen(t, c, nil)
		second.hears(t, "5 @linh presses while nobody listens of 77")
		second.stop()
	})
}

// placed tells nil when the listener's place is behind the last record.
func placed(t *testing.T, c config.Broker, topic string) error {
	s, err := broker.NewScanner(c, "test")
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	end, err := s.End(topic, 0)
	if err != nil {
		return err
	}
	next, err := begin(t.Context(), Options{Broker: c, Name: "test"}, broker.TopicsOf(c.TopicPrefix), func(int64) error { return nil })
	if err == nil && next < end-1 { // the transaction's marker is behind the record
		err = fmt.Errorf("the listener is at %d of %d", next, end)
	}
	return err
}
