package daemon

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"datawatch/pkg/reason"
)

// Status is how a dependency is.
type Status string

// The statuses. Degraded is ready: it works, but somebody should look.
const (
	Ready    Status = "ready"
	Degraded Status = "degraded"
	NotReady Status = "not ready"
)

// Health knows how each dependency of a service is, by name: "broker", "source shop-db", "schemas", "telegram".
type Health struct {
	mu     sync.Mutex
	parts  map[string]part
	canary time.Time // when the one that is farthest behind was sent; zero is none
	now    func() time.Time
}

type part struct {
	Status Status    `json:"status"`
	Reason string    `json:"reason,omitempty"` // in English
	Since  time.Time `json:"since"`

	why reason.Text
}

// NewHealth knows no dependency yet, and is not ready until the first is told.
func NewHealth() *Health { return &Health{parts: map[string]part{}, now: time.Now} }

// Set tells how a dependency is; why says why it isn't ready, and what to do.
func (h *Health) Set(name string, status Status, why reason.Text) {
	h.mu.Lock()
	defer h.mu.Unlock()
	since := h.now().UTC()
	if old, ok := h.parts[name]; ok && old.Status == status {
		since = old.Since
	}
	h.parts[name] = part{Status: status, Reason: why.String(), Since: since, why: why}
}

// Forget takes a dependency away.
func (h *Health) Forget(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.parts, name)
}

// Part is how a dependency is.
type Part struct {
	Name   string
	Status Status
	Reason string // in English
	Why    reason.Text
	Since  time.Time
}

// Parts are the dependencies, by name.
func (h *Health) Parts() []Part {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all()
	out := make([]Part, 0, len(all))
	for name, p := range all {
		out = append(out, Part{name, p.Status, p.Reason, p.why, p.Since})
	}
	slices.SortFunc(out, func(a, b Part) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Overall is the worst of the dependencies.
func (h *Health) Overall() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.overall()
}

func (h *Health) overall() Status {
	if len(h.parts) == 0 {
		return NotReady
	}
	worst := Ready
	for _, p := range h.all() {
		if p.Status == NotReady {
			return NotReady
		}
		if p.Status == Degraded {
			worst = Degraded
		}
	}
	return worst
}

// ServeHTTP is /readyz: 200 when every dependency is ready or degraded, else 503, with each by name in JSON.
func (h *Health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	answer := struct {
		Status       Status          `json:"status"`
		Dependencies map[string]part `json:"dependencies"`
	}{h.overall(), make(map[string]part, len(h.parts))}
	for name, p := range h.all() {
		answer.Dependencies[name] = p
	}
	h.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if answer.Status == NotReady {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(answer) // the client is gone: nobody is left to tell
}
