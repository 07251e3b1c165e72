package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/config"
)

const testToken = "7100000001:AAtestTOKENtestTOKENtestTOKENtest"

// call is a request that the fake answered.
type call struct {
	at     time.Time
	method string
	params map[string]string
	code   int
}

// reply is an answer that a test plans; err cuts the connection, page is what a proxy says.
type reply struct {
	code       int
	text       string
	parameters map[string]any
	err        error
	page       string
	after      time.Duration // the answer takes this long
}

// fakeAPI is a Bot API that knows sendMessage, editMessageText, sendDocument, getUpdates, getMe, getChat and answerCallbackQuery. It
// refuses what Telegram refuses: wrong tokens, wrong HTML, texts too long, edits of nothing, and too much.
type fakeAPI struct {
	mu       sync.Mutex
	calls    []call
	planned  map[string][]reply // by method
	always   *reply
	texts    map[int]string
	updates  []map[string]any
	arrived  chan struct{}
	sends    map[string][]time.Time
	all      []time.Time
	until    map[string]time.Time
	tooEarly int // sends before a retry_after was over
}

func newFake() *fakeAPI {
	return &fakeAPI{
		planned: map[string][]reply{}, texts: map[int]string{}, arrived: make(chan struct{}, 1),
		sends: map[string][]time.Time{}, until: map[string]time.Time{},
	}
}

func (f *fakeAPI) plan(method string, replies ...reply) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.planned[method] = append(f.planned[method], replies...)
}

// of are the calls of a method that were answered with a code, 0 being any.
func (f *fakeAPI) of(method string, code int) []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.calls), func(c call) bool { return c.method != method || code != 0 && c.code != code })
}

// RoundTrip serves requests without a network, for simulated time.
func (f *fakeAPI) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	inner := httptest.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), bytes.NewReader(body))
	inner.Header = r.Header
	method, params := parseCall(inner)
	answer := f.answer(r.Context(), r.URL.Path, method, params)
	time.Sleep(answer.after)
	f.mu.Lock()
	f.calls = append(f.calls, call{time.Now(), method, params, answer.code})
	f.mu.Unlock()
	if answer.err != nil {
		return nil, answer.err
	}
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	w.WriteHeader(answer.code)
	if answer.page != "" {
		_, _ = w.WriteString(answer.page)
	} else {
		out := map[string]any{"ok": answer.code == http.StatusOK}
		if answer.code == http.StatusOK {
			out["result"] = json.RawMessage(answer.text)
		} else {
			out["error_code"], out["description"] = answer.code, answer.text
			if answer.parameters != nil {
				out["parameters"] = answer.parameters
			}
		}
		_ = json.NewEncoder(w).Encode(out)
	}
	return w.Result(), nil
}

func parseCall(r *http.Request) (string, map[string]string) {
	method := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	params := map[string]string{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		_ = r.ParseMultipartForm(1 << 20)
		for name, values := range r.MultipartForm.Value {
			params[name] = values[0]
		}
		for name, files := range r.MultipartForm.File {
			params[name] = files[0].Filename
		}
		return method, params
	}
	_ = json.NewDecoder(r.Body).Decode(&params)
	return method, params
}

func (f *fakeAPI) answer(ctx context.Context, path, method string, params map[string]string) reply {
	if path != "/bot"+testToken+"/"+method {
		return reply{code: 401, text: "Unauthorized"}
	}
	f.mu.Lock()
	if f.always != nil {
		defer f.mu.Unlock()
		return *f.always
	}
	if p := f.planned[method]; len(p) > 0 {
		f.planned[method] = p[1:]
		defer f.mu.Unlock()
		return p[0]
	}
	if method == "getUpdates" {
		f.mu.Unlock()
		return f.getUpdates(ctx, params)
	}
	defer f.mu.Unlock()
	switch method {
	case "getMe":
		return reply{code: 200, text: `{"id":7100000001,"is_bot":true,"username":"datawatch_bot"}`}
	case "getChat":
		return reply{code: 200, text: `{"id":` + params["chat_id"] + `,"type":"supergroup"}`}
	case "answerCallbackQuery":
		return reply{code: 200, text: "true"}
	case "sendMessage", "editMessageText", "sendDocument":
		return f.post(method, params)
	}
	return reply{code: 404, text: "Not Found"}
}

func (f *fakeAPI) post(method string, params map[string]string) reply {
	text := params["text"]
	if method == "sendDocument" {
		text = params["caption"]
	}
	if params["parse_mode"] == "HTML" {
		parsed, err := parseHTML(text)
		if err != nil {
			return reply{code: 400, text: "Bad Request: can't parse entities: " + err.Error()}
		}
		text = parsed.text
	}
	if strings.TrimSpace(text) == "" && method != "sendDocument" {
		return reply{code: 400, text: "Bad Request: message text is empty"}
	}
	if units(text) > maxUnits {
		return reply{code: 400, text: "Bad Request: message is too long"}
	}
	id := len(f.texts) + 1
	if method == "editMessageText" {
		id, _ = strconv.Atoi(params["message_id"])
		switch old, ok := f.texts[id]; {
		case !ok:
			return reply{code: 400, text: "Bad Request: message to edit not found"}
		case old == text:
			return reply{code: 400, text: "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message"}
		}
	}
	if wait := f.admit(params["chat_id"]); wait > 0 {
		return reply{code: 429, text: fmt.Sprintf("Too Many Requests: retry after %d", wait), parameters: map[string]any{"retry_after": wait}}
	}
	f.texts[id] = text
	return reply{code: 200, text: fmt.Sprintf(`{"message_id":%d,"chat":{"id":%s},"date":1}`, id, params["chat_id"])}
}

// admit holds Telegram's limits: a second a message with bursts of five, 20 a minute to a group, 30 a second overall.
func (f *fakeAPI) admit(chat string) int {
	now := time.Now()
	if now.Before(f.until[chat]) {
		f.tooEarly++
		f.until[chat] = f.until[chat].Add(time.Second)
		return 1 + int(f.until[chat].Sub(now).Seconds())
	}
	within := func(sends []time.Time, d time.Duration) int {
		return len(slices.DeleteFunc(slices.Clone(sends), func(t time.Time) bool { return now.Sub(t) >= d }))
	}
	if within(f.sends[chat], 5*time.Second) >= 10 || within(f.sends[chat], time.Second) >= 5 ||
		strings.HasPrefix(chat, "-") && within(f.sends[chat], time.Minute) >= 20 || within(f.all, time.Second) >= 30 {
		f.until[chat] = now.Add(5 * time.Second)
		return 5
	}
	f.sends[chat] = append(f.sends[chat], now)
	f.all = append(f.all, now)
	return 0
}

func (f *fakeAPI) getUpdates(ctx context.Context, params map[string]string) reply {
	offset, _ := strconv.Atoi(params["offset"])
	seconds, _ := strconv.Atoi(params["timeout"])
	timer := time.NewTimer(time.Duration(seconds) * time.Second)
	defer timer.Stop()
	for {
		f.mu.Lock()
		f.updates = slices.DeleteFunc(f.updates, func(u map[string]any) bool { return u["update_id"].(int) < offset })
		text, _ := json.Marshal(f.updates)
		some := len(f.updates) > 0
		f.mu.Unlock()
		if some {
			return reply{code: 200, text: string(text)}
		}
		select {
		case <-f.arrived:
		case <-timer.C:
			return reply{code: 200, text: "[]"}
		case <-ctx.Done():
			return reply{err: ctx.Err()}
		}
	}
}

func (f *fakeAPI) update(u map[string]any) {
	f.mu.Lock()
	f.updates = append(f.updates, u)
	f.mu.Unlock()
	select {
	case f.arrived <- struct{}{}:
	default:
	}
}

// lockedBuffer is what a logger writes to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// rig is a client in front of a fake, with what it says.
type rig struct {
	*Client
	api      *fakeAPI
	log      *lockedBuffer
	registry *prometheus.Registry
	reports  []string
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{api: newFake(), log: &lockedBuffer{}, registry: prometheus.NewRegistry()}
	o := Options{
		Config:  config.Telegram{Token: testToken, APIURL: "http://telegram.invalid"},
		Service: "test", Metrics: r.registry, Transport: r.api,
		Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Report: func(err error) {
			if err == nil {
				r.reports = append(r.reports, "")
				return
			}
			r.reports = append(r.reports, err.Error())
		},
	}
	if change != nil {
		change(&o)
	}
	var err error
	if r.Client, err = New(o); err != nil {
		t.Fatal(err)
	}
	return r
}

// stop ends the client, which leaves no goroutine behind.
func (r *rig) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func (r *rig) count(t *testing.T, metric, result string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != metric {
			continue
		}
		for _, m := range f.GetMetric() {
			if result == "" {
				return m.GetGauge().GetValue()
			}
			for _, l := range m.GetLabel() {
				if l.GetValue() == result {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	t.Fatalf("no metric %s{%s}", metric, result)
	return 0
}

func text(s string) Message { return NewMessage(Line(Plain(s))) }
