package feed

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

// viewer is one chat and what it is shown: what it follows, or everything.
type viewer struct {
	chat       telegram.Chat
	everything bool // where it follows nothing; else nothing is shown then
	backlog    *backlog
	soiled     chan struct{} // of capacity one: a verdict is to be written into a message

	mu      sync.Mutex
	follows []*Follow
}

// audience are the viewers, by chat.
type audience struct {
	mu      sync.Mutex
	viewers []*viewer
	joined  chan *viewer // those whose teller isn't started
	board   *board
}

// maxViewers bounds the chats that follow something.
const maxViewers = 100

// ErrTooMany says that no further chat can follow anything.
var ErrTooMany = errors.New("too many chats follow something already")

// maxFollows is how much one chat may follow.
const maxFollows = 20

// newAudience is the chat that is shown everything, where it follows nothing.
func newAudience(chat telegram.Chat, b *board) *audience {
	a := &audience{joined: make(chan *viewer, maxViewers+1), board: b}
	a.admit(chat).everything = true
	return a
}

func (a *audience) admit(chat telegram.Chat) *viewer {
	v := &viewer{chat: chat, soiled: make(chan struct{}, 1)}
	v.backlog = newBacklog(func(t *transaction) {
		if slices.Contains(t.wanted, v) { // its verdict is to be told all the same
			a.board.show(t, v, telegram.Ref{}, 0)
		}
	})
	a.viewers = append(a.viewers, v)
	a.joined <- v
	return v
}

// list is who is there now.
func (a *audience) list() []*viewer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.viewers)
}

// of is the viewer of a chat; nil where there is none.
func (a *audience) of(chat telegram.Chat) *viewer {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, v := range a.viewers {
		if v.chat == chat {
			return v
		}
	}
	return nil
}

// join is the viewer of a chat, a new one where there is none.
func (a *audience) join(chat telegram.Chat) (*viewer, error) {
	if v := a.of(chat); v != nil {
		return v, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.viewers) > maxViewers {
		return nil, ErrTooMany
	}
	return a.admit(chat), nil
}

// following are the follows that haven't ended.
func (v *viewer) following(now time.Time) []*Follow {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.follows = slices.DeleteFunc(v.follows, func(f *Follow) bool { return !now.Before(f.Until) })
	return slices.Clone(v.follows)
}

func (v *viewer) follow(f *Follow) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.follows = slices.DeleteFunc(v.follows, func(old *Follow) bool { return old.Text == f.Text })
	if len(v.follows) >= maxFollows {
		return ErrTooMany
	}
	v.follows = append(v.follows, f)
	return nil
}

func (v *viewer) adopt(follows []*Follow) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.follows = follows
}

// unfollow ends what was written so; "" is all of it. It tells how many ended.
func (v *viewer) unfollow(text string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	before := len(v.follows)
	v.follows = slices.DeleteFunc(v.follows, func(f *Follow) bool { return text == "" || f.Text == text })
	return before - len(v.follows)
}

// regard is what viewers make of a stream: who is shown all of it, and who may be shown some of it.
type regard struct {
	all       []*viewer
	picky     []picky
	elsewhere bool // somebody follows something that isn't of this stream
}

type picky struct {
	viewer  *viewer
	follows []*Follow
}

// regard tells who may be shown changes of the stream.
func (a *audience) regard(stream event.Stream, now time.Time) regard {
	var r regard
	for _, v := range a.list() {
		follows := v.following(now)
		if len(follows) == 0 {
			if v.everything {
				r.all = append(r.all, v)
			}
			continue
		}
		follows = slices.DeleteFunc(follows, func(f *Follow) bool { return !f.concerns(stream) })
		if len(follows) == 0 {
			r.elsewhere = true
			continue
		}
		r.picky = append(r.picky, picky{v, follows})
	}
	return r
}

// counted tells whether nobody is shown rows of the stream now. Somebody who follows something else may yet be, with the
// transaction around them: only under pressure these are counted too.
func (r regard) counted(pressed bool) bool {
	if len(r.picky) > 0 || r.elsewhere && !pressed {
		return false
	}
	return !slices.ContainsFunc(r.all, func(v *viewer) bool { return !v.backlog.summing() })
}

// matching are the viewers that follow the change.
func (r regard) matching(ctx context.Context, e *event.Clean) []*viewer {
	var out []*viewer
	for _, p := range r.picky {
		if slices.ContainsFunc(p.follows, func(f *Follow) bool { return f.matches(ctx, e) }) {
			out = append(out, p.viewer)
		}
	}
	return out
}

// waiting is how much viewers weren't told of yet.
func (a *audience) waiting() float64 {
	n := 0
	for _, v := range a.list() {
		n += v.backlog.count()
	}
	return float64(n)
}
