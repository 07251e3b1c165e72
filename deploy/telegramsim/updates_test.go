package telegramsim

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	tele "gopkg.in/telebot.v3"
)

type gotUpdate struct {
	ID      int64 `json:"update_id"`
	Message *struct {
		Text     string   `json:"text"`
		Entities []Entity `json:"entities"`
	} `json:"message"`
	Callback *struct {
		ID   string `json:"id"`
		Data string `json:"data"`
	} `json:"callback_query"`
	Member *struct {
		New struct {
			Status string `json:"status"`
		} `json:"new_chat_member"`
	} `json:"my_chat_member"`
}

func (r *rig) updates(params map[string]any) []gotUpdate {
	r.t.Helper()
	a := r.call("getUpdates", params)
	var got []gotUpdate
	if err := json.Unmarshal(a.Result, &got); err != nil {
		r.t.Fatalf("%+v: %v", a, err)
	}
	return got
}

func (r *rig) types(chat int64, text string) {
	r.t.Helper()
	if _, err := r.Type(chat, Written{Text: text}); err != nil {
		r.t.Fatal(err)
	}
}

func TestUpdatesStayUntilTheirOffsetIsPassed(t *testing.T) {
	r := newRig(t, nil)
	for _, text := range []string{"/a", "/b", "/c"} {
		r.types(private, text)
	}
	first := r.updates(map[string]any{"limit": 2})
	if len(first) != 2 || first[0].Message.Text != "/a" || first[1].ID != first[0].ID+1 {
		t.Fatalf("got %+v", first)
	}
	if e := first[0].Message.Entities; len(e) != 1 || e[0].Type != entityCommand {
		t.Errorf("the command isn't marked: %+v", e)
	}
	if again := r.updates(nil); len(again) != 3 {
		t.Errorf("without an offset nothing is confirmed, got %d", len(again))
	}
	if rest := r.updates(map[string]any{"offset": first[1].ID + 1}); len(rest) != 1 || rest[0].Message.Text != "/c" {
		t.Errorf("got %+v", rest)
	}
	r.types(private, "/d")
	if last := r.updates(map[string]any{"offset": "-1"}); len(last) != 1 || last[0].Message.Text != "/d" {
		t.Errorf("offset -1 gave %+v", last)
	}
}

func TestLongPollWaitsForWhatComes(t *testing.T) {
	r := newRig(t, nil)
	got := make(chan []gotUpdate, 1)
	go func() { got <- r.updates(map[string]any{"timeout": 30}) }()
	r.awaitPoller()
	r.types(private, "/now")
	select {
	case u := <-got:
		if len(u) != 1 || u[0].Message.Text != "/now" {
			t.Errorf("got %+v", u)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("the poll didn't end")
	}
}

// awaitPoller returns when a getUpdates waits.
func (r *rig) awaitPoller() {
	r.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		r.mu.Lock()
		waiting := r.Server.updates.polling != nil
		r.mu.Unlock()
		if waiting {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatal("nobody polls")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestSecondPollerEndsTheFirst(t *testing.T) {
	r := newRig(t, nil)
	first := make(chan answer, 1)
	go func() { first <- r.call("getUpdates", map[string]any{"timeout": 30}) }()
	r.awaitPoller()
	if a := r.call("getUpdates", nil); !a.OK {
		t.Errorf("the second got %+v", a)
	}
	wantDescription(t, <-first, http.StatusConflict, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running")
	if n := r.Stats().Conflicts; n != 1 {
		t.Errorf("counted %d conflicts", n)
	}
}

func TestOnlyAllowedKindsAreQueued(t *testing.T) {
	r := newRig(t, nil)
	r.updates(map[string]any{"allowed_updates": []string{"callback_query"}})
	r.types(private, "/unheard")
	m := r.send(private, "x", keyboardWith("Ack"))
	if _, err := r.Press(private, int64(m.ID), "Ack"); err != nil {
		t.Fatal(err)
	}
	if got := r.updates(nil); len(got) != 1 || got[0].Callback == nil {
		t.Errorf("got %+v", got)
	}
}

func TestInGroupsTheBotHearsOnlyWhatIsForIt(t *testing.T) {
	r := newRig(t, nil)
	own := r.send(group, "an alert")
	for _, text := range []string{"hello all", "/status", "/status@other_bot", "/status@datawatch_bot", "ask @datawatch_bot"} {
		r.types(group, text)
	}
	if _, err := r.Type(group, Written{Text: "seen", ReplyTo: int64(own.ID)}); err != nil {
		t.Fatal(err)
	}
	r.types(private, "hello you")
	var heard []string
	for _, u := range r.updates(nil) {
		heard = append(heard, u.Message.Text)
	}
	want := []string{"/status", "/status@datawatch_bot", "ask @datawatch_bot", "seen", "hello you"}
	if !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
}

func keyboardWith(labels ...string) *tele.ReplyMarkup {
	markup := &tele.ReplyMarkup{}
	var row tele.Row
	for _, l := range labels {
		row = append(row, markup.Data(l, "do", l))
	}
	markup.Inline(row)
	return markup
}

func TestButtonIsAnsweredOnce(t *testing.T) {
	r := newRig(t, nil)
	bot := r.client()
	bot.Poller = &tele.LongPoller{Timeout: 10 * time.Second}
	heard := make(chan *tele.Callback, 1)
	bot.Handle(&tele.InlineButton{Unique: "do"}, func(c tele.Context) error {
		heard <- c.Callback()
		return c.Respond(&tele.CallbackResponse{Text: "muted", ShowAlert: true})
	})
	go bot.Start()
	t.Cleanup(bot.Stop)
	m := r.send(forum, "an alert", keyboardWith("Ack", "Mute 1h"))
	id, err := r.Press(forum, int64(m.ID), "Mute 1h")
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Answer(within(t), id)
	if err != nil || !got.Answered || got.Text != "muted" || !got.Alert {
		t.Errorf("answer %+v, %v", got, err)
	}
	if c := <-heard; c.Data != "Mute 1h" || c.Message.ID != m.ID || c.Sender.Username != "linh" {
		t.Errorf("the bot heard %+v", c)
	}
	wantDescription(t, r.call("answerCallbackQuery", map[string]any{"callback_query_id": id}), 400, errQueryTooOld.Description)
}

func TestUnansweredButtonGivesUp(t *testing.T) {
	r := newRig(t, func(o *Options) { o.CallbackLifetime = 20 * time.Millisecond })
	m := r.send(forum, "an alert", keyboardWith("Ack"))
	id, err := r.Press(forum, int64(m.ID), "Ack")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Answer(within(t), id); err != nil || got.Answered {
		t.Errorf("answer %+v, %v", got, err)
	}
	wantDescription(t, r.call("answerCallbackQuery", map[string]any{"callback_query_id": id}), 400, errQueryTooOld.Description)
}

func TestPollerThatLeavesMakesNoConflict(t *testing.T) {
	r := newRig(t, nil)
	bot := r.client()
	bot.Poller = &tele.LongPoller{Timeout: 30 * time.Second}
	go bot.Start()
	r.awaitPoller()
	bot.Stop()
	deadline := time.Now().Add(2 * time.Minute)
	for r.isPolled() {
		if time.Now().After(deadline) {
			t.Fatal("the poll of a client that is gone goes on")
		}
		time.Sleep(time.Millisecond)
	}
	r.updates(nil)
	if n := r.Stats().Conflicts; n != 0 {
		t.Errorf("counted %d conflicts", n)
	}
}

func (r *rig) isPolled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Server.updates.polling != nil
}
