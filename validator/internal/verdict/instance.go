package verdict

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"datawatch/pkg/cel"
	"datawatch/pkg/event"
)

// Bounds of a value that is judged.
const (
	maxDepth  = cel.MaxDepth // levels
	maxValues = 250_000      // members and elements: an error for each of them still fits into memory
)

// decode reads a value for the judges, numbers as their text. Where it is beyond what can be judged, limits says so, and
// value is nil.
func decode(raw json.RawMessage) (value any, limits []finding, err error) {
	if raw == nil {
		return nil, nil, nil
	}
	switch deep, large := beyond(raw); {
	case deep:
		return nil, []finding{{
			kind: event.LimitError, keyword: "depth", message: "is nested too deep to be judged",
			expected: "at most " + strconv.Itoa(maxDepth) + " levels",
		}}, nil
	case large:
		return nil, []finding{{
			kind: event.LimitError, keyword: "size", message: "holds too many values to be judged",
			expected: "at most " + strconv.Itoa(maxValues) + " members and elements",
		}}, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return nil, nil, err
	}
	if !anyOverlong(value) {
		return value, nil, nil
	}
	return nil, overlong(value, nil, nil), nil
}

func tooDeep(raw []byte) bool {
	deep, _ := beyond(raw)
	return deep
}

// beyond tells whether a JSON text is nested too deep, or holds too many values.
func beyond(raw []byte) (deep, large bool) {
	depth, values, quoted := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ',':
			values++
		case c == '{' || c == '[':
			values++ // the first of what it holds
			if depth++; depth > maxDepth {
				return true, false
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false, values > maxValues
}

// isOverlong tells whether a number would cost the judges too much: 1e1000001 takes a megabyte when it is written out.
func isOverlong(n json.Number) bool {
	if len(n) <= 18 && !strings.ContainsAny(string(n), "eE") {
		return false
	}
	_, err := cel.NumberValue(string(n))
	return err != nil
}

func anyOverlong(value any) bool {
	switch v := value.(type) {
	case json.Number:
		return isOverlong(v)
	case map[string]any:
		for _, member := range v {
			if anyOverlong(member) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, anyOverlong)
	}
	return false
}

// overlong finds the first such numbers, in the order of their places: which are left out of a violation is then the same
// each time.
func overlong(value any, place []string, found []finding) []finding {
	if len(found) > MaxErrors {
		return found
	}
	switch v := value.(type) {
	case json.Number:
		if isOverlong(v) {
			found = append(found, finding{
				kind: event.LimitError, keyword: "number", place: slices.Clone(place),
				message:  "is a number beyond what can be judged",
				expected: "at most " + strconv.Itoa(cel.MaxNumberLength) + " characters and an exponent within ±" + strconv.Itoa(cel.MaxExponent),
			})
		}
	case map[string]any:
		for _, name := range slices.SortedFunc(maps.Keys(v), compareTokens) {
			found = overlong(v[name], append(place, name), found)
		}
	case []any:
		for i, item := range v {
			found = overlong(item, append(place, strconv.Itoa(i)), found)
		}
	}
	return found
}

// at follows a place; ok is false where there is nothing.
func at(value any, place []string) (any, bool) {
	for _, token := range place {
		switch v := value.(type) {
		case map[string]any:
			member, ok := v[token]
			if !ok {
				return nil, false
			}
			value = member
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) {
				return nil, false
			}
			value = v[i]
		default:
			return nil, false
		}
	}
	return value, true
}

// pointer writes a place as a JSON pointer.
func pointer(place []string) string {
	var b strings.Builder
	for _, token := range place {
		b.WriteByte('/')
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1"))
	}
	return b.String()
}

// typeName is the JSON Schema type of a value.
func typeName(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case json.Number:
		if isInteger(v) {
			return "integer"
		}
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	default:
		return "object"
	}
}

func isInteger(n json.Number) bool { return !strings.ContainsAny(string(n), ".eE") }
