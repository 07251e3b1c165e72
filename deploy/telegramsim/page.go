package telegramsim

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"strconv"
)

//go:embed page
var pageFiles embed.FS

// pagePolicy keeps the page to itself: nothing from elsewhere runs or loads,
// whatever a message holds.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

var errNoChat = errors.New("no such chat")

// pageHandler serves the page and its API. Requests that change something are
// refused when another site's page makes them.
func (s *Server) pageHandler() http.Handler {
	assets, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(assets))
	mux.HandleFunc("GET /api/events", s.serveEvents)
	mux.Handle("GET /api/state", api(func(*http.Request) (any, error) {
		return State{s.opts.Bot, s.opts.Person, s.Chats()}, nil
	}))
	mux.Handle("GET /api/chats", api(func(*http.Request) (any, error) { return s.Chats(), nil }))
	mux.Handle("GET /api/chats/{id}/messages", api(s.pageMessages))
	mux.Handle("POST /api/chats/{id}/messages", api(s.pageWrite))
	mux.Handle("POST /api/chats/{id}/press", api(s.pagePress))
	mux.Handle("GET /api/chats/{id}/commands", api(s.pageCommands))
	mux.HandleFunc("GET /api/files/{id}/{name}", s.pageFile)
	mux.Handle("GET /api/stats", api(func(*http.Request) (any, error) { return s.Stats(), nil }))
	mux.Handle("POST /api/misbehave", api(s.pageMisbehave))
	mux.Handle("DELETE /api/misbehave", api(func(*http.Request) (any, error) { s.Behave(); return struct{}{}, nil }))
	protected := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", pagePolicy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-cache")
		protected.ServeHTTP(w, r)
	})
}

// api answers in JSON.
func api(answer func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		result, err := answer(r)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case errors.Is(err, errNoChat):
			w.WriteHeader(http.StatusNotFound)
		case err != nil:
			w.WriteHeader(http.StatusBadRequest)
		}
		if err != nil {
			result = map[string]string{"error": err.Error()}
		}
		writeJSON(w, result)
	})
}

func pathChat(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("chat %q: %w", r.PathValue("id"), errNoChat)
	}
	return id, nil
}

// pageMessages pages backwards: ?before is the oldest id that the page has.
func (s *Server) pageMessages(r *http.Request) (any, error) {
	id, err := pathChat(r)
	if err != nil {
		return nil, err
	}
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit < 1 || limit > 1000 {
		limit = 100
	}
	before, _ := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chatByID(id)
	if c == nil {
		return nil, fmt.Errorf("chat %d: %w", id, errNoChat)
	}
	end := len(c.messages)
	for end > 0 && before > 0 && c.messages[end-1].id >= before {
		end--
	}
	return s.views(c, c.messages[max(0, end-limit):end]), nil
}

func (s *Server) pageWrite(r *http.Request) (any, error) {
	id, err := pathChat(r)
	if err != nil {
		return nil, err
	}
	var w Written
	if err := json.NewDecoder(r.Body).Decode(&w); err != nil {
		return nil, fmt.Errorf("read the message: %w", err)
	}
	return s.Type(id, w)
}

func (s *Server) pagePress(r *http.Request) (any, error) {
	id, err := pathChat(r)
	if err != nil {
		return nil, err
	}
	var what struct {
		MessageID int64  `json:"message_id"`
		Label     string `json:"label"`
		Row       int    `json:"row"`
		Column    int    `json:"column"`
	}
	if err := json.NewDecoder(r.Body).Decode(&what); err != nil {
		return nil, fmt.Errorf("read what to press: %w", err)
	}
	var callback string
	if what.Label != "" {
		callback, err = s.Press(id, what.MessageID, what.Label)
	} else {
		callback, err = s.pressAt(id, what.MessageID, what.Row, what.Column)
	}
	return map[string]string{"callback_id": callback}, err
}

func (s *Server) pressAt(chatID, messageID int64, row, column int) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chatByID(chatID)
	if c == nil {
		return "", fmt.Errorf("chat %d: %w", chatID, errNoChat)
	}
	m := c.find(messageID)
	if m == nil {
		return "", fmt.Errorf("press: no message %d in chat %d", messageID, chatID)
	}
	return s.press(c, m, row, column)
}

func (s *Server) pageCommands(r *http.Request) (any, error) {
	id, err := pathChat(r)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chatByID(id)
	if c == nil {
		return nil, fmt.Errorf("chat %d: %w", id, errNoChat)
	}
	return s.commandsIn(c), nil
}

func (s *Server) pageFile(w http.ResponseWriter, r *http.Request) {
	d := s.storedFile(r.PathValue("id"))
	if d == nil || d.uniqueID != r.PathValue("id") {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": d.name}))
	_, _ = w.Write(d.data)
}

func (s *Server) pageMisbehave(r *http.Request) (any, error) {
	var f Fault
	if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
		return nil, fmt.Errorf("read the fault: %w", err)
	}
	return struct{}{}, s.Misbehave(f)
}
