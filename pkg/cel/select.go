package cel

import (
	"fmt"
	"strconv"

	"cel.dev/cel-go/common/ast"
)

// what is an expression's name in a message: its own, where it has one.
func (n *node) what(role string) string {
	if n.name != "" {
		return n.name
	}
	return role
}

func (n *node) errorf(kind ErrorKind, format string, args ...any) *EvalError {
	return &EvalError{Kind: kind, Message: fmt.Sprintf(format, args...), Line: n.line, Column: n.column}
}

// nullError says that n, which gave null, is needed.
func (n *node) nullError() *EvalError { return n.nullAs("a value") }

func (n *node) nullAs(role string) *EvalError {
	e := n.errorf(NullOperand, "%s is null", n.what(role))
	if n.name != "" {
		e.Path, e.Hint = n.path, "write "+n.name+".orValue(…) for what it then counts as"
	}
	return e
}

func (n *node) missing(name string) *EvalError {
	return &EvalError{
		Kind: MissingField, Message: name + " is absent", Line: n.line, Column: n.column, Path: n.path,
		Hint: "write " + name + ".orValue(…) for what it then counts as, or test has(" + name + ")",
	}
}

// field compiles x.name.
func (c *compiler) field(e ast.Expr, x *node, name string) *node {
	if x.broken {
		return x
	}
	if x.types&(Map|optional) == 0 {
		return c.reject(e, "", "%s is %s: it has no fields", x.what("this"), (x.types &^ Null).one())
	}
	shape, ok := c.property(e, x, name)
	if !ok {
		return &node{types: anything, broken: true, place: c.place(e), nodes: 1, cost: 1}
	}
	n := c.made(e, anything, nil, x)
	if x.soft != nil || x.types&optional == 0 {
		n.types = Any
	}
	if shape != nil {
		n.shape, n.types = shape, shape.types()
	}
	if x.types == optional {
		n.types = optional
	}
	if x.path != nil {
		n.path = append(append([]string(nil), x.path...), name)
	}
	if x.soft != nil {
		n.name = x.name + "." + name
		n.soft = func(f *frame) Value {
			v := x.soft(f)
			if v.kind != Map {
				return softly(n, v)
			}
			if member, ok := v.object().Get(name); ok {
				return member
			}
			return NullValue
		}
	}
	absent := failureOf(n.missing(n.what("the field " + name)))
	null := failureOf(x.nullAs("what has the field " + name))
	n.eval = func(f *frame) Value {
		v := x.eval(f)
		if v.kind == Map {
			if member, ok := v.object().Get(name); ok {
				return member
			}
			return absent
		}
		switch v.kind {
		case failure:
			return v
		case Null:
			return null
		case optional:
			return optionalField(n, v, name)
		}
		return failureOf(n.errorf(TypeError, "%s is %s: it has no fields", x.what("this"), v.kind.one()))
	}
	c.numeric(n, fieldNumber(x, name))
	n.term = fieldTerm(x, name)
	return n
}

// softly is what x.orValue sees of a value that has no such field or element.
func softly(n *node, v Value) Value {
	if v.kind == Null || v.kind == failure {
		return v
	}
	return failureOf(n.errorf(TypeError, "%s can't be picked from %s", n.name, v.kind.one()))
}

// property looks a field up in what is known of x, and reports an unknown one.
func (c *compiler) property(e ast.Expr, x *node, name string) (*Shape, bool) {
	shape, unknown := x.shape.property(name)
	if !unknown {
		return shape, true
	}
	names := x.shape.names()
	message := fmt.Sprintf("%s has no field %s", x.what("it"), name)
	switch {
	case x.shape.Closed || nearest(name, names) != "":
		c.reject(e, didYouMean(name, names), "%s", message)
		return nil, false
	default:
		c.warn(e, "name it under properties", "%s in the schema", message)
		return nil, true
	}
}

// optionalField compiles x.?name: an optional, empty where the field is null or absent.
func (c *compiler) optionalField(e ast.Expr) *node {
	args := e.AsCall().Args()
	x, name := c.compile(args[0]), args[1].AsLiteral().Value().(string)
	if x.broken {
		return x
	}
	if x.types&(Map|optional) == 0 {
		return c.reject(e, "", "%s is %s: it has no fields", x.what("this"), (x.types &^ Null).one())
	}
	shape, ok := c.property(e, x, name)
	if !ok {
		return &node{types: anything, broken: true, place: c.place(e), nodes: 1, cost: 1}
	}
	n := c.made(e, optional, nil, x)
	n.shape = shape
	if x.path != nil {
		n.path = append(append([]string(nil), x.path...), name)
	}
	n.eval = func(f *frame) Value {
		v := x.eval(f)
		switch v.kind {
		case failure:
			return v
		case Null:
			return Value{kind: optional}
		}
		return optionalField(n, v, name)
	}
	return n
}

func optionalField(n *node, v Value, name string) Value {
	if v.kind == optional {
		some, ok := v.some()
		if !ok {
			return v
		}
		v = some
	}
	if v.kind != Map {
		return failureOf(n.errorf(TypeError, "%s has no fields", v.kind.one()))
	}
	if member, ok := v.object().Get(name); ok {
		if member.kind == failure {
			return member
		}
		return someValue(member)
	}
	return Value{kind: optional}
}

// index compiles x[i] and, where soft, x[?i].
func (c *compiler) index(e ast.Expr, soft bool) *node {
	args := e.AsCall().Args()
	x := c.compile(args[0])
	if l := args[1]; !soft && l.Kind() == ast.LiteralKind {
		if name, ok := l.AsLiteral().Value().(string); ok {
			return c.field(e, x, name)
		}
	}
	i := c.consumed(args[1])
	if x.broken || i.broken {
		return c.made(e, anything, nil, x, i)
	}
	if x.types&(List|Map|optional) == 0 {
		return c.reject(e, "", "%s is %s: it has no elements", x.what("this"), (x.types &^ Null).one())
	}
	if i.types&(Number|String) == 0 {
		return c.reject(e, "", "an index is a number or a field's name, not %s", i.types.one())
	}
	n := c.made(e, Any, nil, x, i)
	if x.types&List != 0 && i.types&String == 0 {
		n.shape = x.shape.items()
		n.types = n.shape.types()
	}
	if x.path != nil {
		n.path = append(append([]string(nil), x.path...), "*")
	}
	if soft {
		n.types = optional
		n.eval = func(f *frame) Value { return element(f, n, x, i, x.eval(f), true) }
		return n
	}
	if x.soft != nil {
		n.name = x.name + "[" + i.what("…") + "]"
		if i.literal != nil {
			n.name = x.name + "[" + i.literal.JSON() + "]"
		}
		n.soft = func(f *frame) Value {
			v := element(f, n, x, i, x.soft(f), true)
			if v.kind == optional {
				if some, ok := v.some(); ok {
					return some
				}
				return NullValue
			}
			return v
		}
	}
	n.eval = func(f *frame) Value { return element(f, n, x, i, x.eval(f), false) }
	return n
}

// element picks from v, which x gave; where soft, it gives an optional.
func element(f *frame, n, x, i *node, v Value, soft bool) Value {
	at := i.eval(f)
	if at.kind == failure || v.kind == failure {
		return firstFailure(v, at)
	}
	wrapped := v.kind == optional
	if wrapped {
		some, ok := v.some()
		if !ok {
			return v
		}
		v = some
	}
	if v.kind == Null && soft {
		return Value{kind: optional}
	}
	if v.kind == Null {
		return failureOf(x.nullAs("what has the elements"))
	}
	if at.kind == Null {
		return failureOf(i.nullAs("the index"))
	}
	found, ok := Value{}, false
	switch {
	case v.kind == Map && at.kind == String:
		found, ok = v.object().Get(at.text)
	case v.kind == List && at.kind == Number:
		whole, isInt := at.number().asInt()
		if isInt && whole >= 0 && whole < int64(v.list().Size()) {
			found, ok = v.list().At(int(whole)), true
		}
	default:
		return failureOf(n.errorf(TypeError, "%s has no element at %s", v.kind.one(), at.kind.one()))
	}
	switch {
	case found.kind == failure:
		return found
	case (soft || wrapped) && ok:
		return someValue(found)
	case soft || wrapped:
		return Value{kind: optional}
	case !ok:
		return failureOf(n.missing(n.what("the element")))
	}
	return found
}

func firstFailure(a, b Value) Value {
	if a.kind == failure && (b.kind != failure || !b.err().final() || a.err().final()) {
		return a
	}
	return b
}

// has compiles has(x.name): whether the field is there, null or not.
func (c *compiler) has(e ast.Expr) *node {
	args := e.AsCall().Args()
	if len(args) != 1 || args[0].Kind() != ast.SelectKind {
		return c.reject(e, "as in has(self.discount)", "has() takes one field")
	}
	s := args[0].AsSelect()
	field := c.consumed(args[0]) // reports unknown fields, and counts the path as read
	from := len(c.reads)
	said := len(c.issues)
	x := c.compile(s.Operand())
	c.reads, c.issues = c.reads[:from], c.issues[:said] // all of it is said already
	if field.broken || x.broken {
		return c.made(e, Bool, nil, field)
	}
	n := c.made(e, Bool, nil, x)
	name := s.FieldName()
	null := failureOf(x.nullAs("what has the field " + name))
	n.eval = func(f *frame) Value {
		v := x.eval(f)
		if v.kind == optional {
			some, ok := v.some()
			if !ok {
				return BoolValue(false)
			}
			v = some
		}
		switch v.kind {
		case failure:
			return v
		case Null:
			return null
		case Map:
			_, ok := v.object().Get(name)
			return BoolValue(ok)
		}
		return failureOf(n.errorf(TypeError, "%s is %s: it has no fields", x.what("this"), v.kind.one()))
	}
	return n
}

func (c *compiler) listLiteral(e ast.Expr) *node {
	l := e.AsList()
	if len(l.OptionalIndices()) > 0 {
		return c.reject(e, "use a condition", "optional elements are not supported")
	}
	elements := make([]*node, l.Size())
	constant := make([]Value, 0, l.Size())
	for i, x := range l.Elements() {
		elements[i] = c.consumed(x)
		if elements[i].literal != nil {
			constant = append(constant, *elements[i].literal)
		}
	}
	n := c.made(e, List, nil, elements...)
	n.shape = &Shape{Type: List, Items: &Shape{Type: union(elements)}, MaxItems: max(1, len(elements))}
	if len(constant) == len(elements) {
		v := newList(constant)
		n.literal, n.eval = &v, func(*frame) Value { return v }
		return n
	}
	n.eval = func(f *frame) Value {
		made := make([]Value, len(elements))
		for i, x := range elements {
			if made[i] = x.eval(f); made[i].kind == failure {
				return made[i]
			}
		}
		return newList(made)
	}
	return n
}

func union(nodes []*node) Type {
	var t Type
	for _, n := range nodes {
		t |= n.types
	}
	return t
}

func (c *compiler) mapLiteral(e ast.Expr) *node {
	var names []string
	var entries []*node
	for _, entry := range e.AsMap().Entries() {
		m := entry.AsMapEntry()
		if m.IsOptional() {
			return c.reject(e, "use a condition", "optional members are not supported")
		}
		key := c.consumed(m.Key())
		if key.literal == nil || key.literal.kind != String {
			return c.reject(m.Key(), "", "a member's name is a string literal")
		}
		names, entries = append(names, key.literal.text), append(entries, c.consumed(m.Value()))
		for _, other := range names[:len(names)-1] {
			if other == key.literal.text {
				return c.reject(m.Key(), "", "the member %s is named twice", strconv.Quote(other))
			}
		}
	}
	n := c.made(e, Map, nil, entries...)
	n.eval = func(f *frame) Value {
		made := &members{names: names, values: make([]Value, len(entries))}
		for i, x := range entries {
			if made.values[i] = x.eval(f); made.values[i].kind == failure {
				return made.values[i]
			}
		}
		return ObjectOf(made)
	}
	return n
}
