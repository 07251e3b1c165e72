package cel

import (
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common/ast"
)

// function is one of the language's functions, written f(x, …), x.f(…) or both.
type function struct {
	global, method bool
	args           []Type // the kinds each argument may have, a method's target first
	optional       int    // how many of the last may be left out
	result         Type
	call           func(f *frame, n *node, a [4]Value) Value
	// check looks at literal arguments at load; the text says what is wrong with them.
	check func(args []*node) string
	// nulls says that null is a fair argument.
	nulls bool
}

// functions by name. What is a method in cel-go is one here.
var functions map[string]function

// elsewhere are functions of CEL and of other languages that aren't here, with what to write.
var elsewhere = map[string]string{
	"double": "numbers are exact decimals already; decimal(text) reads one from a text",
	"uint":   "numbers are exact decimals already; decimal(text) reads one from a text",
	"type":   "say the type in the schema",
	"len":    "write size(x)", "length": "write size(x)", "count": "write size(x.filter(i, …))",
	"any": "write x.exists(i, …)", "every": "write x.all(i, …)", "some": "write x.exists(i, …)",
	"lower": "write x.lowerAscii()", "upper": "write x.upperAscii()", "toLowerCase": "write x.lowerAscii()", "toUpperCase": "write x.upperAscii()",
	"now":  "a rule speaks of the event: time is when it happened",
	"ceil": `write round(x, 0, "ceiling")`, "floor": `write round(x, 0, "floor")`, "trunc": `write round(x, 0, "down")`,
}

func (c *compiler) function(e ast.Expr, name string, target ast.Expr, given []ast.Expr) *node {
	fn, ok := functions[name]
	if !ok {
		hint := elsewhere[name]
		if hint == "" {
			hint = didYouMean(name, Functions())
		}
		return c.reject(e, hint, "unknown function %s()", name)
	}
	exprs := given
	if target != nil {
		exprs = append([]ast.Expr{target}, given...)
	}
	if target != nil && !fn.method {
		return c.reject(e, "write "+name+"(x)", "%s() is not written after a value", name)
	}
	if target == nil && !fn.global {
		return c.reject(e, "write x."+name+"(…)", "%s() is written after a value", name)
	}
	if len(exprs) > len(fn.args) || len(exprs) < len(fn.args)-fn.optional {
		return c.reject(e, "", "%s() takes %s, not %d", name, countOf(fn, target != nil), len(given))
	}
	args := make([]*node, len(exprs))
	for i, x := range exprs {
		args[i] = c.consumed(x)
		if !args[i].broken && args[i].types&fn.args[i] == 0 {
			args[i] = c.reject(x, hintFor(args[i].types, fn.args[i]), "%s() takes %s here, not %s", name, fn.args[i].one(), args[i].types.one())
		}
	}
	n := c.made(e, fn.result, nil, args...)
	if n.broken {
		return n
	}
	if fn.check != nil {
		if wrong := fn.check(args); wrong != "" {
			return c.reject(e, "", "%s", wrong)
		}
	}
	n.eval = invoke(n, name, fn, args)
	if name == "sum" && args[0].total != nil {
		c.numeric(n, args[0].total)
	}
	if name == "sum" && args[0].term != nil && args[0].term.Op == TermEach {
		n.term = &Term{Op: TermSum, X: args[0].term}
	}
	return n
}

// invoke evaluates the arguments, refuses null and what is of another kind, and calls.
func invoke(n *node, name string, fn function, args []*node) func(*frame) Value {
	nulls := make([]Value, len(args))
	for i, x := range args {
		nulls[i] = failureOf(x.nullAs(fmt.Sprintf("argument %d of %s()", i+1, name)))
	}
	return func(f *frame) Value {
		var a [4]Value
		for i, x := range args {
			v := x.eval(f)
			switch {
			case v.kind == failure:
				return v
			case v.kind&fn.args[i] != 0:
				a[i] = v
			case v.kind == Null && !fn.nulls:
				return nulls[i]
			default:
				return failureOf(n.errorf(TypeError, "%s() takes %s, not %s", name, fn.args[i].one(), v.kind.one()))
			}
		}
		return fn.call(f, n, a)
	}
}

func countOf(fn function, method bool) string {
	most := len(fn.args)
	if method {
		most--
	}
	if least := most - fn.optional; least != most {
		return fmt.Sprintf("%d to %d arguments", least, most)
	}
	if most == 1 {
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", most)
}

func hintFor(got, want Type) string {
	switch {
	case got&^Null == optional:
		return "take the value out with .orValue(…)"
	case want == Number && got&^Null == String:
		return "decimal(text) reads a number from a text"
	case want == Timestamp && got&^Null == String:
		return "timestamp(text) reads a point in time from a text"
	case want == String && got&^Null == Number:
		return "string(number) writes a number as a text"
	}
	return ""
}

func init() {
	functions = map[string]function{
		"decimal": {global: true, args: []Type{String | Number}, result: Number, call: toDecimal, check: checkDecimal},
		"int":     {global: true, args: []Type{String | Number | Timestamp}, result: Number, call: toInt},
		"string":  {global: true, args: []Type{String | Number | Bool | Timestamp | Duration}, result: String, call: toString},
		"dyn": {global: true, args: []Type{anything}, result: anything, nulls: true,
			call: func(_ *frame, _ *node, a [4]Value) Value { return a[0] }},
		"size":        {global: true, method: true, args: []Type{String | List | Map}, result: Number, call: size},
		"sum":         {global: true, method: true, args: []Type{List}, result: Number, call: sum},
		"abs":         {global: true, args: []Type{Number}, result: Number, call: absolute},
		"scale":       {global: true, args: []Type{Number}, result: Number, call: scale},
		"minor_units": {global: true, args: []Type{String}, result: Number, call: minorUnits, check: checkCurrency},
	}
	maps.Copy(functions, stringFunctions)
	maps.Copy(functions, timeFunctions)
}

func toDecimal(_ *frame, n *node, a [4]Value) Value {
	if a[0].kind == Number {
		return a[0]
	}
	d, err := parseDecimal(strings.TrimPrefix(a[0].text, "+"))
	if err != nil {
		v := numberFailure(err).err()
		v.Line, v.Column = n.line, n.column
		return failureOf(v)
	}
	return numberValue(d)
}

func checkDecimal(args []*node) string {
	if l := args[0].literal; l != nil && l.kind == String {
		if _, err := parseDecimal(strings.TrimPrefix(l.text, "+")); err != nil {
			return fmt.Sprintf("decimal() of what is no number: %v", err)
		}
	}
	return ""
}

// toInt drops a fraction, towards zero, as CEL does.
func toInt(f *frame, n *node, a [4]Value) Value {
	switch a[0].kind {
	case Timestamp:
		return IntValue(a[0].coef)
	case String:
		if a[0] = toDecimal(f, n, a); a[0].kind == failure {
			return a[0]
		}
		if _, ok := a[0].number().whole(); !ok {
			return failureOf(n.errorf(ValueError, "int() of a text with a fraction"))
		}
	}
	i, _ := a[0].number().whole()
	return numberValue(normal(i, 0))
}

func toString(_ *frame, _ *node, a [4]Value) Value { return StringValue(a[0].Text()) }

func size(f *frame, _ *node, a [4]Value) Value {
	if a[0].kind == String {
		if err := f.scanned(a[0].text); err != nil {
			return failureOf(err)
		}
		return IntValue(int64(utf8.RuneCountInString(a[0].text)))
	}
	return IntValue(int64(a[0].Len()))
}

// sum adds numbers; that of an empty list is 0.
func sum(f *frame, n *node, a [4]Value) Value {
	total, l := decimal{}, a[0].list()
	if err := f.charge(l.Size()); err != nil {
		return failureOf(err)
	}
	for i := range l.Size() {
		v := l.At(i)
		switch v.kind {
		case Number:
			var err error
			if total, err = total.add(v.number()); err != nil {
				return failureOf(n.calculation(err))
			}
		case failure:
			return v
		case Null:
			return failureOf(n.errorf(NullOperand, "sum() of a list with null in it"))
		default:
			return failureOf(n.errorf(TypeError, "sum() of a list with %s in it", v.kind.one()))
		}
	}
	return numberValue(total)
}

func absolute(_ *frame, _ *node, a [4]Value) Value { return numberValue(a[0].number().abs()) }

func scale(_ *frame, _ *node, a [4]Value) Value { return IntValue(int64(a[0].number().scale())) }

func minorUnits(_ *frame, n *node, a [4]Value) Value {
	units, ok := MinorUnits(a[0].text)
	if !ok {
		return failureOf(n.errorf(ValueError, "minor_units() of what is no currency of ISO 4217 with minor units"))
	}
	return IntValue(int64(units))
}

func checkCurrency(args []*node) string {
	if l := args[0].literal; l != nil {
		if _, ok := MinorUnits(l.text); !ok {
			return "minor_units() of what is no currency of ISO 4217 with minor units"
		}
	}
	return ""
}
