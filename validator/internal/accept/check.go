package accept

import "unicode/utf8"

// answer is what the acceptor knows of a value and a schema: no and yes are as certain as the library's.
type answer uint8

const (
	no answer = iota
	unknown
	yes
)

// walk is the checking of one value.
type walk struct {
	*tape
	steps   int // left until the acceptor gives up
	quiet   int // within schemas whose rules aren't asked: not, contains, propertyNames
	pending []pending
}

// pending is a place whose rules are to be asked.
type pending struct {
	rules []rule
	at    int32
}

// check tells whether the value at a token is valid. Rules of what holds are left pending; of what doesn't, they are of
// no use, and whoever goes on nevertheless takes them back.
func (w *walk) check(n *node, i int32) answer {
	for n.only != nil {
		n = n.only
	}
	if n.trivial {
		return yes
	}
	if n.never {
		return no
	}
	if w.steps--; w.steps < 0 {
		return unknown
	}
	k := &w.tokens[i]
	bit := k.kind.bit()
	if n.sure&bit != 0 {
		return yes
	}
	if n.types&bit == 0 || n.integers && k.kind == number && !isWhole(w.span(i), k.flags) {
		return no
	}
	if n.rules != nil && w.quiet == 0 {
		w.pending = append(w.pending, pending{n.rules, i})
	}
	result := yes
	if n.unknown&bit != 0 {
		result = unknown
	}
	for j := range n.values {
		result = min(result, w.oneOf(&n.values[j], i))
	}
	if n.format != nil {
		result = min(result, w.format(n.format, i))
	}
	if result > no {
		result = min(result, w.byKind(n, i))
	}
	if p := n.inPlace; p != nil && result > no {
		result = min(result, w.inPlace(p, i))
	}
	return result
}

func (w *walk) byKind(n *node, i int32) answer {
	switch w.tokens[i].kind {
	case number:
		if n.numbers != nil {
			return w.number(n.numbers, i)
		}
	case text:
		if n.texts != nil {
			return w.text(n.texts, i)
		}
	case list:
		if n.lists != nil {
			return w.list(n.lists, i)
		}
	case object:
		if n.objects != nil {
			return w.object(n.objects, i)
		}
	}
	return yes
}

func is(holds bool) answer {
	if holds {
		return yes
	}
	return no
}

// oneOf is for enum and const.
func (w *walk) oneOf(v *constants, i int32) answer {
	switch k := &w.tokens[i]; k.kind {
	case null:
		return is(v.null)
	case boolean:
		return is(k.flags&truth != 0 && v.yes || k.flags&truth == 0 && v.no)
	case text:
		s := w.string(i)
		for _, allowed := range v.texts {
			if s == allowed {
				return yes
			}
		}
	case number:
		n := w.figure(i)
		for j := range v.numbers {
			if v.numbers[j].compare(&n) == 0 {
				return yes
			}
		}
	default:
		if v.containers&k.kind.bit() != 0 {
			return unknown
		}
	}
	return no
}

func (w *walk) format(f *format, i int32) answer {
	if w.tokens[i].kind == text {
		return f.text(w.string(i))
	}
	return f.other(w.tape, i)
}

func (w *walk) number(n *numberRules, i int32) answer {
	if k := &w.tokens[i]; k.flags&exact != 0 && int(k.decimals) < len(n.limits) {
		if l := &n.limits[k.decimals]; l.known {
			return is(k.sum >= l.least && k.sum <= l.most && (l.step == 1 || k.sum%l.step == 0))
		}
	}
	f := w.figure(i)
	return is((n.minimum == nil || n.minimum.compare(&f) >= 0) && (n.above == nil || n.above.compare(&f) > 0) &&
		(n.maximum == nil || n.maximum.compare(&f) <= 0) && (n.below == nil || n.below.compare(&f) < 0) &&
		(n.multiple == nil || n.multiple.divides(&f)))
}

func (w *walk) text(n *textRules, i int32) answer {
	s := w.string(i)
	if n.least != -1 || n.most != -1 {
		length := len(s)
		if w.tokens[i].flags != 0 {
			length = utf8.RuneCountInString(s)
		}
		if n.least != -1 && length < n.least || n.most != -1 && length > n.most {
			return no
		}
	}
	return is(n.pattern == nil || n.pattern.MatchString(s))
}

func (w *walk) inPlace(p *inPlace, i int32) answer {
	result := yes
	for _, n := range p.all {
		if result = min(result, w.check(n, i)); result == no {
			return no
		}
	}
	if p.any != nil {
		result = min(result, w.any(p.any, i))
	}
	if p.one != nil && result > no {
		result = min(result, w.one(p.one, i))
	}
	if p.not != nil && result > no {
		w.quiet++
		result = min(result, yes-w.check(p.not, i))
		w.quiet--
	}
	if p.condition != nil && result > no {
		result = min(result, w.conditional(p, i))
	}
	return result
}

// branch checks a schema that needn't hold; the rules of one that doesn't are not asked.
func (w *walk) branch(n *node, i int32) answer {
	mark := len(w.pending)
	result := w.check(n, i)
	if result != yes {
		w.pending = w.pending[:mark]
	}
	return result
}

func (w *walk) any(branches []*node, i int32) answer {
	result := no
	certain := true // whether it is known of each branch with rules if it holds
	for _, n := range branches {
		if result == yes && !n.reaches {
			continue
		}
		a := w.branch(n, i)
		certain = certain && (a != unknown || !n.reaches)
		result = max(result, a)
	}
	if !certain {
		return min(result, unknown)
	}
	return result
}

func (w *walk) one(branches []*node, i int32) answer {
	holding, open := 0, 0
	for _, n := range branches {
		switch w.branch(n, i) {
		case yes:
			holding++
		case unknown:
			open++
		}
		if holding > 1 {
			return no
		}
	}
	switch {
	case open > 0:
		return unknown
	case holding == 1:
		return yes
	}
	return no
}

func (w *walk) conditional(p *inPlace, i int32) answer {
	var then *node
	switch w.branch(p.condition, i) {
	case yes:
		then = p.then
	case no:
		then = p.otherwise
	default:
		return unknown
	}
	if then == nil {
		return yes
	}
	return w.check(then, i)
}
