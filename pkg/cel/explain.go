package cel

import "context"

// Comparison is the comparison that made an expression false.
type Comparison struct {
	Left  Side
	Op    string // == != < <= > >= in; where the rule negates it, what it wanted: !(a == b) gives !=
	Right Side
	Index []int // the element of each all() around it, outermost first
}

// Side is one side of a comparison.
type Side struct {
	Value Value
	Paths [][]string // the fields that the side reads, as in Program.Paths
}

// Explain evaluates an expression that gave false again, and finds the first
// comparison that failed: through &&, ||, !, ?:, all(), and where !exists() found
// one. A bool that is read is compared with true. Where nothing was compared (a
// string function, an exists() that found none) ok is false.
func (p *Program) Explain(ctx context.Context, b Bindings) (found Comparison, ok bool) {
	f := p.bound(ctx, b)
	defer p.release(f)
	defer func() {
		if recover() != nil { // Eval has told of it
			found, ok = Comparison{}, false
		}
	}()
	if v := p.root.eval(f); v.kind != Bool || v.Bool() {
		return Comparison{}, false
	}
	return explain(f, p.root, true)
}

// explain looks in n, which isn't as wanted, for the comparison that is to blame.
func explain(f *frame, n *node, want bool) (Comparison, bool) {
	if n.explain != nil {
		return n.explain(f, want)
	}
	if n.soft == nil {
		return Comparison{}, false
	}
	v := n.eval(f)
	if v.kind != Bool || v.Bool() == want {
		return Comparison{}, false
	}
	return Comparison{Left: Side{v, n.reads}, Op: "==", Right: Side{Value: BoolValue(want)}}, true
}

var opposite = map[string]string{"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "in": "not in"}

func compared(n *node, op string, x, y *node) func(*frame, bool) (Comparison, bool) {
	return func(f *frame, want bool) (Comparison, bool) {
		if v := n.eval(f); v.kind != Bool || v.Bool() == want {
			return Comparison{}, false
		}
		shown := op
		if !want {
			shown = opposite[op]
		}
		return Comparison{Left: Side{x.eval(f), x.reads}, Op: shown, Right: Side{y.eval(f), y.reads}}, true
	}
}

// explainJunction: where the result is the decisive one, one side alone is to
// blame; otherwise both are, and the first that can be explained is told.
func explainJunction(x, y *node, decisive bool) func(*frame, bool) (Comparison, bool) {
	return func(f *frame, want bool) (Comparison, bool) {
		for _, side := range []*node{x, y} {
			v := side.eval(f)
			if v.kind != Bool || v.Bool() == want || want != decisive && v.Bool() != decisive {
				continue
			}
			if found, ok := explain(f, side, want); ok {
				return found, true
			}
			if want != decisive {
				break
			}
		}
		return Comparison{}, false
	}
}
