package telegramsim

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server is one simulated Telegram with one bot and one person. It is safe for
// concurrent use.
type Server struct {
	opts    Options
	page    http.Handler
	methods map[string]method
	hub     *hub

	closed    chan struct{}
	closeOnce sync.Once

	mu        sync.Mutex
	chats     []*chat
	gate      gate
	faults    []*Fault
	updates   updateQueue
	callbacks callbacks
	commands  map[commandScope][]Command
	files     fileStore
	stats     Stats
}

// Stats count what happened at the Bot API.
type Stats struct {
	// Calls by method, refused ones included.
	Calls map[string]int `json:"calls"`
	// Floods are the answers with 429.
	Floods int `json:"floods"`
	// SentWhileFlooded are those of them for which the bot had been told to
	// wait longer.
	SentWhileFlooded int `json:"sent_while_flooded"`
	// Conflicts are the getUpdates that another one ended.
	Conflicts int `json:"conflicts"`
}

// call is one request to the Bot API: the method as the client wrote it and
// its parameters.
type call struct {
	params
	request *http.Request
}

// method answers a call. It locks the server itself, as getUpdates waits.
type method func(*call) (any, *failure)

// New makes a server. Close it to end the requests that wait.
func New(opts Options) *Server {
	s := &Server{
		opts:     opts.withDefaults(),
		hub:      newHub(),
		closed:   make(chan struct{}),
		commands: map[commandScope][]Command{},
		stats:    Stats{Calls: map[string]int{}},
	}
	s.updates.init()
	s.callbacks.init()
	s.files.init()
	for _, c := range opts.Chats {
		s.chats = append(s.chats, newChat(c))
	}
	s.methods = s.allMethods()
	s.page = s.pageHandler()
	return s
}

// Token is the bot's.
func (s *Server) Token() string { return s.opts.Token }

// Close ends long polls and the page's event streams, so that an http.Server
// can shut down: give it to RegisterOnShutdown. Messages can still be read.
func (s *Server) Close() {
	s.closeOnce.Do(func() {
		close(s.closed)
		s.hub.close()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.callbacks.stop()
	})
}

// Stats tells what happened so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.Calls = make(map[string]int, len(s.stats.Calls))
	for name, n := range s.stats.Calls {
		out.Calls[name] = n
	}
	return out
}

// ServeHTTP serves the Bot API, files, the page and the page's API:
//
//	/bot<token>/<method>             the Bot API, any method name in any case
//	/file/bot<token>/<path>          files, by the path that getFile gave
//	/                                the page; /?theme=dark#<chat id> opens a chat, in a theme
//	GET  /api/state                  [State]: bot, person, chats
//	GET  /api/chats                  [ChatInfo] of each chat
//	GET  /api/chats/{id}/messages    the newest [Message]s, oldest first (?limit=100&before=ID)
//	POST /api/chats/{id}/messages    a person writes: {"text", "thread_id", "reply_to"} → [Message]
//	POST /api/chats/{id}/press       a person presses: {"message_id", "label"} or {"message_id", "row", "column"} → {"callback_id"}
//	GET  /api/chats/{id}/commands    the [Command]s that the bot offers there
//	GET  /api/files/{id}/{name}      a document's content
//	GET  /api/events                 [Event]s as they happen (server-sent events)
//	GET  /api/stats                  [Stats]
//	POST /api/misbehave              a [Fault]; DELETE ends all of them
//
// Errors of the page's API are {"error": "…"} with a 4xx status.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/bot"):
		s.serveBot(w, r, strings.TrimPrefix(path, "/bot"))
	case strings.HasPrefix(path, "/file/bot"):
		s.serveFile(w, strings.TrimPrefix(path, "/file/bot"))
	default:
		s.page.ServeHTTP(w, r)
	}
}

func (s *Server) serveBot(w http.ResponseWriter, r *http.Request, path string) {
	token, name, _ := strings.Cut(path, "/")
	if token != s.opts.Token {
		writeResult(w, nil, errUnauthorized)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		writeResult(w, nil, errNotAllowed)
		return
	}
	answer, known := s.methods[strings.ToLower(name)]
	if !known {
		writeResult(w, nil, errNotFound)
		return
	}
	p, err := readParams(w, r)
	if err != nil {
		writeResult(w, nil, err)
		return
	}
	s.count(name)
	fault := s.nextFault(name, p.integer("chat_id"))
	if fault != nil && !fault.before(w, r) {
		return
	}
	result, err := answer(&call{params: p, request: r})
	if r.Context().Err() != nil {
		return // nobody is listening any more
	}
	if err != nil {
		s.opts.Log.Debug("telegram refuses", slog.String("method", name),
			slog.Int("code", err.Code), slog.String("description", err.Description))
	}
	if fault != nil && fault.Kind == AnswerLost {
		cut(w)
		return
	}
	writeResult(w, result, err)
}

func (s *Server) count(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Calls[name]++
}

// allMethods are those of the Bot API that datawatch calls.
func (s *Server) allMethods() map[string]method {
	list := map[string]method{
		"getMe":                  s.getMe,
		"getUpdates":             s.getUpdates,
		"getWebhookInfo":         s.getWebhookInfo,
		"deleteWebhook":          s.deleteWebhook,
		"getChat":                s.locked(s.getChat),
		"sendMessage":            s.locked(s.sendMessage),
		"sendDocument":           s.locked(s.sendDocument),
		"editMessageText":        s.locked(s.editMessageText),
		"editMessageCaption":     s.locked(s.editMessageCaption),
		"editMessageReplyMarkup": s.locked(s.editMessageReplyMarkup),
		"deleteMessage":          s.locked(s.deleteMessage),
		"answerCallbackQuery":    s.locked(s.answerCallbackQuery),
		"setMyCommands":          s.locked(s.setMyCommands),
		"getMyCommands":          s.locked(s.getMyCommands),
		"deleteMyCommands":       s.locked(s.deleteMyCommands),
		"getFile":                s.locked(s.getFile),
	}
	out := make(map[string]method, len(list))
	for name, m := range list {
		out[strings.ToLower(name)] = m
	}
	return out
}

func (s *Server) locked(m method) method {
	return func(c *call) (any, *failure) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return m(c)
	}
}

func (s *Server) getMe(*call) (any, *failure) {
	me := s.botUser()
	canJoin, readsAll, inline := true, false, false
	me.CanJoinGroups, me.CanReadAll, me.Inline = &canJoin, &readsAll, &inline
	return me, nil
}

func (s *Server) getWebhookInfo(*call) (any, *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]any{"url": "", "has_custom_certificate": false, "pending_update_count": len(s.updates.pending)}, nil
}

func (s *Server) deleteWebhook(c *call) (any, *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.flag("drop_pending_updates") {
		s.updates.pending = nil
	}
	return true, nil
}

// now is the time by the server's clock.
func (s *Server) now() time.Time { return s.opts.Clock() }

func (s *Server) chatByID(id int64) *chat {
	i := slices.IndexFunc(s.chats, func(c *chat) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	return s.chats[i]
}
