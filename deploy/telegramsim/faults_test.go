package telegramsim

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	tele "gopkg.in/telebot.v3"
)

func realLimits(o *Options) { o.Limits = Limits{} }

func (r *rig) retryAfter(chat int64) int {
	r.t.Helper()
	_, err := r.bot.Send(tele.ChatID(chat), "x")
	var flood tele.FloodError
	if err != nil && !errors.As(err, &flood) {
		r.t.Fatal(err)
	}
	return flood.RetryAfter
}

func TestChatTakesOneASecondAndASmallBurst(t *testing.T) {
	r := newRig(t, realLimits)
	for i := range 5 {
		if wait := r.retryAfter(private); wait != 0 {
			t.Fatalf("message %d of the burst: retry after %d", i+1, wait)
		}
	}
	if wait := r.retryAfter(private); wait != 1 {
		t.Fatalf("retry after %d, want 1", wait)
	}
	r.clock.pass(time.Second)
	for range 30 {
		if wait := r.retryAfter(private); wait != 0 {
			t.Fatalf("at one a second: retry after %d", wait)
		}
		r.clock.pass(time.Second)
	}
}

func TestGroupTakesTwentyAMinuteEditsIncluded(t *testing.T) {
	r := newRig(t, realLimits)
	m := r.send(group, "0")
	for i := range 19 {
		r.clock.pass(time.Second)
		if _, err := r.bot.Edit(m, strings.Repeat("x", i+1)); err != nil {
			t.Fatalf("edit %d: %v", i+1, err)
		}
	}
	r.clock.pass(time.Second)
	if wait := r.retryAfter(group); wait != 40 {
		t.Errorf("retry after %d, want 40: until the first is a minute old", wait)
	}
	if wait := r.retryAfter(private); wait != 0 {
		t.Errorf("another chat waits %d too", wait)
	}
	r.clock.pass(40 * time.Second)
	if wait := r.retryAfter(group); wait != 0 {
		t.Errorf("retry after %d when the wait is over", wait)
	}
}

func TestSendingOnWhileFloodedMakesItWorse(t *testing.T) {
	r := newRig(t, realLimits)
	if err := r.Misbehave(Fault{Kind: TooManyRequests, ChatID: group, RetryAfter: 3}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{4, 5, 6} {
		if wait := r.retryAfter(group); wait != want {
			t.Errorf("try %d: retry after %d, want %d", i+1, wait, want)
		}
	}
	if s := r.Stats(); s.Floods != 3 || s.SentWhileFlooded != 3 {
		t.Errorf("counted %+v", s)
	}
	r.clock.pass(6 * time.Second)
	if wait := r.retryAfter(group); wait != 0 {
		t.Errorf("retry after %d when the wait is over", wait)
	}
}

func TestAllChatsTogetherTakeThirtyASecond(t *testing.T) {
	r := newRig(t, func(o *Options) {
		realLimits(o)
		o.Limits.ChatBurst, o.Limits.GroupPerMinute = 100, 100
	})
	for i := range 30 {
		if wait := r.retryAfter([]int64{group, forum, private}[i%3]); wait != 0 {
			t.Fatalf("message %d: retry after %d", i+1, wait)
		}
	}
	for _, chat := range []int64{channel, private} {
		if r.retryAfter(chat) == 0 {
			t.Errorf("chat %d takes more", chat)
		}
	}
}

func TestGroupBecomesASupergroup(t *testing.T) {
	r := newRig(t, nil)
	if err := r.Misbehave(Fault{Kind: Migrate, ChatID: group, NewChatID: -1001000000777}); err != nil {
		t.Fatal(err)
	}
	_, err := r.bot.Send(tele.ChatID(group), "to the old id")
	var moved tele.GroupError
	if !errors.As(err, &moved) || moved.MigratedTo != -1001000000777 {
		t.Fatalf("got %v", err)
	}
	r.send(moved.MigratedTo, "to the new id")
	if got := r.last(moved.MigratedTo); got.Text != "to the new id" {
		t.Errorf("shown %+v", got)
	}
	chat, err := r.bot.ChatByID(moved.MigratedTo)
	if err != nil || chat.Type != tele.ChatSuperGroup || chat.Title != "Data owners" {
		t.Errorf("getChat: %+v, %v", chat, err)
	}
}

func TestBotThatIsKickedHearsIt(t *testing.T) {
	r := newRig(t, nil)
	for chat, want := range map[int64]error{
		forum: tele.ErrKickedFromSuperGroup, group: tele.ErrKickedFromGroup,
		channel: tele.ErrKickedFromChannel, private: tele.ErrBlockedByUser,
	} {
		if err := r.Misbehave(Fault{Kind: Kick, ChatID: chat}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.bot.Send(tele.ChatID(chat), "x"); !errors.Is(err, want) {
			t.Errorf("chat %d: %v, want %v", chat, err, want)
		}
	}
	for _, u := range r.updates(nil) {
		if u.Member == nil || u.Member.New.Status != "kicked" {
			t.Errorf("update %+v", u)
		}
	}
	if err := r.Misbehave(Fault{Kind: Readmit, ChatID: forum}); err != nil {
		t.Fatal(err)
	}
	r.send(forum, "back")
}

func TestTopicThatIsGoneIsNotFound(t *testing.T) {
	r := newRig(t, nil)
	r.send(forum, "x", &tele.SendOptions{ThreadID: topic})
	if err := r.Misbehave(Fault{Kind: DeleteTopic, ChatID: forum, ThreadID: topic}); err != nil {
		t.Fatal(err)
	}
	_, err := r.bot.Send(tele.ChatID(forum), "x", &tele.SendOptions{ThreadID: topic})
	if err == nil || !strings.Contains(err.Error(), "message thread not found") {
		t.Errorf("got %v", err)
	}
	r.send(forum, "without the topic")
}

func TestRequestsFailAsNetworksDo(t *testing.T) {
	tests := []struct {
		fault Fault
		want  string // in the client's error; empty: none
		sent  bool
	}{
		{Fault{Kind: BadGateway}, "invalid character '<'", false},
		{Fault{Kind: InternalError}, "Internal Server Error", false},
		{Fault{Kind: TokenRevoked}, "Unauthorized", false},
		{Fault{Kind: Cut}, "EOF", false},
		{Fault{Kind: AnswerLost}, "EOF", true},
		{Fault{Kind: Slow, Delay: time.Millisecond}, "", true},
		{Fault{Kind: Cut, Methods: []string{"getUpdates"}}, "", true},
		{Fault{Kind: Cut, ChatID: group}, "", true},
	}
	for _, tt := range tests {
		t.Run(string(tt.fault.Kind), func(t *testing.T) {
			r := newRig(t, nil)
			tt.fault.Times = 1
			if err := r.Misbehave(tt.fault); err != nil {
				t.Fatal(err)
			}
			_, err := r.bot.Send(tele.ChatID(private), "x")
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if sent := len(r.Messages(private)) == 1; sent != tt.sent {
				t.Errorf("sent: %v, want %v", sent, tt.sent)
			}
			r.Behave()
			r.send(private, "all is well again")
		})
	}
}

func TestSlowAnswerRunsIntoTheClientsTimeout(t *testing.T) {
	r := newRig(t, nil)
	if err := r.Misbehave(Fault{Kind: Slow, Delay: time.Minute}); err != nil {
		t.Fatal(err)
	}
	hurried := &http.Client{Timeout: 20 * time.Millisecond}
	_, err := hurried.Get(r.url + "/bot" + testToken + "/sendMessage?chat_id=-4001&text=x")
	if err == nil {
		t.Fatal("it answered")
	}
	if len(r.Messages(group)) != 0 {
		t.Error("it was sent although the client had left")
	}
}
