package accept

import (
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// expression is a regular expression. Those that are a sequence of characters and classes, each a number of times, from the
// beginning to the end of a text, are matched without the engine.
type expression struct {
	engine *regexp.Regexp
	steps  []step // nil: the engine is asked
}

// step is a class of ASCII characters, at least and at most so many.
type step struct {
	set         [2]uint64
	least, most int
}

func (s *step) has(c byte) bool { return c < utf8.RuneSelf && s.set[c/64]&(1<<(c%64)) != 0 }

func (s *step) meets(o *step) bool { return s.set[0]&o.set[0]|s.set[1]&o.set[1] != 0 }

const (
	unbounded = 1 << 30
	maxSteps  = 64
)

func newExpression(engine *regexp.Regexp) *expression {
	e := &expression{engine: engine}
	if parsed, err := syntax.Parse(engine.String(), syntax.Perl); err == nil {
		if steps, ok := stepsOf(parsed); ok && certain(steps) {
			e.steps = steps
		}
	}
	return e
}

// MatchString tells what the engine would.
func (e *expression) MatchString(s string) bool {
	if e.steps == nil {
		return e.engine.MatchString(s)
	}
	at := 0
	for i := range e.steps {
		step := &e.steps[i]
		n := 0
		for at < len(s) && n < step.most && step.has(s[at]) {
			at++
			n++
		}
		if n < step.least {
			return false
		}
	}
	return at == len(s)
}

// stepsOf reads ^…$.
func stepsOf(r *syntax.Regexp) ([]step, bool) {
	if r.Op != syntax.OpConcat || len(r.Sub) < 3 || len(r.Sub) > maxSteps || r.Sub[0].Op != syntax.OpBeginText || r.Sub[len(r.Sub)-1].Op != syntax.OpEndText {
		return nil, false
	}
	var all []step
	for _, sub := range r.Sub[1 : len(r.Sub)-1] {
		least, most := 1, 1
		switch sub.Op {
		case syntax.OpStar:
			least, most, sub = 0, unbounded, sub.Sub[0]
		case syntax.OpPlus:
			least, most, sub = 1, unbounded, sub.Sub[0]
		case syntax.OpQuest:
			least, most, sub = 0, 1, sub.Sub[0]
		case syntax.OpRepeat:
			least, most, sub = sub.Min, sub.Max, sub.Sub[0]
			if most < 0 {
				most = unbounded
			}
		}
		if sub.Flags&(syntax.FoldCase|syntax.NonGreedy) != 0 {
			return nil, false
		}
		switch sub.Op {
		case syntax.OpLiteral:
			if most != 1 && len(sub.Rune) != 1 {
				return nil, false
			}
			for _, c := range sub.Rune {
				s := step{least: least, most: most}
				if !s.add(c, c) {
					return nil, false
				}
				all = append(all, s)
			}
		case syntax.OpCharClass:
			s := step{least: least, most: most}
			for i := 0; i < len(sub.Rune); i += 2 {
				if !s.add(sub.Rune[i], sub.Rune[i+1]) {
					return nil, false
				}
			}
			all = append(all, s)
		default:
			return nil, false
		}
	}
	return all, true
}

// add takes a range of characters, as far as they are ASCII.
func (s *step) add(from, to rune) bool {
	if to >= utf8.RuneSelf {
		return false
	}
	for c := from; c <= to; c++ {
		s.set[c/64] |= 1 << (c % 64)
	}
	return true
}

// certain tells whether taking as many characters as a step can is always right: none of them could be the next step's.
func certain(steps []step) bool {
	for i := range steps {
		if steps[i].least == steps[i].most {
			continue
		}
		for j := i + 1; j < len(steps); j++ {
			if steps[i].meets(&steps[j]) {
				return false
			}
			if steps[j].least > 0 {
				break
			}
		}
	}
	return true
}
