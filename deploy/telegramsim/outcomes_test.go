package telegramsim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/config"
	"datawatch/pkg/telegram"
)

// spoiler changes requests on their way, where a test says so: what a client of ours would never send.
type spoiler struct {
	next  http.Handler
	spoil atomic.Pointer[func(w http.ResponseWriter, r *http.Request) (answered bool)]
}

func (s *spoiler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if spoil := s.spoil.Load(); spoil != nil && (*spoil)(w, r) {
		return
	}
	s.next.ServeHTTP(w, r)
}

// cutTag takes the end of a bold text off, as a message cut in its middle has none.
func cutTag(_ http.ResponseWriter, r *http.Request) bool {
	body, _ := io.ReadAll(r.Body)
	body = bytes.ReplaceAll(body, []byte(`\u003c/b\u003e`), nil)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return false
}

func refuseAll(w http.ResponseWriter, _ *http.Request) bool {
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, `{"ok":false,"error_code":400,"description":"Bad Request: something that nobody foresaw"}`)
	return true
}

// talk is a client of datawatch's in front of the simulator, with a message in each of its chats.
type talk struct {
	*Server
	*telegram.Client
	spoiler  *spoiler
	registry *prometheus.Registry
	reported []string
	sent     telegram.Ref // into the forum's topic
}

func newTalk(t *testing.T) *talk {
	t.Helper()
	k := &talk{registry: prometheus.NewRegistry()}
	k.Server = New(Options{Token: testToken, Limits: Limits{Off: true}, Chats: []Chat{
		{ID: forum, Title: "Shop alerts", Forum: true, Topics: []Topic{{ID: topic, Title: "payments"}}}, {ID: group, Title: "Data owners"},
	}})
	t.Cleanup(k.Server.Close)
	k.spoiler = &spoiler{next: k.Server}
	web := httptest.NewServer(k.spoiler)
	t.Cleanup(web.Close)
	var err error
	k.Client, err = telegram.New(telegram.Options{
		Config: config.Telegram{Token: testToken, APIURL: web.URL}, Service: "test", Metrics: k.registry, Log: slog.New(slog.DiscardHandler),
		Report: func(err error) {
			if err != nil {
				k.reported = append(k.reported, err.Error())
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := k.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	if k.sent, err = k.Send(t.Context(), telegram.Chat{ID: forum, Thread: topic}, said("before"), telegram.Warning); err != nil {
		t.Fatal(err)
	}
	return k
}

func said(text string) telegram.Message {
	return telegram.NewMessage(telegram.Line(telegram.Bold(text), telegram.Plain(" & more")))
}

// attempts are what came of them, by the metric's label: only those that there were.
func (k *talk) attempts(t *testing.T) string {
	t.Helper()
	families, err := k.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range families {
		if f.GetName() != "datawatch_test_telegram_sends_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if n := m.GetCounter().GetValue(); n > 0 {
				out = append(out, fmt.Sprintf("%s %v", m.GetLabel()[0].GetValue(), n))
			}
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// TestEveryFailureOfTelegramIsHandledAndCounted: what the caller hears, where the message comes to stand, and what the metric
// says of it. The first ok of each is the message before.
func TestEveryFailureOfTelegramIsHandledAndCounted(t *testing.T) {
	inTopic, inGroup := telegram.Chat{ID: forum, Thread: topic}, telegram.Chat{ID: group}
	const moved = int64(-1_000_000_004_001)
	fault := func(f Fault) func(*talk) error { return func(k *talk) error { return k.Misbehave(f) } }
	spoil := func(how func(http.ResponseWriter, *http.Request) bool) func(*talk) error {
		return func(k *talk) error { k.spoiler.spoil.Store(&how); return nil }
	}
	send := func(to telegram.Chat) func(context.Context, *talk) error {
		return func(ctx context.Context, k *talk) error {
			_, err := k.Send(ctx, to, said("now"), telegram.Critical)
			return err
		}
	}
	edit := func(text string, other int) func(context.Context, *talk) error {
		return func(ctx context.Context, k *talk) error {
			return k.Edit(ctx, telegram.Ref{Chat: inTopic, ID: k.sent.ID + other}, said(text), telegram.Critical)
		}
	}
	isRefused := func(err error) bool {
		var refused *telegram.RefusedError
		return errors.As(err, &refused) && !refused.Remedy.IsZero()
	}
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	well := func(err error) bool { return err == nil }
	for _, c := range []struct {
		name     string
		happens  func(*talk) error
		do       func(context.Context, *talk) error
		hears    func(error) bool
		attempts string
		stands   telegram.Chat // where the message comes to stand; none is nowhere
		times    int
		reported string
	}{
		{"the connection is cut", fault(Fault{Kind: Cut, Times: 1}), send(inTopic), well, "network 1, ok 2", inTopic, 1, ""},
		{"the answer is lost", fault(Fault{Kind: AnswerLost, Times: 1}), send(inTopic), well, "network 1, ok 2", inTopic, 2, ""}, // at least once
		{"a 502 page", fault(Fault{Kind: BadGateway, Times: 1}), send(inTopic), well, "ok 2, server 1", inTopic, 1, ""},
		{"500 in JSON", fault(Fault{Kind: InternalError, Times: 1}), send(inTopic), well, "ok 2, server 1", inTopic, 1, ""},
		{"401", fault(Fault{Kind: TokenRevoked}), send(inTopic), isRefused, "ok 1, refused 1", telegram.Chat{}, 0, "check telegram.token"},
		{"403", fault(Fault{Kind: Kick, ChatID: group}), send(inGroup), isRefused, "ok 1, refused 1", telegram.Chat{}, 0, "add the bot to the chat"},
		{"chat not found", nil, send(telegram.Chat{ID: -999}), isRefused, "ok 1, refused 1", telegram.Chat{}, 0, "check the chat's id"},
		{"migrated to a supergroup", fault(Fault{Kind: Migrate, ChatID: group, NewChatID: moved}), send(inGroup), well, "migrated 1, ok 2", telegram.Chat{ID: moved}, 1, ""},
		{"the thread is gone", fault(Fault{Kind: DeleteTopic, ChatID: forum, ThreadID: topic}), send(inTopic), well, "ok 2, thread_gone 1", telegram.Chat{ID: forum}, 1, ""},
		{"the message to edit is gone", nil, edit("now", 1000), is(telegram.ErrMessageGone), "message_gone 1, ok 1", telegram.Chat{}, 0, ""},
		{"not modified", nil, edit("before", 0), well, "not_modified 1, ok 1", telegram.Chat{}, 0, ""},
		{"entities not parsed", spoil(cutTag), send(inTopic), well, "ok 2, unparsed 1", inTopic, 1, ""},
		{"429", fault(Fault{Kind: TooManyRequests, ChatID: forum, RetryAfter: 1}), send(inTopic), well, "flood 1, ok 2", inTopic, 1, ""},
		{"what nobody foresaw", spoil(refuseAll), send(inTopic), is(telegram.ErrRejected), "ok 1, rejected 1", telegram.Chat{}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := newTalk(t)
			if c.happens != nil {
				if err := c.happens(k); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			if err := c.do(ctx, k); !c.hears(err) {
				t.Errorf("the caller hears %v", err)
			}
			if got := k.attempts(t); got != c.attempts {
				t.Errorf("counted: %s, want %s", got, c.attempts)
			}
			stand := 0
			for _, chat := range k.Chats() {
				for _, m := range k.Messages(chat.ID) {
					if m.FromBot && m.Text == "now & more" {
						stand++
						if m.ChatID != c.stands.ID || m.ThreadID != int64(c.stands.Thread) {
							t.Errorf("it stands in chat %d, thread %d", m.ChatID, m.ThreadID)
						}
					}
				}
			}
			if stand != c.times {
				t.Errorf("it stands there %d times, want %d", stand, c.times)
			}
			if got := strings.Join(k.reported, "; "); c.reported == "" && got != "" || !strings.Contains(got, c.reported) {
				t.Errorf("reported %q, want %q", got, c.reported)
			}
			// The one that meets the flood is all: the next waits as long as it was told to.
			if n := k.Stats().SentWhileFlooded; n > 1 || n > 0 && c.name != "429" {
				t.Errorf("sent %d times before Telegram's wait was over", n)
			}
		})
	}
}
