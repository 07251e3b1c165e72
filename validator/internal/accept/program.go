package accept

import (
	"encoding/json"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
)

// Program is one schema file, compiled for the acceptor. It never changes, and is safe for concurrent use.
type Program struct {
	root     *node
	hopeless bool // the schema has something that is beyond the acceptor, wherever it may stand
	deletes  bool // a rule is asked of deletes
}

// node is what one place of a schema says of a value.
type node struct {
	trivial bool  // everything is valid
	never   bool  // nothing is
	unknown kinds // values of these types are beyond the acceptor
	sure    kinds // every value of these types is valid, and has no rules
	only    *node // says all that there is to say: the schema is a $ref and nothing else

	types    kinds
	integers bool // of numbers, only whole ones
	values   []constants
	format   *format
	numbers  *numberRules
	texts    *textRules
	lists    *listRules
	objects  *objectRules
	inPlace  *inPlace

	rules   []rule
	reaches bool // there are rules here or below
}

// kinds is a set of types.
type kinds uint8

func (k kind) bit() kinds { return 1 << k }

const everyKind = 1<<null | 1<<boolean | 1<<number | 1<<text | 1<<list | 1<<object

var kindsByName = map[string]kinds{
	"null": 1 << null, "boolean": 1 << boolean, "number": 1 << number, "integer": 1 << number, "string": 1 << text,
	"array": 1 << list, "object": 1 << object,
}

type numberRules struct {
	minimum, above, maximum, below, multiple *quantity

	limits [mostDecimals]limits // by how many decimals a number has
}

type textRules struct {
	least, most int // -1: no bound
	pattern     *expression
}

type listRules struct {
	least, most               int
	unique                    bool
	first                     []*node // of the first elements, each its own
	rest                      *node   // of those behind; nil: whatever
	none                      bool    // there may be none behind
	contains                  *node
	leastFitting, mostFitting int
}

type objectRules struct {
	least, most int
	names       names
	members     []*node // by number of the name; nil: whatever
	required    set
	patterns    []pattern
	others      *node // members that neither a name nor a pattern knows
	closed      bool  // there may be none
	every       *node // of names
	needs       []need
}

type pattern struct {
	name *expression
	node *node
}

// need is what the presence of a member asks for.
type need struct {
	member int
	names  set
	node   *node // nil: none
}

type inPlace struct {
	all, any, one   []*node
	not             *node
	condition       *node
	then, otherwise *node
}

// Compile compiles a file's schema and rules.
func Compile(f *schemas.File) (p *Program) {
	defer func() {
		if recover() != nil { // of such a file everything is asked
			p = &Program{hopeless: true}
		}
	}()
	c := &compiler{file: f, nodes: map[*jsonschema.Schema]*node{}, program: &Program{}}
	c.program.root = c.node(f.Schema)
	c.program.hopeless = c.program.hopeless || hasCircle(c.nodes)
	for _, rule := range f.Rules() {
		c.program.deletes = c.program.deletes || rule.RunsOn(event.Delete)
	}
	return c.program
}

type compiler struct {
	file    *schemas.File
	nodes   map[*jsonschema.Schema]*node
	program *Program
}

// node compiles a schema, once: schemas may refer to each other in circles.
func (c *compiler) node(s *jsonschema.Schema) *node {
	if s == nil {
		return nil
	}
	if n, ok := c.nodes[s]; ok {
		return n
	}
	n := &node{types: everyKind}
	c.nodes[s] = n
	if s.Always != nil {
		n.trivial, n.never = *s.Always, !*s.Always
		n.sure = n.surely()
		return n
	}
	if s.RecursiveRef != nil || s.DynamicRef != nil || s.RegexProperties || len(s.Extensions) > 0 {
		c.program.hopeless = true // what such a schema means depends on who refers to it
	}
	n.reaches = c.file.Reaches(s)
	for _, r := range c.file.RulesAt(s) {
		compiled, ok := newRule(r)
		n.rules = append(n.rules, compiled)
		c.program.hopeless = c.program.hopeless || !ok
	}
	c.types(n, s)
	c.scalars(n, s)
	c.elements(n, s)
	c.objects(n, s)
	c.inPlace(n, s)
	n.trivial = n.isTrivial()
	n.sure = n.surely()
	return n
}

func (c *compiler) types(n *node, s *jsonschema.Schema) {
	if len(s.Types) > 0 {
		n.types = 0
		numbers := false
		for _, name := range s.Types {
			n.types |= kindsByName[name]
			numbers = numbers || name == "number"
			n.integers = n.integers || name == "integer"
		}
		n.integers = n.integers && !numbers
	}
	if s.UnevaluatedProperties != nil {
		n.unknown |= object.bit()
	}
	if s.UnevaluatedItems != nil {
		n.unknown |= list.bit()
	}
	if (s.ContentEncoding != "" || s.ContentMediaType != "") && s.Draft != jsonschema.Draft2019 && s.Draft != jsonschema.Draft2020 {
		n.unknown |= text.bit()
	}
	if len(s.Constant) > 0 {
		n.values = append(n.values, newConstants(s.Constant[:1]))
	}
	if len(s.Enum) > 0 {
		n.values = append(n.values, newConstants(s.Enum))
	}
}

func (c *compiler) scalars(n *node, s *jsonschema.Schema) {
	if s.Format != "" {
		n.format = newFormat(s.Format)
	}
	if s.MinLength != -1 || s.MaxLength != -1 || s.Pattern != nil {
		n.texts = &textRules{least: s.MinLength, most: s.MaxLength}
		if s.Pattern != nil {
			n.texts.pattern = newExpression(s.Pattern)
		}
	}
	if s.Minimum != nil || s.ExclusiveMinimum != nil || s.Maximum != nil || s.ExclusiveMaximum != nil || s.MultipleOf != nil {
		n.numbers = &numberRules{
			minimum: quantityOf(s.Minimum), above: quantityOf(s.ExclusiveMinimum), maximum: quantityOf(s.Maximum),
			below: quantityOf(s.ExclusiveMaximum), multiple: quantityOf(s.MultipleOf),
		}
		if m := s.MultipleOf; m != nil && m.Sign() == 0 {
			c.program.hopeless = true
			return
		}
		for decimals := range n.numbers.limits {
			n.numbers.limits[decimals] = limitsOf(s, decimals)
		}
	}
}

func (c *compiler) elements(n *node, s *jsonschema.Schema) {
	l := &listRules{least: s.MinItems, most: s.MaxItems, unique: s.UniqueItems, leastFitting: s.MinContains, mostFitting: s.MaxContains}
	switch items := s.Items.(type) {
	case *jsonschema.Schema:
		l.rest = c.node(items)
	case []*jsonschema.Schema:
		l.first = c.each(items)
		switch more := s.AdditionalItems.(type) {
		case *jsonschema.Schema:
			l.rest = c.node(more)
		case bool:
			l.none = !more
		}
	default:
		l.first, l.rest = c.each(s.PrefixItems), c.node(s.Items2020)
	}
	if s.Items != nil && (len(s.PrefixItems) > 0 || s.Items2020 != nil) {
		c.program.hopeless = true // not reached: they belong to different drafts
	}
	if s.Contains != nil && (s.MinContains != -1 || s.MaxContains != -1) {
		l.contains = c.node(s.Contains)
	}
	if l.least != -1 || l.most != -1 || l.unique || l.first != nil || l.rest != nil || l.none || l.contains != nil {
		n.lists = l
	}
}

func (c *compiler) each(all []*jsonschema.Schema) []*node {
	var nodes []*node
	for _, s := range all {
		nodes = append(nodes, c.node(s))
	}
	return nodes
}

func (c *compiler) objects(n *node, s *jsonschema.Schema) {
	o := &objectRules{least: s.MinProperties, most: s.MaxProperties, every: c.node(s.PropertyNames)}
	for name, property := range s.Properties {
		o.known(name)
		o.members[o.names.number(name)] = c.node(property)
	}
	for _, name := range s.Required {
		o.required.add(o.known(name))
	}
	for name, others := range s.DependentRequired {
		o.needs = append(o.needs, need{member: o.known(name), names: o.setOf(others)})
	}
	for name, dependent := range s.DependentSchemas {
		o.needs = append(o.needs, need{member: o.known(name), node: c.node(dependent)})
	}
	for name, dependency := range s.Dependencies {
		switch d := dependency.(type) {
		case *jsonschema.Schema:
			o.needs = append(o.needs, need{member: o.known(name), node: c.node(d)})
		case []string:
			o.needs = append(o.needs, need{member: o.known(name), names: o.setOf(d)})
		}
	}
	for name, property := range s.PatternProperties {
		o.patterns = append(o.patterns, pattern{newExpression(name), c.node(property)})
	}
	switch others := s.AdditionalProperties.(type) {
	case *jsonschema.Schema:
		o.others = c.node(others)
	case bool:
		o.closed = !others
	}
	if o.least == -1 && o.most == -1 && len(o.names.all) == 0 && len(o.patterns) == 0 && o.others == nil && !o.closed && o.every == nil {
		return
	}
	o.names.index()
	if len(o.names.all) > maxNames {
		n.unknown |= object.bit()
		return
	}
	n.objects = o
}

func (c *compiler) inPlace(n *node, s *jsonschema.Schema) {
	p := &inPlace{
		any: c.each(s.AnyOf), one: c.each(s.OneOf), not: c.node(s.Not),
		condition: c.node(s.If), then: c.node(s.Then), otherwise: c.node(s.Else),
	}
	if s.Ref != nil {
		p.all = append(p.all, c.node(s.Ref))
	}
	p.all = append(p.all, c.each(s.AllOf)...)
	if p.all == nil && p.any == nil && p.one == nil && p.not == nil && p.condition == nil {
		return
	}
	if len(p.all) == 1 && p.any == nil && p.one == nil && p.not == nil && p.condition == nil && n.isTrivial() {
		n.only = p.all[0]
	}
	n.inPlace = p
}

// next are the nodes that speak of the same value.
func (n *node) next() []*node {
	var all []*node
	if p := n.inPlace; p != nil {
		all = append(all, p.all...)
		all = append(all, p.any...)
		all = append(all, p.one...)
		all = append(all, p.not, p.condition, p.then, p.otherwise)
	}
	if o := n.objects; o != nil {
		for _, need := range o.needs {
			all = append(all, need.node)
		}
	}
	return all
}

// hasCircle tells whether a node speaks of the same value as a node that leads to it: the library then gives up, whatever
// else the schema says.
func hasCircle(nodes map[*jsonschema.Schema]*node) bool {
	state := map[*node]int{} // 1: on the way, 2: done
	var visit func(n *node) bool
	visit = func(n *node) bool {
		if n == nil || state[n] == 2 {
			return false
		}
		if state[n] == 1 {
			return true
		}
		state[n] = 1
		for _, next := range n.next() {
			if visit(next) {
				return true
			}
		}
		state[n] = 2
		return false
	}
	for _, n := range nodes {
		if visit(n) {
			return true
		}
	}
	return false
}

// constants are the values that enum or const allows.
type constants struct {
	null, yes, no bool
	texts         []string
	numbers       []quantity
	containers    kinds // there are such: whether a value equals one isn't told
}

func newConstants(all []any) constants {
	var v constants
	for _, value := range all {
		switch value := value.(type) {
		case nil:
			v.null = true
		case bool:
			v.yes, v.no = v.yes || value, v.no || !value
		case string:
			v.texts = append(v.texts, value)
		case json.Number:
			v.numbers = append(v.numbers, newQuantity(rational(string(value))))
		case []any:
			v.containers |= list.bit()
		default:
			v.containers |= object.bit()
		}
	}
	return v
}
