package telegram

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// patience is how long Telegram may be away before that is told.
const patience = 30 * time.Second

// health tells whether messages go through, once a change.
type health struct {
	mu      sync.Mutex
	report  func(error)
	told    bool
	last    string
	refused map[int64]string // chats that somebody has to mend
	away    string           // why Telegram can't be reached
	since   time.Time        // of the failures in a row
}

func newHealth(report func(error)) *health {
	return &health{report: report, refused: map[int64]string{}}
}

// observe takes what came of an attempt; err is the error of one that was given up.
func (h *health) observe(chat int64, v verdict, err error, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch v.outcome {
	case done, notModified, logged:
		delete(h.refused, chat)
		h.away, h.since = "", time.Time{}
	case refused:
		h.refused[chat] = err.Error()
		h.away, h.since = "", time.Time{}
	case migrated:
		delete(h.refused, chat)
	case network, server:
		if h.since.IsZero() {
			h.since = now
		}
		if h.away == "" && now.Sub(h.since) >= patience {
			h.away = "telegram can't be reached: " + v.err.Error()
		}
	}
	h.tell()
}

func (h *health) tell() {
	text := h.away
	if text == "" && len(h.refused) > 0 {
		text = h.refused[slices.Min(slices.Collect(maps.Keys(h.refused)))]
	}
	if h.told && text == h.last || !h.told && text == "" && !h.since.IsZero() {
		return
	}
	h.told, h.last = true, text
	if text == "" {
		h.report(nil)
		return
	}
	h.report(errors.New(text))
}
