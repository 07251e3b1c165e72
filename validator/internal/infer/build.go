package infer

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// pair is a member of an object that keeps its order.
type pair struct {
	name  string
	value any // members, []any, string, bool or json.Number
}

type members []pair

func (m *members) add(name string, value any) { *m = append(*m, pair{name, value}) }

// remark adds to what $comment says.
func (m *members) remark(text string) {
	for i, p := range *m {
		if said, ok := p.value.(string); ok && p.name == "$comment" {
			(*m)[i].value = said + ", " + text
			return
		}
	}
	m.add("$comment", text)
}

type builder struct {
	options Options
	pii     []any
}

// document is the whole file.
func (b *builder) document(f *Inference) members {
	body := b.schema(f.root, place{}, func(name string) int { return f.leftOut[name] })
	var all members
	all.add("$schema", "https://json-schema.org/draft/2020-12/schema")
	all.add("title", f.stream.Entity())
	all.add("$comment", f.said())
	all.add("x-severity", "warning")
	if len(b.pii) > 0 {
		all.add("x-pii", b.pii)
	}
	return append(all, body...)
}

// said is what was seen, in numbers.
func (f *Inference) said() string {
	text := fmt.Sprintf("Inferred from %d events of %s", f.Events, f.stream)
	if f.Events > 0 {
		text += fmt.Sprintf(", %s to %s", f.From.UTC().Format(time.RFC3339), f.To.UTC().Format(time.RFC3339))
	}
	return text
}

// place is where a schema stands.
type place struct {
	path   []string
	name   string // of the nearest member
	parent string // the name above that
}

func (p place) member(name string) place {
	return place{append(append([]string(nil), p.path...), name), name, p.name}
}

// any is an element of a list, or a member whose name is data.
func (p place) any() place {
	return place{append(append([]string(nil), p.path...), "*"), p.name, p.parent}
}

func (p place) pointer() string {
	var b strings.Builder
	for _, token := range p.path {
		b.WriteString("/" + strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1"))
	}
	return b.String()
}

// schema says what fits everything that was seen at a place. leftOut is in how many objects a member may have been
// without being shown; nil: in none.
func (b *builder) schema(s *shape, at place, leftOut func(string) int) members {
	var m members
	types := s.types()
	if s.nulls > 0 && len(types) == 1 { // what it is where it isn't null is still to be seen
		m.add("$comment", onlyNull)
		return m
	}
	if len(types) == 1 {
		m.add("type", types[0])
	} else if len(types) > 1 {
		m.add("type", types)
	}
	b.texts(&m, s, at, types)
	if b.options.Bounds && s.low.value != nil {
		m.add("minimum", json.Number(s.low.text))
		m.add("maximum", json.Number(s.high.text))
	}
	if s.items != nil {
		m.add("items", b.schema(s.items, at.any(), nil))
	}
	if s.objects > 0 {
		b.object(&m, s, at, leftOut)
	}
	return m
}

// types are the types seen, the most telling first and null last.
func (s *shape) types() []any {
	var types []any
	add := func(seen int, name string) {
		if seen > 0 {
			types = append(types, name)
		}
	}
	add(s.objects, "object")
	add(s.arrays, "array")
	add(s.strings.count, "string")
	if s.decimals > 0 {
		types = append(types, "number")
	} else {
		add(s.integers, "integer")
	}
	add(s.bools, "boolean")
	add(s.nulls, "null")
	return types
}

func (b *builder) texts(m *members, s *shape, at place, types []any) {
	if s.strings.count == 0 {
		if s.integers > 0 && personalName(at.name) && !strings.HasSuffix(snake(at.name), "_id") {
			b.private(at)
		}
		return
	}
	format := s.strings.format(at.name)
	if personal(s, at, format) {
		b.private(at)
	}
	if format != "" {
		m.add("format", format)
		return
	}
	alone := len(types) == 1 || len(types) == 2 && s.nulls > 0
	values := s.strings.enum(at.name)
	if values == nil || !alone {
		return
	}
	var all []any
	for _, v := range values {
		all = append(all, v)
	}
	if s.nulls > 0 {
		all = append(all, nil)
	}
	m.add("enum", all)
}

// personal tells whether a place looks like one of people's data: by its values, or by its name.
func personal(s *shape, at place, format string) bool {
	switch {
	case messageID(at.name):
		return false
	case s.strings.personal > 0, at.name == "name" && person.MatchString(snake(at.parent)):
		return true
	}
	return personalName(at.name) && !isTime(format) && !thing.MatchString(snake(at.parent))
}

func isTime(format string) bool { return format == "date-time" || format == "time" }

func (b *builder) private(at place) {
	if len(at.path) > 0 {
		b.pii = append(b.pii, at.pointer())
	}
}

// onlyNull stands where nothing else was seen.
const onlyNull = "only null was seen"

func (b *builder) object(m *members, s *shape, at place, leftOut func(string) int) {
	if s.isMap() {
		m.add("additionalProperties", b.schema(s.anyMember(), at.any(), nil))
		return
	}
	parts := b.objectOf(s, at, leftOut, func(string) bool { return true })
	if len(parts.required) > 0 {
		m.add("required", parts.required)
	}
	if len(parts.properties) > 0 {
		m.add("properties", parts.properties)
	}
}

// objectParts are what an object has always, and what it has.
type objectParts struct {
	required   []any
	properties members
}

// objectOf is what is said of the members of an object that are wanted.
func (b *builder) objectOf(s *shape, at place, leftOut func(string) int, wanted func(name string) bool) objectParts {
	var parts objectParts
	for _, name := range s.names {
		if !wanted(name) {
			continue
		}
		in := s.members[name].in
		without := 0
		if leftOut != nil {
			without = leftOut(name)
		}
		property := b.schema(s.members[name].shape, at.member(name), nil)
		if in+without >= s.objects {
			parts.required = append(parts.required, name)
		} else {
			property.remark(fmt.Sprintf("in %d of %d", in, s.objects-without))
		}
		parts.properties.add(name, property)
	}
	return parts
}
