package telegram

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"datawatch/pkg/config"
)

func messageUpdate(id int, chat, user int64, text string) map[string]any {
	return map[string]any{"update_id": id, "message": map[string]any{
		"message_id": id, "text": text, "message_thread_id": 4,
		"chat": map[string]any{"id": chat}, "from": map[string]any{"id": user, "username": "linh"},
	}}
}

func pressUpdate(id int, chat, user int64, data string) map[string]any {
	return map[string]any{"update_id": id, "callback_query": map[string]any{
		"id": fmt.Sprint("cb", id), "data": data, "from": map[string]any{"id": user, "first_name": "Linh", "last_name": "Tran"},
		"message": map[string]any{"message_id": 12, "chat": map[string]any{"id": chat}},
	}}
}

func withChats(o *Options) {
	o.Config.Alerts, o.Config.Allow, o.Config.Users = config.Chat{ID: -5}, []int64{9}, []int64{42}
}

// poll runs the poller over updates and returns what the handlers saw.
func poll(t *testing.T, r *rig, h Handlers, updates ...map[string]any) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Poll(ctx, h) }()
	for _, u := range updates {
		r.api.update(u)
	}
	time.Sleep(5 * time.Minute)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Poll returned %v", err)
	}
}

func TestCommandsAndButtonsOfThoseAllowedAreHeardInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, withChats)
		defer r.stop(t)
		var heard []string
		poll(t, r, Handlers{
			Command: func(_ context.Context, c Command) error {
				heard = append(heard, fmt.Sprintf("%d /%s %q by %s in %d:%d", c.Update, c.Name, c.Args, c.User.Name, c.Message.Chat.ID, c.Message.Chat.Thread))
				return nil
			},
			Press: func(_ context.Context, p Press) (string, error) {
				verb, about := p.Action()
				heard = append(heard, fmt.Sprintf("%d %s %v by %s on %d", p.Update, verb, about, p.User.Name, p.Message.ID))
				return "done <b>", nil
			},
		},
			messageUpdate(100, -5, 42, "/Follow@Datawatch_bot  orders\nuser_id=42 "),
			messageUpdate(101, -5, 42, "/follow@other_bot orders"),
			messageUpdate(102, -5, 43, "/status"),
			messageUpdate(103, -6, 42, "/status"),
			pressUpdate(104, 9, 42, Action("ack", "k3f9a1")),
			messageUpdate(105, 9, 42, "hello"),
		)
		want := []string{
			`100 /follow "orders\nuser_id=42" by @linh in -5:4`,
			`104 ack [k3f9a1] by Linh Tran on 12`,
			`105 / "hello" by @linh in 9:4`,
		}
		if !slices.Equal(heard, want) {
			t.Errorf("heard\n%s\nwant\n%s", strings.Join(heard, "\n"), strings.Join(want, "\n"))
		}
		answers := r.api.of("answerCallbackQuery", 200)
		if len(answers) != 1 || answers[0].params["callback_query_id"] != "cb104" || answers[0].params["text"] != "done <b>" {
			t.Errorf("answers: %v", answers)
		}
		if ignored := r.count(t, "datawatch_test_telegram_updates_total", "ignored"); ignored != 3 {
			t.Errorf("%v ignored", ignored)
		}
		if polls := r.api.of("getUpdates", 200); polls[len(polls)-1].params["offset"] != "106" {
			t.Errorf("the last offset is %s", polls[len(polls)-1].params["offset"])
		}
	})
}

func TestStrangersAreHeardWhereSomebodyWantsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, withChats)
		defer r.stop(t)
		var heard []string
		poll(t, r, Handlers{
			Command: func(_ context.Context, c Command) error {
				t.Errorf("/%s was taken for one of ours", c.Name)
				return nil
			},
			Stranger: func(_ context.Context, c Command) error {
				heard = append(heard, fmt.Sprintf("/%s %s in %d", c.Name, c.Args, c.Message.Chat.ID))
				if c.Name != "pair" {
					return ErrIgnored
				}
				return nil
			},
		},
			messageUpdate(1, -6, 42, "/pair ABCD"), messageUpdate(2, -6, 43, "/pair ABCD"), messageUpdate(3, -6, 42, "hello"), messageUpdate(4, -6, 42, "/status"),
		)
		if want := []string{"/pair ABCD in -6", "/status  in -6"}; !slices.Equal(heard, want) {
			t.Errorf("heard %q", heard)
		}
		if ignored := r.count(t, "datawatch_test_telegram_updates_total", "ignored"); ignored != 3 {
			t.Errorf("%v ignored", ignored)
		}
	})
}

func TestHandlerThatPanicsOrFailsDoesNotEndThePoller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, withChats)
		defer r.stop(t)
		calls := 0
		poll(t, r, Handlers{Press: func(context.Context, Press) (string, error) {
			calls++
			if calls == 1 {
				panic("boom")
			}
			return "", errors.New("no")
		}}, pressUpdate(1, -5, 42, "x"), pressUpdate(2, -5, 42, "x"))
		if calls != 2 || r.count(t, "datawatch_test_telegram_updates_total", "failed") != 2 {
			t.Errorf("%d calls", calls)
		}
		if n := len(r.api.of("answerCallbackQuery", 200)); n != 2 {
			t.Errorf("%d buttons answered: the others go on spinning", n)
		}
	})
}

func TestPollerDoesNotHammerATelegramThatRefuses(t *testing.T) {
	refusals := map[string]reply{
		"409":       {code: 409, text: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"},
		"401":       {code: 401, text: "Unauthorized"},
		"502 page":  {code: 502, page: "<html>"},
		"cut":       {err: errors.New("connection reset by peer")},
		"flood":     {code: 429, text: "Too Many Requests: retry after 30", parameters: map[string]any{"retry_after": 30}},
		"not there": {code: 404, text: "Not Found"},
	}
	for name, refusal := range refusals {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, withChats)
				defer r.stop(t)
				for range 1000 {
					r.api.plan("getUpdates", refusal)
				}
				poll(t, r, Handlers{})
				if n := len(r.api.of("getUpdates", 0)); n < 2 || n > 60 {
					t.Errorf("%d polls in five minutes", n)
				}
			})
		})
	}
}

func TestPollerHearsAMigratedGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, withChats)
		defer r.stop(t)
		r.api.plan("sendMessage", reply{
			code: 400, text: "Bad Request: group chat was upgraded to a supergroup chat", parameters: map[string]any{"migrate_to_chat_id": -1005},
		})
		if _, err := r.Send(t.Context(), Chat{ID: -5}, text("x"), Feed); err != nil {
			t.Fatal(err)
		}
		heard := 0
		poll(t, r, Handlers{Command: func(context.Context, Command) error { heard++; return nil }}, messageUpdate(1, -1005, 42, "/status"))
		if heard != 1 {
			t.Error("not heard")
		}
	})
}
