package lint

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"datawatch/pkg/cel"
	"datawatch/validator/internal/schemas"
)

// globs finds globs that never apply, as a longer one takes all their streams, and pairs that only their names decide between.
func (l *linter) globs() {
	var all []*schemas.Source
	for _, s := range l.folder.Sources {
		if _, ok := s.Glob(); ok {
			all = append(all, s)
		}
	}
	for i, a := range all {
		for _, b := range all[i+1:] {
			winner, loser := a, b
			if len(b.Name) > len(a.Name) {
				winner, loser = b, a
			}
			wins, _ := winner.Glob()
			loses, _ := loser.Glob()
			switch {
			case covers(wins, loses):
				l.add("glob", schemas.Problem{
					File: loser.Name, Severity: cel.Warning, Message: fmt.Sprintf("never applies: %s is longer and takes every stream of it", winner.Name),
					Hint: "the longest glob wins, whatever it matches",
				})
			case len(wins) == len(loses) && overlap(tokens(wins), tokens(loses)):
				l.add("glob", schemas.Problem{
					File: loser.Name, Severity: cel.Warning, Message: fmt.Sprintf("may match the same streams as %s, which is as long: the first by name wins", winner.Name),
					Hint: "make the one longer that is to win",
				})
			}
		}
	}
}

// token is one element of a glob: a star, or what one character may be.
type token struct {
	star  bool
	class string // a pattern for one character, as path.Match takes it
}

func tokens(glob string) []token {
	var all []token
	for i := 0; i < len(glob); i++ {
		switch glob[i] {
		case '*':
			all = append(all, token{star: true})
		case '[':
			end := i + 1
			for end < len(glob) && (glob[end] != ']' || end == i+1) {
				end++
			}
			all = append(all, token{class: glob[i:min(end+1, len(glob))]})
			i = end
		case '\\':
			i++
			all = append(all, token{class: glob[i-1 : min(i+1, len(glob))]})
		default:
			all = append(all, token{class: glob[i : i+1]})
		}
	}
	return all
}

// alphabet is what an entity's name may be made of, and the slash.
const alphabet = "/ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.%"

// common tells whether one character fits both.
func common(a, b string) bool {
	return strings.ContainsFunc(alphabet, func(c rune) bool {
		inA, errA := path.Match(a, string(c))
		inB, errB := path.Match(b, string(c))
		return inA && inB && errA == nil && errB == nil
	})
}

// overlap tells whether there is a stream that both globs match.
func overlap(a, b []token) bool {
	switch {
	case len(a) == 0 && len(b) == 0:
		return true
	case len(a) > 0 && a[0].star:
		return overlap(a[1:], b) || len(b) > 0 && (b[0].star || b[0].class != "/") && overlap(a, b[1:])
	case len(b) > 0 && b[0].star:
		return overlap(b, a)
	case len(a) == 0 || len(b) == 0:
		return false
	}
	return common(a[0].class, b[0].class) && overlap(a[1:], b[1:])
}

// covers tells whether every stream that narrow matches is matched by wide, as far as its streams can be tried.
func covers(wide, narrow string) bool {
	witnesses := []string{""}
	for _, t := range tokens(narrow) {
		var parts []string
		if t.star {
			parts = []string{"", "0", "zQ_9", "a.b-Z"}
		} else {
			for _, c := range alphabet {
				if ok, err := path.Match(t.class, string(c)); ok && err == nil && len(parts) < 4 {
					parts = append(parts, string(c))
				}
			}
		}
		var next []string
		for _, w := range witnesses {
			for _, p := range parts {
				next = append(next, w+p)
			}
		}
		if witnesses = next; len(witnesses) > 4096 {
			return false
		}
	}
	return len(witnesses) > 0 && !slices.ContainsFunc(witnesses, func(stream string) bool {
		ok, err := path.Match(wide, stream)
		return err != nil || !ok
	})
}
