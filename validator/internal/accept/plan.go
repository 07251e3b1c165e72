package accept

// plan is what is left to check of a value of a known form: which names, nesting and numbers of members and elements it has is
// known, so only its scalars are looked at, each by what the schema says of its place.
type plan struct {
	checks  []planned
	pending []pending // rules of its lists and objects
}

type planned struct {
	node  *node
	token int32
}

// mostPlanned is how many checks a plan may have; a schema that has more to say of a value is walked through each time.
const mostPlanned = 4000

// newPlan is nil where the schema has something to say of a value of this form that isn't for its scalars to tell, or doesn't
// let it be.
func newPlan(p *Program, t *tape, at int32) *plan {
	b := planner{walk: walk{tape: t, steps: budget}, plan: &plan{}}
	if !b.value(p.root, at) {
		return nil
	}
	return b.plan
}

// planner makes a plan.
type planner struct {
	walk walk
	plan *plan
}

// whole leaves all that a node says of a value to be checked each time.
func (b *planner) whole(n *node, i int32) bool {
	b.plan.checks = append(b.plan.checks, planned{n, i})
	return len(b.plan.checks) < mostPlanned
}

// value plans for what walk.check does; false where there is no plan.
func (b *planner) value(n *node, i int32) bool {
	for n.only != nil {
		n = n.only
	}
	if n.trivial {
		return true
	}
	if b.walk.steps--; b.walk.steps < 0 {
		return false
	}
	k := &b.walk.tokens[i]
	if k.kind != list && k.kind != object {
		return b.whole(n, i)
	}
	bit := k.kind.bit()
	if n.never || n.types&bit == 0 || n.unknown&bit != 0 || n.values != nil || n.format != nil && n.format.own {
		return false
	}
	if p := n.inPlace; p != nil && (p.any != nil || p.one != nil || p.not != nil || p.condition != nil) {
		return b.whole(n, i) // which branch holds may be for scalars to tell
	}
	if n.rules != nil {
		b.plan.pending = append(b.plan.pending, pending{n.rules, i})
	}
	if k.kind == list && n.lists != nil && !b.list(n.lists, i) || k.kind == object && n.objects != nil && !b.object(n.objects, i) {
		return false
	}
	if n.inPlace != nil {
		for _, all := range n.inPlace.all {
			if !b.value(all, i) {
				return false
			}
		}
	}
	return true
}

func (b *planner) list(n *listRules, i int32) bool {
	k := &b.walk.tokens[i]
	if n.unique || n.contains != nil || !n.fits(k.count()) {
		return false
	}
	at := 0
	for e := i + 1; e < k.next; e = b.walk.tokens[e].next {
		if element := n.of(at); element != nil && !b.value(element, e) {
			return false
		}
		at++
	}
	return true
}

func (b *planner) object(n *objectRules, i int32) bool {
	k := &b.walk.tokens[i]
	if n.every != nil || !n.fits(k.count()) {
		return false
	}
	var seen set
	for m := i + 1; m < k.next; m = b.walk.tokens[m+1].next {
		if !b.member(n, m, &seen) {
			return false
		}
	}
	if !seen.holds(&n.required) {
		return false
	}
	for j := range n.needs {
		need := &n.needs[j]
		if seen.has(need.member) && (!seen.holds(&need.names) || need.node != nil && !b.value(need.node, i)) {
			return false
		}
	}
	return true
}

func (b *planner) member(n *objectRules, m int32, seen *set) bool {
	name := b.walk.inner(m)
	named := false
	if at := n.names.find(name, b.walk.tokens[m].hash()); at >= 0 {
		seen.add(at)
		if property := n.members[at]; property != nil {
			named = true
			if !b.value(property, m+1) {
				return false
			}
		}
	}
	for j := range n.patterns {
		if p := &n.patterns[j]; p.name.MatchString(name) {
			named = true
			if !b.value(p.node, m+1) {
				return false
			}
		}
	}
	return named || !n.closed && (n.others == nil || b.value(n.others, m+1))
}

// follow checks the value by a plan; the rules of what holds are left pending.
func (w *walk) follow(p *plan) bool {
	w.pending = append(w.pending, p.pending...)
	for i := range p.checks {
		c := &p.checks[i]
		if w.check(c.node, c.token) != yes {
			return false
		}
	}
	return true
}
