package verdict

import (
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

func (w *ruleWalk) unevaluatedMembers(s *jsonschema.Schema, object map[string]any, place, pattern, keywords []string) {
	if !w.file.Reaches(s.UnevaluatedProperties) {
		return
	}
	known := evaluatedBy(s, object)
	for _, name := range inTurn(object) {
		if !known.allMembers && !known.members[name] {
			w.visit(s.UnevaluatedProperties, object[name], with(place, name), with(pattern, anyToken), with(keywords, "unevaluatedProperties"))
		}
	}
}

func (w *ruleWalk) unevaluatedElements(s *jsonschema.Schema, list []any, place, pattern, keywords []string) {
	if !w.file.Reaches(s.UnevaluatedItems) {
		return
	}
	known := evaluatedBy(s, list)
	for i, value := range list {
		if !known.allElements && !known.elements[i] {
			w.visit(s.UnevaluatedItems, value, with(place, strconv.Itoa(i)), with(pattern, anyToken), with(keywords, "unevaluatedItems"))
		}
	}
}

// evaluated are the members and elements of a value of which a schema, or one that it names for the same value and that holds,
// says something of its own: unevaluatedProperties and unevaluatedItems speak of the others.
type evaluated struct {
	allMembers, allElements bool
	members                 map[string]bool
	elements                map[int]bool
}

// evaluatedBy leaves out what the schema's own unevaluatedProperties and unevaluatedItems say.
func evaluatedBy(s *jsonschema.Schema, value any) *evaluated {
	e := &evaluated{members: map[string]bool{}, elements: map[int]bool{}}
	e.own(s, value)
	e.inPlace(s, value, 0)
	return e
}

func (e *evaluated) add(s *jsonschema.Schema, value any, depth int) {
	if s == nil || depth > maxWalk {
		return
	}
	e.own(s, value)
	e.allMembers = e.allMembers || s.UnevaluatedProperties != nil
	e.allElements = e.allElements || s.UnevaluatedItems != nil
	e.inPlace(s, value, depth+1)
}

func (e *evaluated) own(s *jsonschema.Schema, value any) {
	switch v := value.(type) {
	case map[string]any:
		e.allMembers = e.allMembers || s.AdditionalProperties != nil
		for name := range v {
			named := s.Properties[name] != nil
			for pattern := range s.PatternProperties {
				named = named || pattern.MatchString(name)
			}
			if named {
				e.members[name] = true
			}
		}
	case []any:
		for i := range v {
			listed := element(s, i) != nil
			if s.ContainsEval && s.Contains != nil {
				listed = listed || s.Contains.Validate(v[i]) == nil
			}
			if listed {
				e.elements[i] = true
			}
		}
	}
}

func (e *evaluated) inPlace(s *jsonschema.Schema, value any, depth int) {
	holds := func(s *jsonschema.Schema) bool { return s != nil && s.Validate(value) == nil }
	for _, also := range []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.DynamicRef} {
		e.add(also, value, depth)
	}
	for _, also := range s.AllOf {
		e.add(also, value, depth)
	}
	for _, branches := range [][]*jsonschema.Schema{s.AnyOf, s.OneOf} {
		for _, branch := range branches {
			if holds(branch) {
				e.add(branch, value, depth)
			}
		}
	}
	switch {
	case s.If == nil:
	case holds(s.If):
		e.add(s.If, value, depth)
		e.add(s.Then, value, depth)
	default:
		e.add(s.Else, value, depth)
	}
	object, _ := value.(map[string]any)
	for name, dependent := range s.DependentSchemas {
		if _, there := object[name]; there {
			e.add(dependent, value, depth)
		}
	}
}
