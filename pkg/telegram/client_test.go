package telegram

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const sends = "datawatch_test_telegram_sends_total"

func TestBurstToAGroupKeepsToTelegramsLimitsAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop(t)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				if _, err := r.Send(t.Context(), Chat{ID: -5}, text(fmt.Sprintf("%02d", i)), Feed); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // so that they are queued in this order
		}
		wg.Wait()
		if n := len(r.api.of("sendMessage", 429)); n > 0 {
			t.Errorf("%d times too much", n)
		}
		if took := time.Since(began); took < 3*time.Minute || took > 5*time.Minute {
			t.Errorf("60 messages took %s", took)
		}
		got := r.api.of("sendMessage", 200)
		if !slices.IsSortedFunc(got, func(a, b call) int { return strings.Compare(a.params["text"], b.params["text"]) }) || len(got) != 60 {
			t.Errorf("order: %v", got)
		}
	})
}

func TestAllChatsTogetherKeepToTelegramsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop(t)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() { _, _ = r.Send(t.Context(), Chat{ID: int64(i + 1)}, text("x"), Warning) })
		}
		wg.Wait()
		if ok, flood := len(r.api.of("sendMessage", 200)), len(r.api.of("sendMessage", 429)); ok != 100 || flood != 0 {
			t.Errorf("%d sent, %d too much", ok, flood)
		}
	})
}

func TestCriticalGoesFirstAndFindsRoomInABusyGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop(t)
		ctx, cancel := context.WithCancel(t.Context())
		for range 40 {
			go func() { _, _ = r.Send(ctx, Chat{ID: -5}, text("feed"), Feed) }()
		}
		time.Sleep(20 * time.Second) // the feed has used up its share of this minute
		began := time.Now()
		if _, err := r.Send(t.Context(), Chat{ID: -5}, text("alert"), Critical); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 1100*time.Millisecond {
			t.Errorf("an alert waited %s behind the feed", took)
		}
		cancel()
		synctest.Wait()
		if n := r.count(t, "datawatch_test_telegram_queue_depth", ""); n != 0 {
			t.Errorf("%v still wait", n)
		}
	})
}

func TestFailuresThatPassAreTriedAgain(t *testing.T) {
	cases := map[string]struct {
		reply  reply
		result string
		atMost time.Duration
		atLest time.Duration
	}{
		"flood":          {reply{code: 429, text: "Too Many Requests: retry after 7", parameters: map[string]any{"retry_after": 7}}, "flood", 8 * time.Second, 7 * time.Second},
		"server error":   {reply{code: 500, text: "Internal Server Error"}, "server", time.Second, 0},
		"502 page":       {reply{code: 502, page: "<html>bad gateway</html>"}, "server", time.Second, 0},
		"half an answer": {reply{code: 200, page: `{"ok":true,"result":{"mess`}, "server", time.Second, 0},
		"cut connection": {reply{err: errors.New("connection reset by peer")}, "network", time.Second, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				defer r.stop(t)
				r.api.plan("sendMessage", c.reply)
				began := time.Now()
				ref, err := r.Send(t.Context(), Chat{ID: 5}, text("x"), Critical)
				if err != nil || ref != (Ref{Chat{ID: 5}, 1}) {
					t.Fatal(ref, err)
				}
				if took := time.Since(began); took > c.atMost || took < c.atLest {
					t.Errorf("took %s", took)
				}
				if r.count(t, sends, c.result) != 1 || r.count(t, sends, "ok") != 1 {
					t.Error("the metric must tell both attempts")
				}
			})
		})
	}
}

func TestLongOutageIsToldAndEndsWithTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop(t)
		r.api.always = &reply{err: errors.New("no route to host")}
		go func() {
			time.Sleep(10 * time.Minute)
			r.api.mu.Lock()
			r.api.always = nil
			r.api.mu.Unlock()
		}()
		if _, err := r.Send(t.Context(), Chat{ID: 5}, text("x"), Critical); err != nil {
			t.Fatal(err)
		}
		if n := len(r.api.of("sendMessage", 0)); n > 60 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		if len(r.reports) != 2 || !strings.Contains(r.reports[0], "no route to host") || r.reports[1] != "" {
			t.Errorf("reports: %q", r.reports)
		}
	})
}

func TestChatThatCannotBeReachedIsAClearError(t *testing.T) {
	cases := map[string]reply{
		"check telegram.token":    {code: 401, text: "Unauthorized"},
		"add the bot to the chat": {code: 403, text: "Forbidden: bot was kicked from the supergroup chat"},
		"check the chat's id":     {code: 400, text: "Bad Request: chat not found"},
		"let the bot write":       {code: 400, text: "Bad Request: not enough rights to send text messages to the chat"},
	}
	for remedy, planned := range cases {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			defer r.stop(t)
			r.api.plan("sendMessage", planned)
			_, err := r.Send(t.Context(), Chat{ID: -5}, text("x"), Critical)
			var wrong *RefusedError
			if !errors.As(err, &wrong) || !strings.Contains(wrong.Remedy.String(), remedy) || wrong.Chat.ID != -5 {
				t.Errorf("got %v, want the remedy %q", err, remedy)
			}
			if _, err := r.Send(t.Context(), Chat{ID: 6}, text("x"), Critical); err != nil {
				t.Error(err)
			}
			if len(r.reports) != 1 || r.reports[0] == "" {
				t.Errorf("another chat's success must not hide it: %q", r.reports)
			}
			if _, err := r.Send(t.Context(), Chat{ID: -5}, text("x"), Critical); err != nil || len(r.reports) != 2 || r.reports[1] != "" {
				t.Errorf("%v, reports %q", err, r.reports)
			}
		})
	}
}

func TestMigratedGroupIsFollowedAndRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop(t)
		r.api.plan("sendMessage", reply{
			code: 400, text: "Bad Request: group chat was upgraded to a supergroup chat", parameters: map[string]any{"migrate_to_chat_id": -1007},
		})
		for range 2 {
			ref, err := r.Send(t.Context(), Chat{ID: -7}, text("x"), Critical)
			if err != nil || ref.Chat.ID != -1007 {
				t.Fatal(ref, err)
			}
		}
		var chats []string
		for _, c := range r.api.of("sendMessage", 0) {
			chats = append(chats, c.params["chat_id"])
		}
		if got, want := fmt.Sprint(chats), "[-7 -1007 -1007]"; got != want {
			t.Errorf("sent to %s, want %s", got, want)
		}
		if !strings.Contains(r.log.String(), "new_chat=-1007") {
			t.Error("the log must tell the new id")
		}
	})
}

func TestMessageToAThreadThatIsGoneComesWithoutIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop(t)
		r.api.plan("sendMessage", reply{code: 400, text: "Bad Request: message thread not found"})
		for range 2 {
			if ref, err := r.Send(t.Context(), Chat{ID: -7, Thread: 3}, text("x"), Critical); err != nil || ref.Chat.Thread != 0 {
				t.Fatal(ref, err)
			}
		}
		var threads []string
		for _, c := range r.api.of("sendMessage", 0) {
			threads = append(threads, c.params["message_thread_id"])
		}
		if got, want := fmt.Sprintf("%q", threads), `["3" "" ""]`; got != want {
			t.Errorf("threads %s, want %s", got, want)
		}
	})
}

func TestMessageWhoseFormattingIsRefusedComesAsPlainText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop(t)
		r.api.plan("sendMessage", reply{code: 400, text: "Bad Request: can't parse entities: Unsupported start tag"})
		if _, err := r.Send(t.Context(), Chat{ID: 5}, NewMessage(Line(Bold("a<b"))), Critical); err != nil {
			t.Fatal(err)
		}
		last := r.api.of("sendMessage", 200)[0].params
		if last["text"] != "a<b" || last["parse_mode"] != "" {
			t.Errorf("sent %v", last)
		}
	})
}

func TestEditThatChangesNothingIsSuccessAndOneOfNothingIsToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop(t)
		ref, err := r.Send(t.Context(), Chat{ID: 5}, text("x"), Critical)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Edit(t.Context(), ref, text("x"), Critical); err != nil {
			t.Error(err)
		}
		if err := r.Edit(t.Context(), ref, text("y"), Critical); err != nil || r.api.texts[ref.ID] != "y" {
			t.Error(err)
		}
		if err := r.Edit(t.Context(), Ref{Chat{ID: 5}, 99}, text("z"), Critical); !errors.Is(err, ErrMessageGone) {
			t.Errorf("got %v", err)
		}
		if _, err := r.Send(t.Context(), Chat{ID: 5}, text("  "), Critical); !errors.Is(err, ErrRejected) {
			t.Errorf("an empty message: %v", err)
		}
	})
}

func TestWaitingEditsOfOneMessageAreMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop(t)
		ref, err := r.Send(t.Context(), Chat{ID: -5}, text("v0"), Feed)
		if err != nil {
			t.Fatal(err)
		}
		r.api.plan("editMessageText", reply{code: 502, page: "<html>"})
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				if err := r.Edit(t.Context(), ref, text(fmt.Sprintf("v%d", i+1)), Feed); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if n := len(r.api.of("editMessageText", 200)); n > 5 {
			t.Errorf("%d edits", n)
		}
		if r.api.texts[ref.ID] != "v30" {
			t.Errorf("the message ends as %q", r.api.texts[ref.ID])
		}
		if n := r.count(t, "datawatch_test_telegram_queue_depth", ""); n != 0 {
			t.Errorf("%v still wait", n)
		}
	})
}

func TestEditThatFailedNeverReplacesANewerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop(t)
		ref, err := r.Send(t.Context(), Chat{ID: 5}, text("v0"), Feed)
		if err != nil {
			t.Fatal(err)
		}
		r.api.plan("editMessageText", reply{code: 502, page: "<html>", after: time.Second})
		var wg sync.WaitGroup
		for text, p := range map[string]Priority{"old": Feed, "new": Critical} {
			wg.Go(func() {
				if text == "new" {
					time.Sleep(500 * time.Millisecond) // the old one is on its way
				}
				if err := r.Edit(t.Context(), ref, NewMessage(Line(Plain(text))), p); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute)
		if r.api.texts[ref.ID] != "new" {
			t.Errorf("the message ends as %q", r.api.texts[ref.ID])
		}
	})
}

func TestStopLetsWhatWaitsGoOutFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for range 8 {
			go func() {
				if _, err := r.Send(t.Context(), Chat{ID: 5}, text("x"), Feed); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		r.stop(t)
		if n := len(r.api.of("sendMessage", 200)); n != 8 {
			t.Errorf("%d sent", n)
		}
		if _, err := r.Send(t.Context(), Chat{ID: 5}, text("x"), Feed); !errors.Is(err, ErrStopped) {
			t.Errorf("after the stop: %v", err)
		}
	})
}

func TestStopGivesUpWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.api.always = &reply{code: 502, page: "<html>"}
		failed := make(chan error, 1)
		go func() {
			_, err := r.Send(t.Context(), Chat{ID: 5}, text("x"), Feed)
			failed <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := r.Stop(ctx); err == nil || !strings.Contains(err.Error(), "1 telegram message") {
			t.Errorf("got %v", err)
		}
		if err := <-failed; !errors.Is(err, ErrStopped) {
			t.Errorf("got %v", err)
		}
	})
}

func TestMessageThatNobodyWaitsForAnyMoreIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop(t)
		r.api.plan("sendMessage", reply{code: 429, text: "Too Many Requests", parameters: map[string]any{"retry_after": 60}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Send(ctx, Chat{ID: 5}, text("x"), Feed); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.Sleep(2 * time.Minute)
		if n := len(r.api.of("sendMessage", 200)); n != 0 {
			t.Error("it was sent all the same")
		}
	})
}

func TestDocumentIsSentWithItsCaption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop(t)
		r.api.plan("sendDocument", reply{code: 502, page: "<html>"})
		d := Document{Name: "all.jsonl", Content: []byte("{}\n"), Caption: NewMessage(Line(Bold("all <of> it")))}
		if _, err := r.SendDocument(t.Context(), Chat{ID: 5, Thread: 2}, d, Feed); err != nil {
			t.Fatal(err)
		}
		got := r.api.of("sendDocument", 200)[0].params
		if got["document"] != "all.jsonl" || got["caption"] != "<b>all &lt;of&gt; it</b>" || got["message_thread_id"] != "2" {
			t.Errorf("got %v", got)
		}
	})
}

func TestInstanceIsTheFirstLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Instance = "staging" })
		defer r.stop(t)
		if _, err := r.Send(t.Context(), Chat{ID: 5}, text("x"), Feed); err != nil || r.api.texts[1] != "staging\nx" {
			t.Error(r.api.texts, err)
		}
	})
}

func TestWithoutATokenMessagesGoToTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Config.Token = "" })
		defer r.stop(t)
		ref, err := r.Send(t.Context(), Chat{}, NewMessage(Line(Bold("a <b>"), Code("1"))), Feed)
		if err != nil || ref.ID == 0 || !r.LogsOnly() {
			t.Fatal(ref, err)
		}
		if err := r.Edit(t.Context(), ref, text("changed"), Feed); err != nil {
			t.Error(err)
		}
		if out := r.log.String(); !strings.Contains(out, `text="a <b>1"`) || !strings.Contains(out, "text=changed") {
			t.Error(out)
		}
		if r.count(t, sends, "logged") != 2 {
			t.Error("the metric must tell")
		}
	})
}
