package telegram

import (
	"maps"
	"slices"
	"sync"
	"time"

	"datawatch/pkg/reason"
)

// patience is how long Telegram may be away before that is told.
const patience = 30 * time.Second

// health tells whether messages go through, once a change.
type health struct {
	mu      sync.Mutex
	report  func(error)
	told    bool
	last    string
	refused map[int64]error // chats that somebody has to mend
	away    error           // why Telegram can't be reached
	since   time.Time       // of the failures in a row
}

func newHealth(report func(error)) *health {
	return &health{report: report, refused: map[int64]error{}}
}

// observe takes what came of an attempt; err is the error of one that was given up.
func (h *health) observe(chat int64, v verdict, err error, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch v.outcome {
	case done, notModified, logged:
		delete(h.refused, chat)
		h.away, h.since = nil, time.Time{}
	case refused:
		h.refused[chat] = err
		h.away, h.since = nil, time.Time{}
	case migrated:
		delete(h.refused, chat)
	case network, server:
		if h.since.IsZero() {
			h.since = now
		}
		if h.away == nil && now.Sub(h.since) >= patience {
			h.away = reason.Wrap(v.err, reason.TelegramAway.With())
		}
	}
	h.tell()
}

func (h *health) tell() {
	why, text := h.away, ""
	if why == nil && len(h.refused) > 0 {
		why = h.refused[slices.Min(slices.Collect(maps.Keys(h.refused)))]
	}
	if why != nil {
		text = why.Error()
	}
	if h.told && text == h.last || !h.told && text == "" && !h.since.IsZero() {
		return
	}
	h.told, h.last = true, text
	h.report(why)
}
