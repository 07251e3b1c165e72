package cel

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// node is a compiled expression: how to evaluate it, and what is known of it
// before there are values.
type node struct {
	eval  func(*frame) Value
	types Type // the kinds it may give
	shape *Shape
	place

	// soft is set where the expression is a variable, or fields and elements
	// picked from one: it gives null wherever something on the way is null or absent.
	soft func(*frame) Value
	// name is such an expression's text, path the same with * for elements.
	name string
	path []string

	literal *Value                                       // set for a literal
	explain func(f *frame, want bool) (Comparison, bool) // set where there is more to say than the value
	reads   [][]string                                   // the paths read inside it
	nodes   int                                          // its size in nodes, itself included
	cost    float64                                      // the estimate of its steps
	at      func(f *frame) *Value                        // set for a variable: where its value is, the zero Value where unbound
	divided func(f *frame) (quotient, Value)             // set inside round() where the value is a quotient
	number  func(f *frame) (decimal, bool)               // the short way to a number, where there is one
	total   func(f *frame) (decimal, bool)               // of a list that map() makes: the short way to its sum
	term    *Term                                        // set where it is arithmetic over numbers
	broken  bool                                         // an issue has been reported: say no more
}

type place struct{ line, column int }

type compiler struct {
	env    *Env
	opts   Options
	source []rune
	info   *ast.SourceInfo
	issues []Issue
	vars   []string
	scope  []local
	depth  int // the deepest scope
	reads  [][]string
	exact  bool // inside round(), where a quotient is allowed
}

// local is a macro's variable.
type local struct {
	name  string
	shape *Shape
	types Type
	path  []string
}

func (c *compiler) place(e ast.Expr) place {
	l := c.info.GetStartLocation(e.ID())
	return place{line: l.Line(), column: l.Column() + 1}
}

// reject reports an error and gives a node that nothing more is said about.
func (c *compiler) reject(e ast.Expr, hint, format string, args ...any) *node {
	at := c.place(e)
	c.issues = append(c.issues, Issue{Error, at.line, at.column, fmt.Sprintf(format, args...), hint})
	return &node{types: anything, place: at, broken: true, nodes: 1, cost: 1}
}

func (c *compiler) warn(e ast.Expr, hint, format string, args ...any) {
	at := c.place(e)
	c.issues = append(c.issues, Issue{Warning, at.line, at.column, fmt.Sprintf(format, args...), hint})
}

// consumed compiles an expression whose value is used as a whole.
func (c *compiler) consumed(e ast.Expr) *node {
	from := len(c.reads)
	n := c.compile(e)
	if n.path != nil {
		c.read(n.path)
	}
	n.reads = slices.Clone(c.reads[from:])
	return n
}

func (c *compiler) read(path []string) { c.reads = append(c.reads, path) }

// compile compiles an expression; where it is a path, it isn't counted as read:
// the caller may pick a field of it.
func (c *compiler) compile(e ast.Expr) *node {
	switch e.Kind() {
	case ast.LiteralKind:
		return c.literal(e)
	case ast.IdentKind:
		return c.ident(e)
	case ast.SelectKind:
		s := e.AsSelect()
		return c.field(e, c.compile(s.Operand()), s.FieldName())
	case ast.CallKind:
		return c.call(e)
	case ast.ListKind:
		return c.listLiteral(e)
	case ast.MapKind:
		return c.mapLiteral(e)
	}
	return c.reject(e, "", "messages can't be made here")
}

// made finishes a node that was made of others.
func (c *compiler) made(e ast.Expr, t Type, eval func(*frame) Value, from ...*node) *node {
	n := &node{eval: eval, types: t, place: c.place(e), nodes: 1, cost: 1}
	for _, x := range from {
		n.nodes += x.nodes
		n.cost += x.cost
		n.broken = n.broken || x.broken
	}
	return n
}

func (c *compiler) literal(e ast.Expr) *node {
	var v Value
	switch l := e.AsLiteral().(type) {
	case types.Bool:
		v = BoolValue(bool(l))
	case types.String:
		v = StringValue(string(l))
	case types.Null:
		v = NullValue
	case types.Int:
		v = IntValue(int64(l))
	case types.Uint:
		v = numberFrom(fmt.Sprint(uint64(l)))
	case types.Double:
		v = numberFrom(c.literalText(e, float64(l)))
	default:
		return c.reject(e, "use a string", "bytes are not supported")
	}
	if v.kind == failure {
		return c.reject(e, "", "a number may have %d characters and an exponent of ±%d", MaxNumberLength, MaxExponent)
	}
	n := c.made(e, v.kind, func(*frame) Value { return v })
	n.literal = &v
	c.numeric(n, func(*frame) (decimal, bool) { return v.number(), true })
	if v.kind == Number {
		n.term = &Term{Op: TermConstant, Constant: v}
	}
	return n
}

var numberText = regexp.MustCompile(`^-?\s*[0-9]*(\.[0-9]+)?([eE][+-]?[0-9]+)?`)

// literalText is a number as it is written: the parser has made a float of it,
// which doesn't hold every digit. The text must give that float: where it didn't,
// the place would be wrong, and "" is no number.
func (c *compiler) literalText(e ast.Expr, float float64) string {
	r, _ := c.info.GetOffsetRange(e.ID())
	from := min(max(0, int(r.Start)), len(c.source))
	text := numberText.FindString(string(c.source[from:min(from+2*MaxNumberLength, len(c.source))]))
	digits := strings.TrimSpace(strings.TrimPrefix(text, "-"))
	if strings.HasPrefix(digits, ".") {
		digits = "0" + digits
	}
	if math.Signbit(float) {
		digits = "-" + digits
	}
	if written, err := strconv.ParseFloat(digits, 64); err != nil || written != float {
		return ""
	}
	return digits
}

func (c *compiler) ident(e ast.Expr) *node {
	name := strings.TrimPrefix(e.AsIdent(), ".")
	for i := len(c.scope) - 1; i >= 0; i-- {
		if l := c.scope[i]; l.name == name {
			n := c.made(e, l.types, func(f *frame) Value { return f.locals[i] })
			n.soft, n.name, n.path, n.shape = n.eval, name, l.path, l.shape
			n.at = func(f *frame) *Value { return &f.locals[i] }
			n.term = &Term{Op: TermLocal, Local: i}
			c.numeric(n, func(f *frame) (decimal, bool) { return f.locals[i].asNumber() })
			return n
		}
	}
	i := slices.IndexFunc(c.env.vars, func(v Variable) bool { return v.Name == name })
	if i < 0 {
		return c.reject(e, c.nameHint(name), "unknown name %s", name)
	}
	slot := c.slot(name)
	n := c.made(e, c.env.vars[i].Type, nil)
	if shape := c.opts.Shapes[name]; shape != nil {
		n.shape, n.types = shape, shape.types()
	}
	n.name, n.path = name, []string{name}
	n.term = &Term{Op: TermVariable, Name: name}
	absent := failureOf(&EvalError{
		Kind: MissingField, Message: name + " has no value here", Line: n.line, Column: n.column, Path: n.path})
	n.eval = func(f *frame) Value {
		if v := f.vars[slot]; v.kind != 0 {
			return v
		}
		return absent
	}
	n.soft = func(f *frame) Value {
		if v := f.vars[slot]; v.kind != 0 {
			return v
		}
		return NullValue
	}
	n.at = func(f *frame) *Value { return &f.vars[slot] }
	return n
}

// nameHint looks for what an unknown name was meant to be: another variable, or
// a field written without the variable that has it.
func (c *compiler) nameHint(name string) string {
	names := c.env.names()
	for _, l := range c.scope {
		names = append(names, l.name)
	}
	if near := nearest(name, names); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	for _, v := range c.env.vars {
		shape := c.opts.Shapes[v.Name]
		if shape == nil {
			continue
		}
		if _, ok := shape.Properties[name]; ok {
			return fmt.Sprintf("did you mean %s.%s?", v.Name, name)
		}
	}
	return didYouMean(name, names)
}

func (c *compiler) slot(name string) int {
	if i := slices.Index(c.vars, name); i >= 0 {
		return i
	}
	c.vars = append(c.vars, name)
	return len(c.vars) - 1
}

func (c *compiler) checkResult(root *node) {
	want := c.opts.Result
	if root.broken || want&Any == Any || root.types&^Null != 0 && root.types&^(want|Null) == 0 {
		return
	}
	issue := Issue{Error, root.line, root.column, "", ""}
	switch {
	case root.types&want == 0:
		issue.Message = fmt.Sprintf("the result is %s, not %s", root.types.one(), want.one())
		issue.Hint = "compare it with something"
	default:
		issue.Message = fmt.Sprintf("the result may be %s, not only %s", root.types, want.one())
		issue.Hint = "compare it with something, or say its type in the schema"
	}
	c.issues = append(c.issues, issue)
}

func (c *compiler) checkCost(root *node) {
	if root.cost <= float64(c.opts.CostLimit) {
		return
	}
	c.issues = append(c.issues, Issue{Error, root.line, root.column,
		fmt.Sprintf("it may take %.0f steps, %d are allowed", root.cost, c.opts.CostLimit),
		"loops within loops: say maxItems in the schema, or split the rule"})
}

func (c *compiler) program(source string, root *node) *Program {
	var paths [][]string
	for _, path := range c.reads {
		if !slices.ContainsFunc(paths, func(p []string) bool { return slices.Equal(p, path) }) {
			paths = append(paths, path)
		}
	}
	return &Program{source: source, root: root, vars: c.vars, paths: paths, locals: c.depth, limit: c.opts.CostLimit}
}
