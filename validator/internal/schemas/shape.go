package schemas

import (
	"cmp"
	"maps"
	"regexp"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/cel"
)

// shapes tells what compiled schemas know of values, for the check of rules. Where several schemas speak of one value,
// it is what any of them names: a rule's field is then looked for among all.
type shapes struct {
	known map[*jsonschema.Schema]*cel.Shape
}

var celTypes = map[string]cel.Type{
	"null": cel.Null, "boolean": cel.Bool, "integer": cel.Number, "number": cel.Number, "string": cel.String,
	"array": cel.List, "object": cel.Map,
}

func (s *shapes) of(schema *jsonschema.Schema) *cel.Shape {
	if schema == nil {
		return nil
	}
	if shape, ok := s.known[schema]; ok {
		return shape
	}
	shape := &cel.Shape{}
	s.known[schema] = shape // before its parts: schemas may point to each other in circles
	s.fill(shape, schema)
	for _, also := range InPlace(schema) {
		s.merge(shape, also.Schema, also.Always, map[*jsonschema.Schema]bool{schema: true})
	}
	return shape
}

func (s *shapes) fill(shape *cel.Shape, schema *jsonschema.Schema) {
	for _, name := range schema.Types {
		shape.Type |= celTypes[name]
	}
	shape.Format = schema.Format
	if len(schema.Properties) > 0 {
		shape.Properties = make(map[string]*cel.Shape, len(schema.Properties))
		for name, property := range schema.Properties {
			shape.Properties[name] = s.of(property)
		}
	}
	shape.Closed = schema.AdditionalProperties == false && len(schema.PatternProperties) == 0
	switch items := schema.Items.(type) {
	case *jsonschema.Schema:
		shape.Items = s.of(items)
	case nil:
		if len(schema.PrefixItems) == 0 {
			shape.Items = s.of(schema.Items2020)
		}
	}
	shape.MaxItems = max(0, schema.MaxItems)
}

// merge adds what another schema says of the same value; always is false where it holds of some values only.
func (s *shapes) merge(shape *cel.Shape, schema *jsonschema.Schema, always bool, seen map[*jsonschema.Schema]bool) {
	if seen[schema] {
		return
	}
	seen[schema] = true
	other := &cel.Shape{}
	s.fill(other, schema)
	if always {
		if shape.Type == 0 {
			shape.Type = other.Type
		}
		if shape.Format == "" {
			shape.Format = other.Format
		}
		if shape.Items == nil {
			shape.Items = other.Items
		}
		if shape.MaxItems == 0 {
			shape.MaxItems = other.MaxItems
		}
		shape.Closed = shape.Closed || other.Closed
	}
	for name, property := range other.Properties {
		if _, named := shape.Properties[name]; named {
			continue
		}
		if shape.Properties == nil {
			shape.Properties = map[string]*cel.Shape{}
		}
		if !always {
			property = nil
		}
		shape.Properties[name] = property
	}
	for _, also := range InPlace(schema) {
		s.merge(shape, also.Schema, always && also.Always, seen)
	}
}

// Applied is a schema that speaks of the same value as the one that names it.
type Applied struct {
	Schema *jsonschema.Schema
	Always bool // false: of some values only, as in anyOf
}

// InPlace are the schemas that one names for its own value.
func InPlace(s *jsonschema.Schema) []Applied {
	var all []Applied
	add := func(always bool, schemas ...*jsonschema.Schema) {
		for _, schema := range schemas {
			if schema != nil {
				all = append(all, Applied{schema, always})
			}
		}
	}
	add(true, s.Ref, s.RecursiveRef, s.DynamicRef)
	add(true, s.AllOf...)
	add(false, s.AnyOf...)
	add(false, s.OneOf...)
	add(false, s.If, s.Then, s.Else)
	for _, name := range inTurn(s.DependentSchemas) {
		add(false, s.DependentSchemas[name])
	}
	for _, name := range inTurn(s.Dependencies) {
		if schema, ok := s.Dependencies[name].(*jsonschema.Schema); ok {
			add(false, schema)
		}
	}
	return all
}

// inTurn are the names of a map in their order: the library's maps have none, and what is told has to be the same each time.
func inTurn[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// below are the schemas that speak of the members and elements of a value.
func below(s *jsonschema.Schema) []*jsonschema.Schema {
	var all []*jsonschema.Schema
	add := func(v any) {
		switch v := v.(type) {
		case *jsonschema.Schema:
			if v != nil {
				all = append(all, v)
			}
		case []*jsonschema.Schema:
			all = append(all, v...)
		}
	}
	for _, name := range inTurn(s.Properties) {
		add(s.Properties[name])
	}
	for _, pattern := range slices.SortedFunc(maps.Keys(s.PatternProperties), func(a, b *regexp.Regexp) int { return cmp.Compare(a.String(), b.String()) }) {
		add(s.PatternProperties[pattern])
	}
	add(s.AdditionalProperties)
	add(s.UnevaluatedProperties)
	add(s.Items)
	add(s.AdditionalItems)
	add(s.PrefixItems)
	add(s.Items2020)
	add(s.UnevaluatedItems)
	return all
}
