package telegramsim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	tele "gopkg.in/telebot.v3"
)

// stream reads the page's events.
type stream struct {
	t     *testing.T
	lines *bufio.Scanner
}

func (r *rig) stream() *stream {
	r.t.Helper()
	request, err := http.NewRequestWithContext(within(r.t), http.MethodGet, r.url+"/api/events", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { response.Body.Close() })
	s := &stream{r.t, bufio.NewScanner(response.Body)}
	s.next("hello")
	return s
}

func (s *stream) next(kind string) Event {
	s.t.Helper()
	name := ""
	for s.lines.Scan() {
		line := s.lines.Text()
		if n, ok := strings.CutPrefix(line, "event: "); ok {
			name = n
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		if name != kind {
			s.t.Fatalf("event %q %s, want %q", name, data, kind)
		}
		var e Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			s.t.Fatal(err)
		}
		return e
	}
	s.t.Fatalf("the stream ended before %q: %v", kind, s.lines.Err())
	return Event{}
}

func (r *rig) pagePost(path, body string) (int, map[string]any) {
	r.t.Helper()
	response, err := http.Post(r.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	out := map[string]any{}
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil {
		r.t.Fatal(err)
	}
	return response.StatusCode, out
}

func TestPageSeesEverythingAsItHappens(t *testing.T) {
	r := newRig(t, nil)
	events := r.stream()
	m := r.send(forum, "<b>new</b>", tele.ModeHTML, keyboardWith("Ack"))
	if e := events.next(EventMessage); e.Message.HTML != "<b>new</b>" || e.ChatID != forum {
		t.Errorf("event %+v", e)
	}
	if _, err := r.bot.Edit(m, "edited", keyboardWith("Ack")); err != nil {
		t.Fatal(err)
	}
	if e := events.next(EventMessage); e.Message.Text != "edited" || e.Message.Edits != 1 || e.Message.ID != int64(m.ID) {
		t.Errorf("event %+v", e.Message)
	}
	_, pressed := r.pagePost(fmt.Sprintf("/api/chats/%d/press", forum), fmt.Sprintf(`{"message_id": %d, "row": 0, "column": 0}`, m.ID))
	r.call("answerCallbackQuery", map[string]any{"callback_query_id": pressed["callback_id"], "text": "noted"})
	if e := events.next(EventCallback); e.CallbackID != pressed["callback_id"] || e.Answer.Text != "noted" || e.MessageID != int64(m.ID) {
		t.Errorf("event %+v", e)
	}
	r.pagePost(fmt.Sprintf("/api/chats/%d/messages", forum), `{"text": "/status"}`)
	if e := events.next(EventMessage); e.Message.Text != "/status" || e.Message.FromBot {
		t.Errorf("event %+v", e.Message)
	}
	if err := r.bot.Delete(m); err != nil {
		t.Fatal(err)
	}
	if e := events.next(EventDelete); e.MessageID != int64(m.ID) {
		t.Errorf("event %+v", e)
	}
}

func TestPageReadsBackwards(t *testing.T) {
	r := newRig(t, nil)
	for i := range 7 {
		r.send(private, fmt.Sprint(i))
	}
	var page []Message
	r.get(fmt.Sprintf("/api/chats/%d/messages?limit=3", private), &page)
	if len(page) != 3 || page[0].Text != "4" || page[2].Text != "6" {
		t.Fatalf("got %+v", page)
	}
	r.get(fmt.Sprintf("/api/chats/%d/messages?limit=3&before=%d", private, page[0].ID), &page)
	if len(page) != 3 || page[0].Text != "1" || page[2].Text != "3" {
		t.Errorf("got %+v", page)
	}
	var chats []ChatInfo
	r.get("/api/chats", &chats)
	if len(chats) != 4 || chats[2].Title != "datawatch" || chats[2].Last.Text != "6" {
		t.Errorf("chats %+v", chats)
	}
}

func TestTokenIsNowhereOnThePage(t *testing.T) {
	r := newRig(t, nil)
	r.send(forum, "x", keyboardWith("Ack"))
	paths := []string{"/", "/api/state", "/api/chats", "/api/stats", fmt.Sprintf("/api/chats/%d/messages", forum), "/api/nothing", "/api/chats/x/messages"}
	err := fs.WalkDir(pageFiles, "page", func(path string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			paths = append(paths, strings.TrimPrefix(path, "page"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		response, err := http.Get(r.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		secret := strings.SplitN(testToken, ":", 2)[1]
		if bytes.Contains(body, []byte(secret)) {
			t.Errorf("%s shows the token", path)
		}
		if response.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s has no policy", path)
		}
		if bytes.Contains(body, []byte("https://")) && strings.HasSuffix(path, ".html") {
			t.Errorf("%s loads from elsewhere", path)
		}
	}
}

func TestAnotherSitesPageCanNotPress(t *testing.T) {
	r := newRig(t, nil)
	request, err := http.NewRequest(http.MethodPost, r.url+"/api/misbehave", strings.NewReader(`{"kind":"cut"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Sec-Fetch-Site", "cross-site")
	request.Header.Set("Origin", "https://elsewhere.example")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("status %d", response.StatusCode)
	}
	r.send(private, "still there")
}

func TestPageSaysWhatIsWrong(t *testing.T) {
	r := newRig(t, nil)
	for path, body := range map[string]string{
		"/api/chats/5/messages":                        `{"text":"x"}`,
		fmt.Sprintf("/api/chats/%d/messages", private): `{"text":" "}`,
		fmt.Sprintf("/api/chats/%d/messages", channel): `{"text":"x"}`,
		fmt.Sprintf("/api/chats/%d/press", private):    `{"message_id":1,"label":"Ack"}`,
		"/api/misbehave":                               `{"kind":"explode","chat_id":-4001}`,
	} {
		if code, out := r.pagePost(path, body); code < 400 || code > 404 || out["error"] == "" {
			t.Errorf("%s %s: %d %v", path, body, code, out)
		}
	}
}

func TestFaultsCanBeSetOverHTTP(t *testing.T) {
	r := newRig(t, nil)
	r.pagePost("/api/misbehave", `{"kind":"too-many-requests","chat_id":-4001,"retry_after":7}`)
	if a := r.call("sendMessage", map[string]any{"chat_id": group, "text": "x"}); a.Code != 429 || a.Parameters.RetryAfter != 8 {
		t.Errorf("got %+v", a)
	}
	request, err := http.NewRequest(http.MethodDelete, r.url+"/api/misbehave", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	r.send(group, "x")
}

func TestAwaitSeesNewAndEditedMessages(t *testing.T) {
	r := newRig(t, nil)
	m := r.send(group, "first")
	go func() { _, _ = r.bot.Edit(m, "first, edited") }()
	got, err := r.Await(within(t), group, func(m Message) bool { return m.Edits == 1 })
	if err != nil || got.Text != "first, edited" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestSlowReaderOfEventsIsCutOff(t *testing.T) {
	h := newHub()
	events, cancel := h.subscribe()
	defer cancel()
	for range backlog + 1 {
		h.publish(Event{})
	}
	n := 0
	for range events {
		n++
	}
	if n != backlog {
		t.Errorf("got %d events before the end, want %d", n, backlog)
	}
}

func TestCloseEndsWhatWaits(t *testing.T) {
	r := newRig(t, nil)
	events := r.stream()
	polled := make(chan answer, 1)
	go func() { polled <- r.call("getUpdates", map[string]any{"timeout": 30}) }()
	r.awaitPoller()
	r.Close()
	if a := <-polled; !a.OK || string(a.Result) != "[]" {
		t.Errorf("the poll got %+v", a)
	}
	events.lines.Scan() // what had been sent before
	if events.lines.Scan() {
		t.Errorf("the stream goes on with %q", events.lines.Text())
	}
	if _, err := r.Await(within(t), group, func(Message) bool { return false }); err == nil {
		t.Error("a closed server showed a message")
	}
}
