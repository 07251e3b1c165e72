package feed

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

// WholeVerb is the verb of the button under a message that couldn't hold everything.
const WholeVerb = "file"

// Whole is what such a button stands for: a transaction, or what a digest summed up. The button itself carries it, so it
// outlives the process, and any collector can read the changes again from raw.
type Whole struct {
	First, Last time.Time // when the first and the last of the changes were captured
	Until       time.Time // when it was told: by then all of them were in raw
	Changes     int       // how many they are, at least
	Followed    bool      // only transactions with a change that the chat follows

	mark string // of the transaction; empty is a digest
}

// Kinds of a Whole, in the button.
const (
	wholeTransaction = "t"
	wholeDigest      = "d"
	wholeFollowed    = "f"
)

// Action is the button's data, far below the 64 bytes that Telegram allows.
func (w Whole) Action() string {
	kind := wholeDigest
	switch {
	case w.mark != "":
		kind = wholeTransaction
	case w.Followed:
		kind = wholeFollowed
	}
	number := func(n int64) string { return strconv.FormatInt(n, 36) }
	first := w.First.UnixMilli()
	about := []string{
		kind, number(first), number(ceilMilli(w.Last) - first), number(ceilMilli(w.Until) - first), number(int64(w.Changes)),
	}
	if w.mark != "" {
		about = append(about, w.mark)
	}
	return telegram.Action(WholeVerb, about...)
}

// ceilMilli never cuts off the last change.
func ceilMilli(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

var errNoWhole = errors.New("no such button")

// ParseWhole reads what Action wrote, without its verb.
func ParseWhole(about []string) (Whole, error) {
	length := map[string]int{wholeTransaction: 6, wholeDigest: 5, wholeFollowed: 5}
	if len(about) == 0 || len(about) != length[about[0]] {
		return Whole{}, errNoWhole
	}
	var n [4]int64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseInt(about[1+i], 36, 64); err != nil || n[i] < 0 {
			return Whole{}, fmt.Errorf("%w: %q", errNoWhole, about[1+i])
		}
	}
	w := Whole{
		First: time.UnixMilli(n[0]).UTC(), Last: time.UnixMilli(n[0] + n[1]).UTC(), Until: time.UnixMilli(n[0] + n[2]).UTC(),
		Changes: int(n[3]), Followed: about[0] == wholeFollowed,
	}
	if about[0] == wholeTransaction {
		w.mark = about[5]
	}
	return w, nil
}

// Digest tells whether it is what a digest summed up: everything of a stretch of time.
func (w Whole) Digest() bool { return w.mark == "" }

// Wants tells whether the event is one of those.
func (w Whole) Wants(e *event.Clean) bool {
	if e.Change == nil || e.Change.Op == event.Read {
		return false
	}
	if w.mark == "" {
		return !e.Change.CapturedAt.Before(w.First) && !e.Change.CapturedAt.After(w.Last)
	}
	id := e.Change.Origin.Transaction
	if id == "" {
		id = e.ID
	}
	return w.mark == markOf(name{e.Stream.Source(), id})
}

// markOf tells transactions apart in a button.
func markOf(n name) string {
	sum := sha256.Sum256([]byte(n.source + "\n" + n.id))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:8]))
}

// Follows tells whether a chat follows the change now. A chat that follows nothing is shown everything that is asked for.
func (f *Feed) Follows(chat telegram.Chat) func(ctx context.Context, e *event.Clean) bool {
	v := f.audience.of(chat)
	if v == nil {
		return nil
	}
	follows := v.following(time.Now())
	if len(follows) == 0 {
		return nil
	}
	return func(ctx context.Context, e *event.Clean) bool {
		return slices.ContainsFunc(follows, func(f *Follow) bool { return f.matches(ctx, e) })
	}
}

// whole is what a message stands for; it is told at a time.
func (w work) whole(v *viewer, told time.Time) Whole {
	if d := w.digest; d != nil {
		return Whole{First: d.caught.first, Last: d.caught.last, Until: later(told, d.caught.last), Changes: d.changes(), Followed: len(v.following(told)) > 0}
	}
	t := w.transaction
	return Whole{First: t.caught.first, Last: t.caught.last, Until: later(told, t.caught.last), Changes: t.changes(), mark: markOf(t.name())}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// wholeButton is the button for what a message couldn't hold.
func (w writer) wholeButton(whole Whole) [][]telegram.Button {
	return [][]telegram.Button{{{Text: w.words.whole, Data: whole.Action()}}}
}

// stretch is a stretch of time.
type stretch struct{ first, last time.Time }

func (s *stretch) add(first, last time.Time) {
	if first.IsZero() {
		return
	}
	if s.first.IsZero() || first.Before(s.first) {
		s.first = first
	}
	if last.After(s.last) {
		s.last = last
	}
}

// cuts notes whether something of a message was left out or shortened.
type cuts struct{ any bool }

// muchOfAValue is how long a value is of which too little is shown, in bytes: of shorter ones both ends say enough.
const muchOfAValue = 4 * maxField

// shorten is telegram.Shorten, and notes where too little is left.
func (w writer) shorten(text string) string {
	if len(text) > muchOfAValue {
		w.cut()
	}
	return telegram.Shorten(text, maxField)
}

func (w writer) cut() {
	if w.cuts != nil {
		w.cuts.any = true
	}
}
