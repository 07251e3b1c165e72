package cel

import "cel.dev/cel-go/common/ast"

// optionalFunction compiles optional.of(x) and optional.none().
func (c *compiler) optionalFunction(e ast.Expr) *node {
	name, args := e.AsCall().FunctionName(), e.AsCall().Args()
	switch {
	case name == "none" && len(args) == 0:
		return c.made(e, optional, func(*frame) Value { return Value{kind: optional} })
	case name == "of" && len(args) == 1:
		x := c.consumed(args[0])
		return c.made(e, optional, func(f *frame) Value {
			v := x.eval(f)
			if v.kind == failure {
				return v
			}
			return someValue(v)
		}, x)
	}
	return c.reject(e, "there are optional.of(x) and optional.none()", "unknown function optional.%s()", name)
}

// optionalMethod compiles x.orValue(d), x.or(y), x.hasValue(), x.value(),
// x.optMap(v, …) and x.optFlatMap(v, …).
func (c *compiler) optionalMethod(e ast.Expr) *node {
	call := e.AsCall()
	name, args := call.FunctionName(), call.Args()
	wants := map[string]int{"orValue": 1, "or": 1, "hasValue": 0, "value": 0, "optMap": 2, "optFlatMap": 2}[name]
	if len(args) != wants {
		return c.reject(e, "", "%s() takes %d arguments, not %d", name, wants, len(args))
	}
	x := c.consumed(call.Target())
	if x.broken {
		return x
	}
	if x.soft == nil && x.types&optional == 0 || x.soft != nil && x.types&optional == 0 && name != "orValue" {
		return c.reject(e, "write it after a field, as in self.discount.orValue(0), or an optional, as in self.?discount."+name+"(…)",
			"%s() has no meaning for %s", name, x.types.one())
	}
	switch name {
	case "orValue":
		return c.orValue(e, x, c.consumed(args[0]))
	case "or":
		y := c.consumed(args[0])
		if !y.broken && y.types&optional == 0 {
			return c.reject(args[0], "orValue() takes a plain value", "or() takes an optional, not %s", y.types.one())
		}
		n := c.made(e, optional, nil, x, y)
		n.eval = func(f *frame) Value {
			if v := n.opt(x.eval(f)); v.kind == failure || v.ref != nil {
				return v
			}
			return n.opt(y.eval(f))
		}
		return n
	case "hasValue":
		n := c.made(e, Bool, nil, x)
		n.eval = func(f *frame) Value {
			v := n.opt(x.eval(f))
			if v.kind == failure {
				return v
			}
			return BoolValue(v.ref != nil)
		}
		return n
	case "value":
		n := c.made(e, x.shape.types(), nil, x)
		n.shape = x.shape
		n.eval = func(f *frame) Value {
			v := n.opt(x.eval(f))
			if some, ok := v.some(); ok || v.kind == failure {
				if v.kind == failure {
					return v
				}
				return some
			}
			return failureOf(n.errorf(NullOperand, "value() of an empty optional"))
		}
		return n
	}
	return c.optMap(e, x, name == "optFlatMap")
}

// opt is v where it is an optional, and a failure where it isn't.
func (n *node) opt(v Value) Value {
	if v.kind == optional || v.kind == failure {
		return v
	}
	return failureOf(n.errorf(TypeError, "%s where an optional is needed", v.kind.one()))
}

// orValue gives the default where a field is null or absent, wherever on the
// way to it, or where an optional is empty. The default tells the type.
func (c *compiler) orValue(e ast.Expr, x, d *node) *node {
	plain := x.types &^ (Null | optional)
	if x.types == optional {
		plain = x.shape.types() &^ Null
	}
	both := plain & d.types
	if !d.broken && plain != 0 && both == 0 {
		return c.reject(e, "", "%s is %s, its default %s", x.what("the value"), plain.one(), d.types.one())
	}
	n := c.made(e, both|d.types, nil, x, d)
	n.shape = x.shape
	take := x.eval
	if x.soft != nil {
		take = x.soft
	}
	n.eval = func(f *frame) Value {
		v := take(f)
		if v.kind == optional {
			some, ok := v.some()
			if !ok {
				return d.eval(f)
			}
			return some
		}
		if v.kind == Null {
			return d.eval(f)
		}
		return v
	}
	if d.types == Bool {
		n.explain = func(f *frame, want bool) (Comparison, bool) {
			v := n.eval(f)
			if v.kind != Bool || v.Bool() == want {
				return Comparison{}, false
			}
			return Comparison{Left: Side{v, n.reads}, Op: "==", Right: Side{Value: BoolValue(want)}}, true
		}
	}
	return n
}

func (c *compiler) optMap(e ast.Expr, x *node, flat bool) *node {
	args := e.AsCall().Args()
	if args[0].Kind() != ast.IdentKind {
		return c.reject(args[0], "as in self.?total.optMap(t, t * 2)", "the first argument is a name for the value")
	}
	slot := len(c.scope)
	c.scope = append(c.scope, local{name: args[0].AsIdent(), types: x.shape.types(), shape: x.shape, path: x.path})
	c.depth = max(c.depth, len(c.scope))
	body := c.consumed(args[1])
	c.scope = c.scope[:slot]
	n := c.made(e, optional, nil, x, body)
	n.eval = func(f *frame) Value {
		v := n.opt(x.eval(f))
		some, ok := v.some()
		if v.kind == failure || !ok {
			return v
		}
		f.locals[slot] = some
		made := body.eval(f)
		switch {
		case made.kind == failure:
			return made
		case flat:
			return n.opt(made)
		}
		return someValue(made)
	}
	return n
}
