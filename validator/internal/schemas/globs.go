package schemas

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"datawatch/pkg/cel"
)

// RemarkKind is what is remarkable about a file that is right in itself; it is a metric's label.
type RemarkKind string

// The kinds of remarks.
const (
	// Shadowed: the file never judges, a longer glob takes every stream of it.
	Shadowed RemarkKind = "shadowed"
	// Ambiguous: another glob that is as long may match the same streams, and only their names decide.
	Ambiguous RemarkKind = "ambiguous"
	// Unmatched: no stream of the last day is judged by the file.
	Unmatched RemarkKind = "unmatched"
	// Unrunnable: a rule of it names old, and a stream's changes come without a before image.
	Unrunnable RemarkKind = "unrunnable"
)

// Remark is something about a file that is right in itself, but can't do what its author meant.
type Remark struct {
	Kind   RemarkKind
	File   string
	Other  string // Shadowed, Ambiguous: the file that judges instead
	Rule   string // Unrunnable
	Stream string // Unrunnable: of which; Unmatched: the stream that was probably meant, or empty
}

// Problem is what linter and log say of it.
func (r Remark) Problem() Problem {
	p := Problem{File: r.File, Severity: cel.Warning}
	switch r.Kind {
	case Shadowed:
		p.Message = fmt.Sprintf("never applies: %s is longer and takes every stream of it", r.Other)
		p.Hint = "the longest glob wins, whatever it matches"
	case Ambiguous:
		p.Message = fmt.Sprintf("may match the same streams as %s, which is as long: the first by name wins", r.Other)
		p.Hint = "make the one longer that is to win"
	case Unmatched:
		p.Message, p.Hint = "matches no stream seen for a day", "the path is the stream, in its case: <source>/<entity>.json"
		if r.Stream != "" {
			p.Hint = "did you mean " + r.Stream + suffix + "?"
		}
	case Unrunnable:
		p.Message = fmt.Sprintf("the rule %q can't run on %s: it names old, and its changes come without a before image", r.Rule, r.Stream)
		p.Hint = "PostgreSQL: replica identity full or triggers; MongoDB: pre-images; Kafka: a change envelope"
	}
	return p
}

// CompareGlobs finds, among the names of files, globs that never apply, as a longer one takes all their streams, and pairs
// that only their names decide between. Names without a pattern are passed over: an exact name beats every glob.
func CompareGlobs(names []string) []Remark {
	type glob struct{ name, pattern, prefix string }
	var all []glob
	for _, name := range names {
		pattern := strings.TrimSuffix(name, suffix)
		if at := strings.IndexAny(pattern, `*?[\`); at >= 0 && strings.ContainsAny(pattern, "*?[") {
			all = append(all, glob{name, pattern, pattern[:at]})
		}
	}
	slices.SortFunc(all, func(a, b glob) int { return strings.Compare(a.name, b.name) })
	var remarks []Remark
	for i, a := range all {
		for _, b := range all[i+1:] {
			if !strings.HasPrefix(a.prefix, b.prefix) && !strings.HasPrefix(b.prefix, a.prefix) {
				continue // they differ before any pattern begins: most of a large folder does
			}
			wins, loses := a, b
			if len(b.name) > len(a.name) {
				wins, loses = b, a
			}
			switch {
			case covers(wins.pattern, loses.pattern):
				remarks = append(remarks, Remark{Kind: Shadowed, File: loses.name, Other: wins.name})
			case len(wins.name) == len(loses.name) && overlap(tokens(wins.pattern), tokens(loses.pattern)):
				remarks = append(remarks, Remark{Kind: Ambiguous, File: loses.name, Other: wins.name})
			}
		}
	}
	return remarks
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

// overlap tells whether there is a stream that both globs match. Each pair of places is looked at once, however many stars.
func overlap(a, b []token) bool {
	seen := map[[2]int]bool{}
	var from func(i, j int) bool
	from = func(i, j int) bool {
		if seen[[2]int{i, j}] {
			return false
		}
		seen[[2]int{i, j}] = true
		switch {
		case i == len(a) && j == len(b):
			return true
		case i < len(a) && a[i].star:
			return from(i+1, j) || j < len(b) && (b[j].star || b[j].class != "/") && from(i, j+1)
		case j < len(b) && b[j].star:
			return from(i, j+1) || i < len(a) && a[i].class != "/" && from(i+1, j)
		case i == len(a) || j == len(b):
			return false
		}
		return common(a[i].class, b[j].class) && from(i+1, j+1)
	}
	return from(0, 0)
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
