package verdict

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/event"
)

// describe says what a leaf means: the library's own messages hold values, these never do.
func (j *judgement) describe(l leaf) []finding {
	s := locate(j.file.Schema, l.keywords, l.place)
	f := finding{
		kind: event.SchemaError, severity: j.file.Severity, keyword: s.keyword, keywordLocation: pointer(l.keywords),
		place: s.place, pattern: s.pattern,
	}
	value, there := at(j.value, s.place)
	if s.schema == nil || !there && s.keyword != "" {
		f.message = "doesn't fit " + strconv.Quote(s.keyword)
		return []finding{f}
	}
	switch s.keyword {
	case "required":
		return j.missing(f, s.schema.Required, value)
	case "dependentRequired", "dependencies":
		return j.missing(f, s.neededByOther(), value)
	case "minContains":
		if s.schema.MinContains == 1 { // most schemas name contains only
			f.keyword, f.keywordLocation = "contains", pointer(append(slices.Clone(l.keywords[:len(l.keywords)-1]), "contains"))
		}
	}
	f.message, f.expected = words(s)
	switch {
	case l.several:
		f.message, f.expected = "fits more than one of the schemas of oneOf", ""
		return []finding{f}
	case slices.Contains(l.keywords, "propertyNames"): // the value is the name itself, which may be anybody's
		return []finding{f}
	}
	switch s.keyword {
	case "type":
		f.actual = typeName(value)
	case "anyOf", "oneOf", "not", "if", "then", "else", "minContains", "maxContains", "contains":
	case "minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength":
		f.actual = strconv.Itoa(length(value))
	case "additionalProperties":
		f.actual = j.unknownNames(s.schema, value, l.place)
	default:
		f.actual = j.mask.show(value, s.place)
	}
	return []finding{f}
}

// neededByOther is the member that another asks for.
func (s spot) neededByOther() []string {
	if len(s.rest) != 2 {
		return nil
	}
	names, _ := s.schema.Dependencies[s.rest[0]].([]string)
	if s.keyword == "dependentRequired" {
		names = s.schema.DependentRequired[s.rest[0]]
	}
	if i, err := strconv.Atoi(s.rest[1]); err == nil && i >= 0 && i < len(names) {
		return names[i : i+1]
	}
	return nil
}

// missing makes an error of each member that isn't there, so that each is a group of its own.
func (j *judgement) missing(f finding, required []string, value any) []finding {
	object, _ := value.(map[string]any)
	var all []finding
	for _, name := range required {
		if _, ok := object[name]; ok {
			continue
		}
		if len(f.place) == 0 && j.leftOut(name) {
			continue
		}
		one := f
		one.message, one.expected = strconv.Quote(name)+" is missing", name
		one.pattern = append(append([]string(nil), f.pattern...), name)
		all = append(all, one)
	}
	return all
}

// unknownNames are the first members that the schema doesn't name.
func (j *judgement) unknownNames(s *jsonschema.Schema, value any, place []string) string {
	const shown = 3
	if j.mask.covered(place) {
		return hidden
	}
	object, _ := value.(map[string]any)
	var names []string
	for name := range object {
		known := s.Properties[name] != nil
		for pattern := range s.PatternProperties {
			known = known || pattern.MatchString(name)
		}
		if !known {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for i, name := range names[:min(shown, len(names))] {
		if !isID(name) {
			names[i] = hidden
		}
	}
	if len(names) > shown {
		names = append(names[:shown], fmt.Sprintf("%d more", len(names)-shown))
	}
	return strings.Join(names, ", ")
}

// words are the message of a keyword that failed, and what would be right.
func words(at spot) (message, expected string) {
	s := at.schema
	switch at.keyword {
	case "", "unevaluatedProperties", "unevaluatedItems":
		return "isn't allowed here", ""
	case "type":
		expected = strings.Join(s.Types, " or ")
		return "has to be " + article(expected), expected
	case "anyOf", "oneOf":
		return choice(at)
	case "const":
		if len(s.Constant) > 0 {
			expected = literal(s.Constant[0])
		}
		return "has to be one certain value", expected
	case "enum":
		return "is none of the allowed values", list(s.Enum)
	case "format":
		return "isn't a valid " + s.Format, s.Format
	case "pattern":
		return "doesn't match the pattern", s.Pattern.String()
	case "not":
		return "is what it must not be", ""
	case "additionalProperties":
		return "has members that the schema doesn't name", ""
	case "additionalItems":
		return "has more elements than the schema names", ""
	case "uniqueItems":
		return "has elements that are equal", ""
	case "minContains", "contains":
		return "has too few elements of the kind asked for", ">= " + strconv.Itoa(s.MinContains)
	case "maxContains":
		return "has too many elements of a kind", "<= " + strconv.Itoa(s.MaxContains)
	case "contentEncoding", "contentMediaType", "contentSchema":
		return "doesn't hold what " + at.keyword + " says", s.ContentEncoding + s.ContentMediaType
	}
	return bounds(at)
}

func bounds(at spot) (message, expected string) {
	s := at.schema
	switch at.keyword {
	case "minimum":
		return "is too small", ">= " + decimal(s.Minimum)
	case "exclusiveMinimum":
		return "is too small", "> " + decimal(s.ExclusiveMinimum)
	case "maximum":
		return "is too large", "<= " + decimal(s.Maximum)
	case "exclusiveMaximum":
		return "is too large", "< " + decimal(s.ExclusiveMaximum)
	case "multipleOf":
		return "isn't a multiple", "a multiple of " + decimal(s.MultipleOf)
	case "minLength":
		return "is too short", ">= " + strconv.Itoa(s.MinLength) + " characters"
	case "maxLength":
		return "is too long", "<= " + strconv.Itoa(s.MaxLength) + " characters"
	case "minItems":
		return "has too few elements", ">= " + strconv.Itoa(s.MinItems)
	case "maxItems":
		return "has too many elements", "<= " + strconv.Itoa(s.MaxItems)
	case "minProperties":
		return "has too few members", ">= " + strconv.Itoa(s.MinProperties)
	case "maxProperties":
		return "has too many members", "<= " + strconv.Itoa(s.MaxProperties)
	}
	return "doesn't fit " + strconv.Quote(at.keyword), ""
}

// choice tells of an anyOf or oneOf of which no branch, or more than one, fits.
func choice(at spot) (message, expected string) {
	branches := at.schema.AnyOf
	if at.keyword == "oneOf" {
		branches = at.schema.OneOf
	}
	var types []string
	for _, b := range branches {
		for b.Ref != nil && len(b.Types) == 0 {
			b = b.Ref
		}
		for _, t := range b.Types {
			if !slices.Contains(types, t) {
				types = append(types, t)
			}
		}
	}
	if len(types) == 0 {
		return "fits not exactly one of the schemas of " + at.keyword, ""
	}
	expected = strings.Join(types, " or ")
	return "fits none of the schemas of " + at.keyword, expected
}

func article(types string) string {
	switch types[:min(1, len(types))] {
	case "a", "i", "o":
		return "an " + types
	}
	if types == "null" {
		return types
	}
	return "a " + types
}

func literal(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

func list(values []any) string {
	const shown = 12
	var texts []string
	for i, v := range values {
		if i == shown {
			texts = append(texts, fmt.Sprintf("%d more", len(values)-shown))
			break
		}
		texts = append(texts, literal(v))
	}
	return strings.Join(texts, " | ")
}

func length(value any) int {
	switch v := value.(type) {
	case string:
		return len([]rune(v))
	case []any:
		return len(v)
	case map[string]any:
		return len(v)
	}
	return 0
}

// decimal writes a bound of the schema digit for digit: what JSON writes is a decimal fraction.
func decimal(r *big.Rat) string {
	if r == nil {
		return ""
	}
	if digits, exact := r.FloatPrec(); exact {
		return r.FloatString(digits)
	}
	return r.RatString()
}
