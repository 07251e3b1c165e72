package alerts_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// api is Telegram's Bot API as far as the keeper uses it, at the level of HTTP and as strict as the real one.
type api struct {
	t      *testing.T
	server *httptest.Server

	mu       sync.Mutex
	messages []message // by id-1
	edits    int
	lose     int // answers still to be lost: the message is there, the client doesn't learn of it
	presses  []press
	answers  []string
	files    []file
	banned   string // a chat that the bot isn't in
	away     bool   // nothing is answered but errors
	denied   int    // messages that came meanwhile

	flood    time.Duration // that the next message makes; zero is none
	freeAt   time.Time     // until then everything is refused
	tooEarly int           // messages before that
}

// goAway has Telegram answer nothing but errors, or come back.
// floods has the next message refused, with so long to wait; whoever doesn't is counted.
func (a *api) floods(wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flood = wait
}

// obeyed tells whether everybody waited who was told to.
func (a *api) obeyed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.flood == 0 && a.tooEarly == 0
}

// refused tells whether a message comes in a flood, and answers it.
func (a *api) refused(w http.ResponseWriter) bool {
	now := time.Now()
	switch {
	case now.Before(a.freeAt):
		a.tooEarly++
	case a.flood > 0:
		a.freeAt, a.flood = now.Add(a.flood), 0
	default:
		return false
	}
	wait := int(math.Ceil(a.freeAt.Sub(now).Seconds()))
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = fmt.Fprintf(w, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after %d","parameters":{"retry_after":%d}}`, wait, wait)
	return true
}

func (a *api) goAway(is bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.away = is
}

// file is a document that was sent.
type file struct{ chat, name, content string }

// press is a button that somebody presses, or where it has a text, a message that answers one.
type press struct {
	message int
	data    string
	text    string
	chat    int
}

// write has somebody write in a chat, in answer to a message or to none.
func (a *api) write(chat, answers int, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.presses = append(a.presses, press{message: answers, text: text, chat: chat})
}

// press presses a button of a message by its text.
func (a *api) press(id int, text string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if id > len(a.messages) {
		return fmt.Errorf("no message %d", id)
	}
	var keyboard struct {
		Rows [][]struct {
			Text string `json:"text"`
			Data string `json:"callback_data"`
		} `json:"inline_keyboard"`
	}
	if err := json.Unmarshal([]byte(a.messages[id-1].buttons), &keyboard); err != nil {
		return err
	}
	for _, row := range keyboard.Rows {
		for _, b := range row {
			if b.Text == text {
				a.presses = append(a.presses, press{message: id, data: b.Data})
				return nil
			}
		}
	}
	return fmt.Errorf("no button %q in %s", text, a.messages[id-1].buttons)
}

// updates are the presses that the poller hasn't confirmed.
func (a *api) updates(offset int) string {
	var all []string
	for i, p := range a.presses {
		id := i + 1
		if id < offset {
			continue
		}
		if p.text != "" {
			answered := ""
			if p.message > 0 {
				answered = fmt.Sprintf(`,"reply_to_message":{"message_id":%d,"date":1,"chat":{"id":%d,"type":"supergroup"}}`, p.message, p.chat)
			}
			all = append(all, fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"date":1,"from":{"id":5,"is_bot":false,"first_name":"Linh","username":"linh"},
				"chat":{"id":%d,"type":"supergroup"},"text":%q%s}}`, id, 9000+id, p.chat, p.text, answered))
		} else {
			all = append(all, fmt.Sprintf(`{"update_id":%d,"callback_query":{"id":"%d","from":{"id":5,"is_bot":false,"first_name":"Linh","username":"linh"},"data":%q,
				"message":{"message_id":%d,"date":1,"chat":{"id":%s,"type":"supergroup"}}}}`, id, id, p.data, p.message, a.messages[p.message-1].chat))
		}
	}
	return "[" + strings.Join(all, ",") + "]"
}

type message struct {
	chat   string
	text   string
	silent bool

	buttons string
}

func newAPI(t *testing.T) *api {
	a := &api{t: t}
	a.server = httptest.NewServer(a)
	t.Cleanup(a.server.Close)
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		a.document(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		a.t.Errorf("telegram: %v", err)
	}
	params := map[string]any{}
	if err := json.Unmarshal(body, &params); err != nil {
		a.t.Errorf("telegram: %s: %v in %q", r.URL.Path, err, body)
	}
	text := func(name string) string {
		if v, ok := params[name]; ok {
			return fmt.Sprint(v)
		}
		return ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	method := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	var id int
	if a.away {
		if method == "sendMessage" {
			a.denied++
		}
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html>Bad Gateway</html>")
		return
	}
	if (method == "sendMessage" || method == "editMessageText") && a.refused(w) {
		return
	}
	switch method {
	case "getMe":
		_, _ = io.WriteString(w, `{"ok":true,"result":{"id":1,"is_bot":true,"first_name":"datawatch","username":"datawatch_bot"}}`)
		return
	case "getUpdates":
		offset, _ := strconv.Atoi(text("offset"))
		_, _ = fmt.Fprintf(w, `{"ok":true,"result":%s}`, a.updates(offset))
		return
	case "answerCallbackQuery":
		a.answers = append(a.answers, text("text"))
		_, _ = io.WriteString(w, `{"ok":true,"result":true}`)
		return
	case "sendMessage":
		if text("chat_id") == a.banned {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked from the supergroup chat"}`)
			return
		}
		a.messages = append(a.messages, message{text("chat_id"), text("text"), text("disable_notification") == "true", text("reply_markup")})
		id = len(a.messages)
	case "editMessageText":
		id, _ = strconv.Atoi(text("message_id"))
		if id < 1 || id > len(a.messages) || a.messages[id-1].chat != text("chat_id") {
			refuse(w, "message to edit not found")
			return
		}
		if a.messages[id-1].text == text("text") && a.messages[id-1].buttons == text("reply_markup") {
			refuse(w, "message is not modified")
			return
		}
		a.messages[id-1].text, a.messages[id-1].buttons = text("text"), text("reply_markup")
		a.edits++
	default:
		a.t.Errorf("telegram: unexpected method %s", method)
		refuse(w, "method not found")
		return
	}
	if text("parse_mode") != "HTML" || text("text") == "" {
		a.t.Errorf("telegram: parameters %v", params)
	}
	if a.lose > 0 {
		a.lose--
		panic(http.ErrAbortHandler)
	}
	_, _ = fmt.Fprintf(w, `{"ok":true,"result":{"message_id":%d,"date":1,"chat":{"id":%s,"type":"supergroup"},"text":"x"}}`, id, text("chat_id"))
}

// document takes a file.
func (a *api) document(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseMultipartForm(1 << 20); err != nil {
		a.t.Errorf("telegram: %v", err)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, headers := range r.MultipartForm.File {
		for _, h := range headers {
			f, err := h.Open()
			if err != nil {
				a.t.Errorf("telegram: %v", err)
				continue
			}
			content, err := io.ReadAll(f)
			if err != nil {
				a.t.Errorf("telegram: %v", err)
			}
			a.files = append(a.files, file{r.FormValue("chat_id"), h.Filename, string(content)})
		}
	}
	_, _ = fmt.Fprintf(w, `{"ok":true,"result":{"message_id":8000,"date":1,"chat":{"id":%s,"type":"supergroup"}}}`, r.FormValue("chat_id"))
}

func refuse(w http.ResponseWriter, description string) {
	w.WriteHeader(http.StatusBadRequest)
	_, _ = fmt.Fprintf(w, `{"ok":false,"error_code":400,"description":"Bad Request: %s"}`, description)
}

// answered are the texts that people who pressed were shown.
func (a *api) answered() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.answers)
}

// sent are the messages as they read now, and how often they were edited.
func (a *api) sent() ([]message, int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.messages), a.edits
}
