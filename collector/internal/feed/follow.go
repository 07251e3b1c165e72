package feed

import (
	"context"
	"encoding/json"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"datawatch/pkg/event"
	"datawatch/pkg/filter"
	"datawatch/pkg/reason"
)

// Bounds of how long something is followed.
const (
	defaultFollow = 8 * time.Hour
	maxFollow     = 7 * 24 * time.Hour
)

// Follow is what somebody wants to see: changes for which all of it holds. The zero value matches everything.
//
//	orders                              a table, a collection, a topic; a glob; with its schema or source or without
//	orders user_id=42                   a field, before or after the change; inside documents by its path
//	tag=checkout-test                   also app=, user=, source=, key=, op=
//	orders after.total > 1000000        CEL over before, after, self, old, key, op, tag, actor, time, stream
//	… for 2h                            until then; 8 hours unless it is told, a week at most
type Follow struct {
	Text  string    `json:"text"` // as it was written, without its time to live
	By    string    `json:"by"`
	Until time.Time `json:"until"`

	stream     string // a glob; empty is every stream
	conditions []condition
	expression *filter.Filter
}

// condition is one "name=value".
type condition struct{ name, value string }

// Names that are no fields of a row.
const (
	byTag    = "tag"
	byApp    = "app"
	byUser   = "user"
	bySource = "source"
	byKey    = "key"
	byOp     = "op"
)

var (
	lifetime  = regexp.MustCompile(`(?:^|\s)for\s+(\d+)\s*(m|min|h|d)$`)
	plainTerm = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_.]*)=([^=\s]\S*)$`)
	// A first word that holds an operator, or that one follows, is no table.
	operators = regexp.MustCompile(`[<>!=&|()]`)
	operator  = regexp.MustCompile(`^(?:[<>=!&|?%+-]|\*\s|in\s)`)
)

// ParseFollow reads what a person wrote behind /follow. The error says what is wrong with it, for that person.
func ParseFollow(text, by string, now time.Time) (*Follow, error) {
	text = strings.TrimSpace(text)
	lives := defaultFollow
	if m := lifetime.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		unit := map[string]time.Duration{"m": time.Minute, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
		if err != nil || n == 0 || time.Duration(n) > maxFollow/unit {
			return nil, reason.New(reason.FollowTooLong.With())
		}
		lives = time.Duration(n) * unit
		text = strings.TrimSpace(text[:len(text)-len(m[0])])
	}
	if text == "" {
		return nil, reason.New(reason.FollowNothing.With())
	}
	f := &Follow{Text: text, By: by, Until: now.Add(lives)}
	return f, f.read()
}

// read makes what is needed for matching of the text, also of one that was kept.
func (f *Follow) read() error {
	rest := f.Text
	if first, after, _ := strings.Cut(rest, " "); !operators.MatchString(first) && !operator.MatchString(strings.TrimSpace(after)) {
		if _, err := path.Match(first, ""); err != nil {
			return reason.New(reason.FollowNoTable.With(strconv.Quote(first)))
		}
		f.stream, rest = first, strings.TrimSpace(after)
	}
	var expression []string
	for _, word := range words(rest) {
		if m := plainTerm.FindStringSubmatch(word); m != nil && len(expression) == 0 {
			f.conditions = append(f.conditions, condition{m[1], unquote(m[2])})
			continue
		}
		expression = append(expression, word)
	}
	if len(expression) == 0 {
		return nil
	}
	var err error
	f.expression, err = filter.Compile(strings.Join(expression, " "))
	return err
}

// words splits at spaces that aren't inside quotes.
func words(text string) []string {
	var quote rune
	return strings.FieldsFunc(text, func(r rune) bool {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		}
		return quote == 0 && unicode.IsSpace(r)
	})
}

func unquote(value string) string {
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		return value[1 : n-1]
	}
	return value
}

// concerns tells whether a change of the stream may match, without looking at it.
func (f *Follow) concerns(stream event.Stream) bool {
	for _, c := range f.conditions {
		if c.name == bySource && c.value != stream.Source() {
			return false
		}
	}
	if f.stream == "" {
		return true
	}
	name := stream.Readable()
	names := []string{name, string(stream), stream.Source() + "/" + name}
	for i, c := range name { // "orders" is public.orders too, and "orders.paid" shop.orders.paid
		if c == '.' {
			names = append(names, name[i+1:])
		}
	}
	for _, n := range names {
		if ok, err := path.Match(f.stream, n); err == nil && ok {
			return true
		}
	}
	return false
}

// matches tells whether the change is one of those. An expression that has no result for it doesn't match.
func (f *Follow) matches(ctx context.Context, e *event.Clean) bool {
	if !f.concerns(e.Stream) {
		return false
	}
	for _, c := range f.conditions {
		if !c.holds(e.Change) {
			return false
		}
	}
	if f.expression == nil {
		return true
	}
	match, applies, err := f.expression.Match(ctx, e)
	return match && applies && err == nil
}

func (c condition) holds(change *event.Change) bool {
	actor := change.Origin.Actor
	if actor == nil {
		actor = &event.Actor{}
	}
	switch c.name {
	case bySource:
		return true // concerns has seen to it
	case byTag:
		return change.Origin.Tag == c.value
	case byApp:
		return actor.Application == c.value
	case byUser:
		if actor.User == c.value {
			return true
		}
	case byOp:
		return string(change.Op) == c.value
	case byKey:
		if keyIs(change.Key, c.value) {
			return true
		}
	}
	steps := strings.Split(c.name, ".")
	return fieldIs(change.After, steps, c.value) || fieldIs(change.Before, steps, c.value) || fieldIs(change.Key, steps, c.value)
}

// keyIs compares a key of one column by its value, and any key by its JSON.
func keyIs(key json.RawMessage, value string) bool {
	if members, err := membersOf(key); err == nil && len(members) == 1 {
		return valueIs(members[0].value, value)
	}
	return valueIs(key, value)
}

func fieldIs(row json.RawMessage, steps []string, value string) bool {
	for _, step := range steps {
		members, err := membersOf(row)
		if err != nil {
			return false
		}
		row = nil
		for _, m := range members {
			if m.name == step {
				row = m.value
			}
		}
	}
	return row != nil && valueIs(row, value)
}

func valueIs(json json.RawMessage, value string) bool {
	if text, ok := textOf(json); ok {
		return text == value
	}
	return string(json) == value
}
