package accept

// maxUnique is up to how many elements are compared with each other.
const maxUnique = 64

// fits tells whether there may be so many elements.
func (n *listRules) fits(count int) bool {
	return (n.least == -1 || count >= n.least) && (n.most == -1 || count <= n.most) && (!n.none || count <= len(n.first))
}

// of is what an element has to be; nil: whatever.
func (n *listRules) of(at int) *node {
	if at < len(n.first) {
		return n.first[at]
	}
	return n.rest
}

func (w *walk) list(n *listRules, i int32) answer {
	k := &w.tokens[i]
	if !n.fits(k.count()) {
		return no
	}
	result := yes
	if n.unique {
		result = w.unique(i)
	}
	if n.first != nil || n.rest != nil {
		at := 0
		for e := i + 1; e < k.next && result > no; e = w.tokens[e].next {
			element := n.of(at)
			at++
			if element == nil {
				break
			}
			result = min(result, w.check(element, e))
		}
	}
	if n.contains != nil && result > no {
		result = min(result, w.contains(n, i))
	}
	return result
}

func (w *walk) contains(n *listRules, i int32) answer {
	w.quiet++
	defer func() { w.quiet-- }()
	least, most := 0, 0 // how many fit, as far as it is known
	for e := i + 1; e < w.tokens[i].next; e = w.tokens[e].next {
		switch w.check(n.contains, e) {
		case yes:
			least, most = least+1, most+1
		case unknown:
			most++
		}
	}
	enough := bounded(least, most, n.leastFitting, 1<<62)
	if n.mostFitting == -1 {
		return enough
	}
	return min(enough, bounded(least, most, 0, n.mostFitting))
}

// bounded tells whether a number between least and most lies from low to high.
func bounded(least, most, low, high int) answer {
	switch {
	case least >= low && most <= high:
		return yes
	case most < low || least > high:
		return no
	}
	return unknown
}

// unique tells whether all elements differ; of lists and objects it isn't known.
func (w *walk) unique(i int32) answer {
	k := &w.tokens[i]
	if k.count() > maxUnique {
		return unknown
	}
	containers := 0
	for a := i + 1; a < k.next; a = w.tokens[a].next {
		if kind := w.tokens[a].kind; kind == list || kind == object {
			containers++
			continue
		}
		for b := i + 1; b < a; b = w.tokens[b].next {
			if w.same(a, b) {
				return no
			}
		}
	}
	if containers > 1 {
		return unknown
	}
	return yes
}

// same compares two scalars; b may be anything.
func (w *walk) same(a, b int32) bool {
	x, y := &w.tokens[a], &w.tokens[b]
	if x.kind != y.kind {
		return false
	}
	switch x.kind {
	case boolean:
		return x.flags == y.flags
	case number:
		return sameNumber(w.span(a), w.span(b))
	case text:
		return w.string(a) == w.string(b)
	}
	return true
}

// fits tells whether there may be so many members.
func (o *objectRules) fits(count int) bool {
	return (o.least == -1 || count >= o.least) && (o.most == -1 || count <= o.most)
}

func (w *walk) object(n *objectRules, i int32) answer {
	k := &w.tokens[i]
	if !n.fits(k.count()) {
		return no
	}
	var seen set
	result := yes
	for m := i + 1; m < k.next; m = w.tokens[m+1].next {
		if result = min(result, w.member(n, m, &seen)); result == no {
			return no
		}
	}
	if !seen.holds(&n.required) {
		return no
	}
	for j := range n.needs {
		need := &n.needs[j]
		if !seen.has(need.member) {
			continue
		}
		if !seen.holds(&need.names) {
			return no
		}
		if need.node != nil {
			if result = min(result, w.check(need.node, i)); result == no {
				return no
			}
		}
	}
	return result
}

// member checks the member whose name is at a token.
func (w *walk) member(n *objectRules, m int32, seen *set) answer {
	result := yes
	name := w.inner(m)
	if n.every != nil {
		w.quiet++
		result = w.check(n.every, m)
		w.quiet--
	}
	named := false
	if at := n.names.find(name, w.tokens[m].hash()); at >= 0 {
		seen.add(at)
		if property := n.members[at]; property != nil {
			named = true
			result = min(result, w.check(property, m+1))
		}
	}
	for j := range n.patterns {
		if p := &n.patterns[j]; p.name.MatchString(name) {
			named = true
			result = min(result, w.check(p.node, m+1))
		}
	}
	switch {
	case named:
	case n.closed:
		return no
	case n.others != nil:
		result = min(result, w.check(n.others, m+1))
	}
	return result
}
