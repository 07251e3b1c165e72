package cel

import (
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// call compiles operators, macros and functions.
func (c *compiler) call(e ast.Expr) *node {
	exact := c.exact
	c.exact = false
	defer func() { c.exact = exact }()
	call := e.AsCall()
	name, args := call.FunctionName(), call.Args()
	switch name {
	case operators.Index:
		return c.index(e, false)
	case operators.OptIndex:
		return c.index(e, true)
	case operators.OptSelect:
		return c.optionalField(e)
	case operators.LogicalAnd:
		return c.junction(e, "&&", c.consumed(args[0]), c.consumed(args[1]))
	case operators.LogicalOr:
		return c.junction(e, "||", c.consumed(args[0]), c.consumed(args[1]))
	case operators.LogicalNot:
		return c.not(e, c.consumed(args[0]))
	case operators.Conditional:
		cond := c.consumed(args[0])
		c.exact = exact
		return c.conditional(e, cond, c.consumed(args[1]), c.consumed(args[2]))
	case operators.Negate:
		c.exact = exact
		return c.negation(e, c.consumed(args[0]))
	case operators.Divide:
		if !exact {
			return c.reject(e, `write round(a / b, 2, "half_up"): a quotient needs its digits and its rounding`, "/ is allowed only inside round()")
		}
	}
	if symbol, ok := symbols[name]; ok {
		c.exact = exact && slices.Contains([]string{"+", "-", "*", "/"}, symbol)
		return c.operator(e, symbol, c.consumed(args[0]), c.consumed(args[1]))
	}
	if !call.IsMemberFunction() {
		switch name {
		case "has":
			return c.has(e)
		case "round":
			return c.round(e)
		}
		return c.function(e, name, nil, args)
	}
	if t := call.Target(); t.Kind() == ast.IdentKind && t.AsIdent() == "optional" && !c.declared("optional") {
		return c.optionalFunction(e)
	}
	switch name {
	case "all", "exists", "exists_one", "existsOne", "map", "filter":
		return c.macro(e)
	case "orValue", "or", "value", "hasValue", "optMap", "optFlatMap":
		return c.optionalMethod(e)
	}
	return c.function(e, name, call.Target(), args)
}

func (c *compiler) declared(name string) bool {
	return slices.Contains(c.env.names(), name) || slices.ContainsFunc(c.scope, func(l local) bool { return l.name == name })
}
