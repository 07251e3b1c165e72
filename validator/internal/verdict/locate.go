package verdict

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// tokensOf splits a location as the library writes it: a JSON pointer, each token escaped for URLs besides.
func tokensOf(location string) []string {
	if location == "" {
		return nil
	}
	tokens := strings.Split(strings.TrimPrefix(location, "/"), "/")
	for i, t := range tokens {
		if plain, err := url.PathUnescape(t); err == nil {
			t = plain
		}
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return tokens
}

// spot is where in schema and value an error is.
type spot struct {
	schema  *jsonschema.Schema // nil where the way to it isn't known
	keyword string             // "" for a schema that is false
	rest    []string           // behind the keyword: an index, a name
	place   []string           // in the value, with the empty names that the library leaves out
	pattern []string           // the place in the value, with anyToken for what isn't the schema's
}

// locate walks the schema along an error's keyword location, and the place in the value beside it: only the schema tells
// an index from a member that is called "0", and a name of its own from one that is data.
func locate(root *jsonschema.Schema, keywords, place []string) spot {
	w := walk{schema: root, place: place}
	for len(keywords) > 0 {
		n, ok := w.step(keywords)
		if !ok {
			break
		}
		keywords = keywords[n:]
	}
	s := spot{schema: w.schema, pattern: w.pattern, place: append(w.passed, w.place...)}
	if len(keywords) > 0 {
		s.keyword, s.rest = keywords[0], keywords[1:]
	}
	for range w.place {
		s.pattern = append(s.pattern, anyToken)
	}
	return s
}

type walk struct {
	schema  *jsonschema.Schema
	place   []string // what is left of it
	passed  []string // what isn't
	pattern []string
}

func (w *walk) enter(s *jsonschema.Schema, tokens int) (int, bool) {
	w.schema = s
	return tokens, s != nil
}

// descend enters the schema of a member or an element; as is "" where the place's own name is meant.
func (w *walk) descend(s *jsonschema.Schema, tokens int, as string) (int, bool) {
	if len(w.place) == 0 || s == nil {
		return 0, false
	}
	if as == "" {
		as = w.place[0]
	}
	w.place, w.passed, w.pattern = w.place[1:], append(w.passed, w.place[0]), append(w.pattern, as)
	return w.enter(s, tokens)
}

// descendUnnamed enters the schema of the member whose name is empty: the library's place leaves it out.
func (w *walk) descendUnnamed(s *jsonschema.Schema, tokens int) (int, bool) {
	w.passed, w.pattern = append(w.passed, ""), append(w.pattern, "")
	return w.enter(s, tokens)
}

// step goes into the next schema on the way and tells how many tokens that took; false at the keyword that failed.
func (w *walk) step(tokens []string) (int, bool) {
	s := w.schema
	argument := ""
	if len(tokens) > 1 {
		argument = tokens[1]
	}
	list := func(schemas []*jsonschema.Schema) *jsonschema.Schema {
		if i, err := strconv.Atoi(argument); err == nil && i >= 0 && i < len(schemas) {
			return schemas[i]
		}
		return nil
	}
	inPlace := func(s *jsonschema.Schema, n int) (int, bool) {
		if s == nil || len(tokens) == n { // the keyword itself failed
			return 0, false
		}
		return w.enter(s, n)
	}
	switch tokens[0] {
	case "$ref":
		return inPlace(s.Ref, 1)
	case "$recursiveRef":
		return inPlace(s.RecursiveRef, 1)
	case "$dynamicRef":
		return inPlace(s.DynamicRef, 1)
	case "allOf":
		return inPlace(list(s.AllOf), 2)
	case "anyOf":
		return inPlace(list(s.AnyOf), 2)
	case "oneOf":
		return inPlace(list(s.OneOf), 2)
	case "if":
		return inPlace(s.If, 1)
	case "then":
		return inPlace(s.Then, 1)
	case "else":
		return inPlace(s.Else, 1)
	case "not":
		return inPlace(s.Not, 1)
	case "dependentSchemas":
		return inPlace(s.DependentSchemas[argument], 2)
	case "dependencies":
		schema, _ := s.Dependencies[argument].(*jsonschema.Schema)
		return inPlace(schema, 2)
	}
	return w.stepBelow(tokens[0], argument, list)
}

func (w *walk) stepBelow(keyword, argument string, list func([]*jsonschema.Schema) *jsonschema.Schema) (int, bool) {
	s := w.schema
	switch keyword {
	case "properties":
		if _, named := s.Properties[""]; named && argument == "" {
			return w.descendUnnamed(s.Properties[""], 2)
		}
		return w.descend(s.Properties[argument], 2, "")
	case "patternProperties":
		for pattern, schema := range s.PatternProperties {
			if pattern.String() == argument {
				return w.descend(schema, 2, anyToken)
			}
		}
	case "additionalProperties":
		schema, _ := s.AdditionalProperties.(*jsonschema.Schema)
		return w.descend(schema, 1, anyToken)
	case "unevaluatedProperties":
		return w.descend(s.UnevaluatedProperties, 1, anyToken)
	case "propertyNames":
		return w.descend(s.PropertyNames, 1, anyToken)
	case "prefixItems":
		return w.descend(list(s.PrefixItems), 2, anyToken)
	case "items":
		switch items := s.Items.(type) {
		case *jsonschema.Schema:
			return w.descend(items, 1, anyToken)
		case []*jsonschema.Schema:
			return w.descend(list(items), 2, anyToken)
		}
		return w.descend(s.Items2020, 1, anyToken)
	case "additionalItems":
		schema, _ := s.AdditionalItems.(*jsonschema.Schema)
		return w.descend(schema, 1, anyToken)
	case "contains":
		return w.descend(s.Contains, 1, anyToken)
	case "unevaluatedItems":
		return w.descend(s.UnevaluatedItems, 1, anyToken)
	}
	return 0, false
}
