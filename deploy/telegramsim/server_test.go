package telegramsim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	tele "gopkg.in/telebot.v3"
)

const (
	testToken = "7100000001:AAE-secret-of-the-test"
	forum     = int64(-1001000000001)
	group     = int64(-4001)
	private   = int64(501000042)
	channel   = int64(-1001000000002)
	topic     = 17
)

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// rig is a server on a real socket with the official client on it.
type rig struct {
	*Server
	t     *testing.T
	url   string
	clock *clock
	bot   *tele.Bot
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, clock: &clock{now: time.Date(2026, 11, 22, 14, 3, 7, 0, time.UTC)}}
	opts := Options{
		Token: testToken, Clock: r.clock.Now, Limits: Limits{Off: true},
		Chats: []Chat{
			{ID: forum, Title: "Shop alerts", Forum: true, Topics: []Topic{{ID: topic, Title: "payments"}}, Username: "shop_alerts"},
			{ID: group, Title: "Data owners"},
			{ID: private},
			{ID: channel, Type: Channel, Title: "Digest"},
		},
	}
	if change != nil {
		change(&opts)
	}
	r.Server = New(opts)
	web := httptest.NewServer(r.Server)
	t.Cleanup(web.Close)
	t.Cleanup(r.Close)
	r.url = web.URL
	r.bot = r.client()
	return r
}

// client is one more of the bot's processes.
func (r *rig) client() *tele.Bot {
	r.t.Helper()
	bot, err := tele.NewBot(tele.Settings{URL: r.url, Token: testToken, Client: &http.Client{Timeout: time.Minute}})
	if err != nil {
		r.t.Fatal(err)
	}
	return bot
}

func (r *rig) send(chat int64, text string, options ...any) *tele.Message {
	r.t.Helper()
	m, err := r.bot.Send(tele.ChatID(chat), text, options...)
	if err != nil {
		r.t.Fatalf("send %q: %v", text, err)
	}
	return m
}

func (r *rig) last(chat int64) Message {
	r.t.Helper()
	all := r.Messages(chat)
	if len(all) == 0 {
		r.t.Fatalf("chat %d is empty", chat)
	}
	return all[len(all)-1]
}

// answer is a raw one of the Bot API.
type answer struct {
	OK          bool            `json:"ok"`
	Code        int             `json:"error_code"`
	Description string          `json:"description"`
	Result      json.RawMessage `json:"result"`
	Parameters  failureDetails  `json:"parameters"`
}

// call goes without a client library, for what those can't be made to do.
func (r *rig) call(method string, params map[string]any) answer {
	r.t.Helper()
	body, err := json.Marshal(params)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.post("/bot"+testToken+"/"+method, "application/json", bytes.NewReader(body))
}

func (r *rig) post(path, kind string, body io.Reader) answer {
	r.t.Helper()
	response, err := http.Post(r.url+path, kind, body)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	var a answer
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		r.t.Fatalf("%s: %v", path, err)
	}
	if !a.OK && a.Code != response.StatusCode {
		r.t.Errorf("%s: error_code %d with status %d", path, a.Code, response.StatusCode)
	}
	return a
}

func (r *rig) get(path string, into any) {
	r.t.Helper()
	response, err := http.Get(r.url + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		r.t.Fatalf("%s: %v", path, err)
	}
}

func wantDescription(t *testing.T, got answer, code int, description string) {
	t.Helper()
	if got.OK || got.Code != code || got.Description != description {
		t.Errorf("got %d %q\nwant %d %q", got.Code, got.Description, code, description)
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestOfficialClientSendsAsItIs(t *testing.T) {
	r := newRig(t, nil)
	if r.bot.Me.Username != "datawatch_bot" || !r.bot.Me.IsBot || r.bot.Me.ID != 7100000001 {
		t.Errorf("getMe gave %+v", r.bot.Me)
	}
	first := r.send(forum, "🔴 <b>Order total</b> &lt;x&gt;", tele.ModeHTML, tele.Silent, tele.NoPreview)
	if first.Text != "🔴 Order total <x>" || len(first.Entities) != 1 || first.Entities[0].Offset != 3 || first.Entities[0].Type != tele.EntityBold {
		t.Errorf("answer was %q %+v", first.Text, first.Entities)
	}
	second := r.send(forum, "in the topic", &tele.SendOptions{ThreadID: topic, ReplyTo: first})
	if second.ID <= first.ID || second.ThreadID != topic || !second.TopicMessage || second.ReplyTo.ID != first.ID {
		t.Errorf("answer was %+v", second)
	}
	if second.Unixtime != r.clock.Now().Unix() {
		t.Errorf("dated %d", second.Unixtime)
	}
	seen := r.Messages(forum)
	if len(seen) != 2 || seen[0].HTML != "🔴 <b>Order total</b> &lt;x&gt;" || !seen[0].Silent || seen[1].Silent {
		t.Errorf("the chat shows %+v", seen)
	}
	if q := seen[1].ReplyTo; q == nil || q.Text != "🔴 Order total <x>" || q.From != "datawatch" {
		t.Errorf("the reply quotes %+v", q)
	}
}

func TestParametersComeInEveryShape(t *testing.T) {
	r := newRig(t, nil)
	if a := r.call("sendMessage", map[string]any{"chat_id": group, "text": "json", "disable_notification": true}); !a.OK {
		t.Errorf("json: %+v", a)
	}
	form := strings.NewReader("chat_id=-4001&text=a+form&disable_notification=true")
	if a := r.post("/bot"+testToken+"/SENDMESSAGE", "application/x-www-form-urlencoded", form); !a.OK {
		t.Errorf("form: %+v", a)
	}
	if a := r.post("/bot"+testToken+"/sendMessage?chat_id=@SHOP_alerts&text=query&disable_notification=1", "text/plain", nil); !a.OK {
		t.Errorf("query: %+v", a)
	}
	for _, chat := range []int64{group, forum} {
		if !r.last(chat).Silent {
			t.Errorf("disable_notification was lost: %+v", r.last(chat))
		}
	}
}

func TestRefusalsUseTelegramsWords(t *testing.T) {
	r := newRig(t, nil)
	theirs, err := r.Type(group, Written{Text: "/help"})
	if err != nil {
		t.Fatal(err)
	}
	own := r.send(group, "mine")
	button := func(fields map[string]any) map[string]any {
		return map[string]any{"inline_keyboard": []any{[]any{fields}}}
	}
	text := func(more map[string]any) map[string]any {
		p := map[string]any{"chat_id": group, "text": "x"}
		for k, v := range more {
			p[k] = v
		}
		return p
	}
	tests := []struct {
		name, method string
		params       map[string]any
		code         int
		want         string
	}{
		{"method", "sendPigeon", nil, 404, "Not Found"},
		{"no chat", "sendMessage", map[string]any{"text": "x"}, 400, "Bad Request: chat_id is empty"},
		{"other chat", "sendMessage", text(map[string]any{"chat_id": 5}), 400, "Bad Request: chat not found"},
		{"no text", "sendMessage", text(map[string]any{"text": ""}), 400, "Bad Request: message text is empty"},
		{"blank", "sendMessage", text(map[string]any{"text": " \n "}), 400, "Bad Request: text must be non-empty"},
		{"long", "sendMessage", text(map[string]any{"text": strings.Repeat("🔴", 2049)}), 400, "Bad Request: message is too long"},
		{"tag", "sendMessage", text(map[string]any{"text": "🔴 <int>", "parse_mode": "HTML"}), 400, `Bad Request: can't parse entities: Unsupported start tag "int" at byte offset 5`},
		{"parse mode", "sendMessage", text(map[string]any{"parse_mode": "Nonsense"}), 400, "Bad Request: unsupported parse_mode"},
		{"thread", "sendMessage", text(map[string]any{"message_thread_id": topic}), 400, "Bad Request: message thread not found"},
		{"general by id", "sendMessage", text(map[string]any{"chat_id": forum, "message_thread_id": 1}), 400, "Bad Request: message thread not found"},
		{"reply", "sendMessage", text(map[string]any{"reply_parameters": map[string]any{"message_id": 99}}), 400, "Bad Request: message to be replied not found"},
		{"data", "sendMessage", text(map[string]any{"reply_markup": button(map[string]any{"text": "a", "callback_data": strings.Repeat("x", 65)})}), 400, "Bad Request: BUTTON_DATA_INVALID"},
		{"no data", "sendMessage", text(map[string]any{"reply_markup": button(map[string]any{"text": "a", "callback_data": ""})}), 400, "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"},
		{"local link", "sendMessage", text(map[string]any{"reply_markup": button(map[string]any{"text": "a", "url": "http://localhost:3000"})}), 400, "Bad Request: inline keyboard button URL 'http://localhost:3000' is invalid: Wrong HTTP URL"},
		{"markup", "sendMessage", text(map[string]any{"reply_markup": "{"}), 400, "Bad Request: can't parse reply keyboard markup JSON object"},
		{"unchanged", "editMessageText", text(map[string]any{"message_id": own.ID, "text": " mine"}), 400, errNotModified.Description},
		{"unchanged buttons", "editMessageReplyMarkup", text(map[string]any{"message_id": own.ID, "reply_markup": map[string]any{}}), 400, errNotModified.Description},
		{"edit nothing", "editMessageText", text(map[string]any{"message_id": 99}), 400, "Bad Request: message to edit not found"},
		{"edit theirs", "editMessageText", text(map[string]any{"message_id": theirs.ID}), 400, "Bad Request: message can't be edited"},
		{"edit caption of text", "editMessageCaption", text(map[string]any{"message_id": own.ID, "caption": "x"}), 400, "Bad Request: there is no caption in the message to edit"},
		{"delete nothing", "deleteMessage", text(map[string]any{"message_id": 99}), 400, "Bad Request: message to delete not found"},
		{"delete theirs", "deleteMessage", text(map[string]any{"message_id": theirs.ID}), 400, "Bad Request: message can't be deleted"},
		{"document", "sendDocument", map[string]any{"chat_id": group}, 400, "Bad Request: there is no document in the request"},
		{"file id", "sendDocument", map[string]any{"chat_id": group, "document": "nothing"}, 400, "Bad Request: wrong file identifier/HTTP URL specified"},
		{"file", "getFile", map[string]any{"file_id": "nothing"}, 400, "Bad Request: wrong file_id or the file is temporarily unavailable"},
		{"query", "answerCallbackQuery", map[string]any{"callback_query_id": "1"}, 400, errQueryTooOld.Description},
		{"command", "setMyCommands", map[string]any{"commands": []any{map[string]any{"command": "Help me", "description": "x"}}}, 400, "Bad Request: BOT_COMMAND_INVALID"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantDescription(t, r.call(tt.method, tt.params), tt.code, tt.want)
		})
	}
	wantDescription(t, r.post("/bot7100000001:other/getMe", "", nil), 401, "Unauthorized")
	wantDescription(t, r.post("/bot"+testToken+"/sendMessage", "application/json", strings.NewReader("{\"chat_id\":-4001,\"text\":\"\xff\"}")), 400, "Bad Request: strings must be encoded in UTF-8")
	if n := len(r.Messages(group)); n != 2 {
		t.Errorf("%d messages, what was refused must not be shown", n)
	}
}

func TestTextOfExactlyTheLimitFits(t *testing.T) {
	r := newRig(t, nil)
	html := "<b>" + strings.Repeat("&lt;", 4094) + "🔴</b>" // 4,096 units of 16,390 bytes
	if m := r.send(private, html, tele.ModeHTML); len([]rune(m.Text)) != 4095 {
		t.Errorf("got %d characters", len([]rune(m.Text)))
	}
}

func TestEditShowsAndTakesTheButtonsAway(t *testing.T) {
	r := newRig(t, nil)
	markup := &tele.ReplyMarkup{}
	markup.Inline(markup.Row(markup.Data("Ack", "ack", "k3f9a1"), markup.URL("Docs", "https://example.com/a")))
	m := r.send(forum, "new", markup)
	if got := r.last(forum).Keyboard; len(got) != 1 || got[0][0].Data != "\fack|k3f9a1" || got[0][1].URL != "https://example.com/a" {
		t.Fatalf("keyboard %+v", got)
	}
	r.clock.pass(time.Minute)
	edited, err := r.bot.Edit(m, "<i>changed</i>", tele.ModeHTML)
	if err != nil {
		t.Fatal(err)
	}
	if edited.LastEdit != r.clock.Now().Unix() {
		t.Errorf("edit_date %d", edited.LastEdit)
	}
	seen := r.last(forum)
	if seen.HTML != "<i>changed</i>" || seen.Edits != 1 || seen.Keyboard != nil || seen.ID != int64(m.ID) {
		t.Errorf("shown %+v", seen)
	}
	if _, err := r.bot.Edit(m, "<i>changed</i>", tele.ModeHTML); !errors.Is(err, tele.ErrSameMessageContent) {
		t.Errorf("the same edit again: %v", err)
	}
	if err := r.bot.Delete(m); err != nil || len(r.Messages(forum)) != 0 {
		t.Errorf("delete: %v, left %v", err, r.Messages(forum))
	}
}

func TestDocumentComesThroughWhole(t *testing.T) {
	r := newRig(t, nil)
	content := bytes.Repeat([]byte("{\"op\":\"insert\"}\n"), 1000)
	sent, err := r.bot.Send(tele.ChatID(private), &tele.Document{
		File: tele.FromReader(bytes.NewReader(content)), FileName: "tx 81422.jsonl", Caption: "<b>all</b>",
	}, tele.ModeHTML)
	if err != nil {
		t.Fatal(err)
	}
	seen := r.last(private)
	if seen.HTML != "<b>all</b>" || seen.Document == nil || seen.Document.Name != "tx 81422.jsonl" || seen.Document.Size != len(content) {
		t.Fatalf("shown %+v", seen)
	}
	body, err := r.bot.File(&sent.Document.File)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, content) {
		t.Errorf("downloaded %d bytes, %v", len(got), err)
	}
	if !bytes.Equal(r.Content(*seen.Document), content) {
		t.Error("Content differs")
	}
	if _, err := r.bot.Send(tele.ChatID(group), &tele.Document{File: tele.File{FileID: sent.Document.FileID}}); err != nil {
		t.Errorf("send again by id: %v", err)
	}
	_, err = r.bot.Send(tele.ChatID(private), &tele.Document{File: tele.FromReader(bytes.NewReader(nil)), FileName: "empty"})
	if err == nil || !strings.Contains(err.Error(), "file must be non-empty") {
		t.Errorf("empty file: %v", err)
	}
}

func TestFileOverTheLimitIsRefused(t *testing.T) {
	r := newRig(t, nil)
	_, err := r.bot.Send(tele.ChatID(private), &tele.Document{
		File: tele.FromReader(io.LimitReader(zeros{}, maxUpload+1)), FileName: "big",
	})
	if err == nil {
		t.Fatal("51 MB were accepted")
	}
	if len(r.Messages(private)) != 0 {
		t.Error("it is shown nevertheless")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestCommandListReachesThePage(t *testing.T) {
	r := newRig(t, nil)
	all := []tele.Command{{Text: "status", Description: "How it goes"}}
	if err := r.bot.SetCommands(all); err != nil {
		t.Fatal(err)
	}
	here := []tele.Command{{Text: "last", Description: "The last changes"}}
	if err := r.bot.SetCommands(here, tele.CommandScope{Type: tele.CommandScopeChat, ChatID: group}); err != nil {
		t.Fatal(err)
	}
	if got, err := r.bot.Commands(); err != nil || len(got) != 1 || got[0].Text != "status" {
		t.Errorf("getMyCommands: %v, %v", got, err)
	}
	for chat, want := range map[int64]string{forum: "status", group: "last"} {
		var got []Command
		r.get(fmt.Sprintf("/api/chats/%d/commands", chat), &got)
		if len(got) != 1 || got[0].Command != want {
			t.Errorf("chat %d offers %v", chat, got)
		}
	}
}

func TestOldMessagesAreForgotten(t *testing.T) {
	r := newRig(t, func(o *Options) { o.History = 3 })
	first := r.send(private, "0")
	for i := range 4 {
		r.send(private, fmt.Sprint(i+1))
	}
	if seen := r.Messages(private); len(seen) != 3 || seen[0].Text != "2" {
		t.Errorf("kept %+v", seen)
	}
	if _, err := r.bot.Edit(first, "changed"); err == nil || !strings.Contains(err.Error(), "message to edit not found") {
		t.Errorf("edit of a forgotten message: %v", err)
	}
}
