package telegramsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Kinds of events.
const (
	EventMessage  = "message"  // a new or changed Message
	EventDelete   = "delete"   // MessageID of ChatID is gone
	EventCallback = "callback" // Answer to CallbackID
	EventChat     = "chat"     // a new or changed Chat
	EventCommands = "commands" // the bot's list of commands changed
)

// Event is something that the page shows, as /api/events sends it: the kind
// is the event's name, the whole its data.
type Event struct {
	Kind       string    `json:"kind"`
	ChatID     int64     `json:"chat_id,omitempty"`
	MessageID  int64     `json:"message_id,omitempty"`
	Message    *Message  `json:"message,omitempty"`
	Chat       *ChatInfo `json:"chat,omitempty"`
	CallbackID string    `json:"callback_id,omitempty"`
	Row        int       `json:"row"`    // of the pressed button
	Column     int       `json:"column"` // of the pressed button
	Answer     *Answer   `json:"answer,omitempty"`
}

// backlog is how far a reader of events may fall behind before it is cut off.
const backlog = 512

// hub passes events on to whoever listens.
type hub struct {
	mu     sync.Mutex
	closed bool
	open   map[chan Event]struct{}
}

func newHub() *hub { return &hub{open: map[chan Event]struct{}{}} }

// subscribe listens from now on. The channel is closed when the reader falls
// behind, and when the server closes.
func (h *hub) subscribe() (<-chan Event, func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	events := make(chan Event, backlog)
	if h.closed {
		close(events)
		return events, func() {}
	}
	h.open[events] = struct{}{}
	return events, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.drop(events)
	}
}

func (h *hub) drop(events chan Event) {
	if _, ok := h.open[events]; ok {
		delete(h.open, events)
		close(events)
	}
}

func (h *hub) publish(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for events := range h.open {
		select {
		case events <- e:
		default:
			h.drop(events)
		}
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for events := range h.open {
		h.drop(events)
	}
}

// serveEvents streams to one page until it leaves or falls behind; it then
// reads the state anew.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	events, cancel := s.hub.subscribe()
	defer cancel()
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	fmt.Fprint(w, "retry: 1000\nevent: hello\ndata: {}\n\n")
	alive := time.NewTicker(15 * time.Second)
	defer alive.Stop()
	for control.Flush() == nil {
		select {
		case e, open := <-events:
			if !open {
				return
			}
			data, err := json.Marshal(e)
			if err != nil {
				return
			}
			fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e.Kind, data)
		case <-alive.C:
			fmt.Fprint(w, ": alive\n\n")
		case <-r.Context().Done():
			return
		}
	}
}
