package cel

import (
	"cel.dev/cel-go/common/ast"
)

// assumedItems is how many elements a list counts as, for the estimate of the
// cost, where the schema says nothing.
const assumedItems = 100

// loop is a macro over the elements of a list or the names of an object.
type loop struct {
	n, items *node
	slot     int
	null     Value
}

// each binds the elements one after the other and calls visit until it says stop.
func (l *loop) each(f *frame, body int, visit func(i int) (stop bool)) (Value, bool) {
	v := l.items.eval(f)
	var names []string
	var list Sequence
	var count int
	switch v.kind {
	case List:
		list = v.list()
		count = list.Size()
	case Map:
		names = v.object().Keys()
		count = len(names)
	case failure:
		return v, true
	case Null:
		return l.null, true
	default:
		return failureOf(l.n.errorf(TypeError, "%s is %s: it has no elements", l.items.what("this"), v.kind.one())), true
	}
	for i := range count {
		if err := f.charge(1 + body); err != nil {
			return failureOf(err), true
		}
		if list != nil {
			f.locals[l.slot] = list.At(i)
		} else {
			f.locals[l.slot] = StringValue(names[i])
		}
		if visit(i) {
			break
		}
	}
	return Value{}, false
}

// macro compiles x.all(i, …) and its like.
func (c *compiler) macro(e ast.Expr) *node {
	call := e.AsCall()
	name, args := call.FunctionName(), call.Args()
	if len(args) != 2 && !(name == "map" && len(args) == 3) || args[0].Kind() != ast.IdentKind {
		return c.reject(e, "as in self.items."+name+"(i, i.price > 0)", "%s() takes a name for the element and an expression", name)
	}
	items := c.consumed(call.Target())
	if !items.broken && items.types&(List|Map) == 0 {
		return c.reject(e, "", "%s is %s: it has no elements", items.what("this"), items.types.one())
	}
	bound := local{name: args[0].AsIdent(), types: Any}
	switch {
	case items.types&List == 0 && !items.broken:
		bound.types = String
	case items.types&Map == 0:
		bound.shape, bound.types = items.shape.items(), items.shape.items().types()
	}
	if items.path != nil {
		bound.path = append(append([]string(nil), items.path...), "*")
	}
	l := &loop{items: items, slot: len(c.scope), null: failureOf(items.nullAs("the list of " + name + "()"))}
	c.scope = append(c.scope, bound)
	c.depth = max(c.depth, len(c.scope))
	body := make([]*node, 0, 2)
	for _, arg := range args[1:] {
		body = append(body, c.consumed(arg))
	}
	c.scope = c.scope[:len(c.scope)-1]
	n := c.made(e, Bool, nil, append(body, items)...)
	l.n = n
	perItem := 1.0
	for _, b := range body {
		perItem += b.cost
	}
	count := assumedItems
	if items.shape != nil && items.shape.MaxItems > 0 {
		count = items.shape.MaxItems
	}
	n.cost = items.cost + 1 + float64(count)*perItem
	condition := name != "map" || len(args) == 3
	if condition && !c.needBool(args[1], body[0], name+"()") {
		n.broken = true
	}
	switch name {
	case "all", "exists":
		c.quantifier(n, l, body[0], name == "exists")
	case "exists_one", "existsOne":
		c.existsOne(n, l, body[0])
	case "filter":
		n.types = List
		n.shape = &Shape{Type: List, Items: bound.shape}
		c.collect(n, l, body[0], nil)
	case "map":
		n.types = List
		last := body[len(body)-1]
		n.shape = &Shape{Type: List, Items: last.shape, MaxItems: count}
		if last.shape == nil && last.types&anything != anything {
			n.shape.Items = &Shape{Type: last.types}
		}
		if len(body) == 2 {
			c.collect(n, l, body[0], last)
		} else {
			c.collect(n, l, nil, last)
			if last.number != nil {
				n.total = totalOf(l, last.nodes, last)
			}
			if items.term != nil && last.term != nil {
				n.term = &Term{Op: TermEach, X: items.term, Y: last.term, Local: l.slot, Steps: 1 + last.nodes}
			}
		}
	}
	return n
}

// quantifier is all() (decisive false) and exists() (decisive true). An element
// that decides outweighs the failure of another, as in CEL.
func (c *compiler) quantifier(n *node, l *loop, body *node, decisive bool) {
	null := failureOf(body.nullAs("the condition"))
	n.eval = func(f *frame) Value {
		result := BoolValue(!decisive)
		v, bad := l.each(f, body.nodes, func(int) bool {
			v := body.truth(body.eval(f), null)
			switch {
			case v.kind == failure:
				if result.kind != failure || v.err().final() {
					result = v
				}
				return v.err().final()
			case v.Bool() == decisive:
				result = v
				return true
			}
			return false
		})
		if bad {
			return v
		}
		return result
	}
	n.explain = func(f *frame, want bool) (found Comparison, ok bool) {
		if want == decisive { // no element is to blame alone
			return Comparison{}, false
		}
		l.each(f, body.nodes, func(i int) bool {
			if v := body.eval(f); v.kind != Bool || v.Bool() != decisive {
				return false
			}
			if found, ok = explain(f, body, want); ok {
				found.Index = append([]int{i}, found.Index...)
			}
			return true
		})
		return found, ok
	}
}

func (c *compiler) existsOne(n *node, l *loop, body *node) {
	null := failureOf(body.nullAs("the condition"))
	n.eval = func(f *frame) Value {
		count, failed := 0, Value{}
		v, bad := l.each(f, body.nodes, func(int) bool {
			v := body.truth(body.eval(f), null)
			if v.kind == failure {
				failed = v
				return true
			}
			if v.Bool() {
				count++
			}
			return false
		})
		switch {
		case bad:
			return v
		case failed.kind == failure:
			return failed
		}
		return BoolValue(count == 1)
	}
}

// collect is filter() and map(): the elements, or what each gives, where the condition holds.
func (c *compiler) collect(n *node, l *loop, condition, each *node) {
	var null Value
	if condition != nil {
		null = failureOf(condition.nullAs("the condition"))
	}
	size := 0
	for _, part := range []*node{condition, each} {
		if part != nil {
			size += part.nodes
		}
	}
	n.eval = func(f *frame) Value {
		var made []Value
		var bad Value
		v, unusable := l.each(f, size, func(int) bool {
			if condition != nil {
				holds := condition.truth(condition.eval(f), null)
				if holds.kind == failure {
					bad = holds
					return true
				}
				if !holds.Bool() {
					return false
				}
			}
			v := f.locals[l.slot]
			if each != nil {
				v = each.eval(f)
			}
			if v.kind == failure {
				bad = v
				return true
			}
			made = append(made, v)
			return false
		})
		switch {
		case unusable:
			return v
		case bad.kind == failure:
			return bad
		}
		return newList(made)
	}
}
