package accept

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// chooser makes choices from bytes, so that a fuzzer may change one choice and keep the others.
type chooser struct{ bytes []byte }

// n is a number below a limit; 0 when the bytes are used up.
func (c *chooser) n(limit int) int {
	if len(c.bytes) == 0 {
		return 0
	}
	b := c.bytes[0]
	c.bytes = c.bytes[1:]
	return int(b) % limit
}

func (c *chooser) done() bool { return len(c.bytes) == 0 }

// oneIn is true one time in so many.
func (c *chooser) oneIn(many int) bool { return !c.done() && c.n(many) == many-1 }

func pick[T any](c *chooser, all []T) T { return all[c.n(len(all))] }

// What schemas and values are made of: few of each, so that they meet.
var (
	someNames = []string{"a", "b", "c", "id", "", "ä", "a/b~c", "total", "a name longer than eight bytes", "A"}
	someTexts = []string{
		"", "a", "b", "ab", "abc", "aé", "日本語", "a\nb", "\"\\", "😀", "1", "2026-11-22", "2026-02-29", "2024-02-29", "23:59:59Z", "23:59:60Z", "24:00:00Z",
		"2026-11-22T23:59:01.5Z", "2026-11-22T23:59:60Z", "2026-11-22t23:59:01+07:00", "2026-11-22T23:59:01.Z", "x@example.com", "x..y@example.com", "a.b+c@x-y.de",
		"-@example.com", "a@-b.com", "a@b-.com", "0b8f2c1e-5a77-4f3c-9d1e-000000000001", "0B8F2C1E-5A77-4F3C-9D1E-00000000000G", "10.0.0.1", "10.0.0.256", "::1", "example.com",
		"https://example.com/a?b=c", "/a/b~0", "12.50", "EUR", "XXY", "507f1f77bcf86cd799439011", "P1D", "ORD-12", "ORD-1234",
	}
	someNumbers = []string{
		"0", "-0", "1", "-1", "2", "3", "10", "1.0", "1e0", "10e-1", "1.5", "0.01", "0.1", "0.3", "4.02", "19.995", "1e2", "100", "99.99", "100.00", "1E+2", "1e-2",
		"12345678901234567890.123456789", "12345678901234567890.123456788", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "123456789012345678",
		"0.000000000000000001", "1e400", "1e-400", "999999999999999999", "0.12345678901234567",
	}
	someFormats = []string{
		"date-time", "date", "time", "uuid", "email", "ipv4", "ipv6", "hostname", "uri", "uri-reference", "regex", "json-pointer", "duration", "period", "decimal", "currency",
		"objectid", "money", "iban", "luhn", "phone", "nobody-knows",
	}
	somePatterns = []string{"^a", "b$", "^ORD-[0-9]{4}$", "", "^[a-z]*$", "é", "^.{2}$", "(a|b)+"}
	someTypes    = []string{"null", "boolean", "number", "integer", "string", "array", "object"}
	someDrafts   = []string{
		"", "https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2019-09/schema", "http://json-schema.org/draft-07/schema#",
		"http://json-schema.org/draft-06/schema#", "http://json-schema.org/draft-04/schema#",
	}
)

type dict = map[string]any

// schema makes a schema file.
func (c *chooser) schema() dict {
	draft := pick(c, someDrafts)
	definitions := dict{"one": c.place(2, draft), "two": c.place(1, draft)}
	s, ok := c.place(3, draft).(dict)
	if !ok {
		s = dict{}
	}
	if draft != "" {
		s["$schema"] = draft
	}
	s["definitions"] = definitions
	return s
}

func isOld(draft string) bool { return strings.Contains(draft, "draft-04") }

// place makes a schema within a file.
func (c *chooser) place(depth int, draft string) any {
	switch {
	case c.oneIn(20) && !isOld(draft):
		return c.n(2) == 0
	case c.oneIn(8):
		return dict{"$ref": pick(c, []string{"#/definitions/one", "#/definitions/two", "#"})}
	}
	s := dict{}
	if c.n(3) > 0 {
		if s["type"] = pick(c, someTypes); c.oneIn(4) {
			s["type"] = []any{"null", pick(c, someTypes[1:])}
		}
	}
	for range 1 + c.n(3) {
		c.keyword(s, depth, draft)
	}
	return s
}

func (c *chooser) keyword(s dict, depth int, draft string) {
	sub := func() any { return c.place(depth-1, draft) }
	subs := func() []any {
		all := []any{sub()}
		for range c.n(3) {
			all = append(all, sub())
		}
		return all
	}
	number := func() any { return json.Number(pick(c, someNumbers)) }
	plain := []func(){
		func() { s["enum"] = c.distinct() },
		func() {
			if s["const"] = c.scalar(); c.oneIn(6) {
				s["const"] = []any{"a"}
			}
		},
		func() { s["minimum"] = number() }, func() { s["maximum"] = number() },
		func() {
			if isOld(draft) {
				s["minimum"], s["exclusiveMinimum"] = number(), true
			} else {
				s["exclusiveMinimum"] = number()
			}
		},
		func() {
			if !isOld(draft) {
				s["exclusiveMaximum"] = number()
			}
		},
		func() {
			s["multipleOf"] = json.Number(pick(c, []string{"1", "0.01", "0.5", "3", "1e-3", "2.50", "1e20", "7e-20"}))
		},
		func() { s["minLength"] = c.n(4) }, func() { s["maxLength"] = c.n(5) }, func() { s["pattern"] = pick(c, somePatterns) },
		func() { s["format"] = pick(c, someFormats) }, func() { s["format"] = pick(c, someFormats) },
		func() { s["minItems"] = c.n(3) }, func() { s["maxItems"] = c.n(4) }, func() { s["uniqueItems"] = true },
		func() { s["minProperties"] = c.n(3) }, func() { s["maxProperties"] = c.n(4) }, func() { s["required"] = c.someOf(someNames) },
		func() { s["dependencies"] = dict{pick(c, someNames): c.someOf(someNames)} },
		func() { s["dependentRequired"] = dict{pick(c, someNames): c.someOf(someNames)} },
		func() { s["contentEncoding"] = "base64" },
		func() { s["additionalProperties"] = c.n(2) == 0 },
	}
	nested := []func(){
		func() { c.named(s, "properties", someNames, sub) }, func() { c.named(s, "properties", someNames, sub) },
		func() { c.named(s, "properties", someNames, sub) }, func() { c.named(s, "patternProperties", somePatterns, sub) },
		func() { s["additionalProperties"] = sub() }, func() { s["propertyNames"] = sub() },
		func() { s["items"] = sub() }, func() { s["items"] = sub() }, func() { s["prefixItems"] = subs() },
		func() {
			if !strings.Contains(draft, "2020") && draft != "" {
				s["items"], s["additionalItems"] = subs(), sub()
			}
		},
		func() {
			s["contains"] = sub()
			if c.n(2) == 0 {
				s["minContains"], s["maxContains"] = c.n(3), c.n(3)
			}
		},
		func() { s["allOf"] = subs() }, func() { s["anyOf"] = subs() }, func() { s["oneOf"] = subs() }, func() { s["not"] = sub() },
		func() { s["if"], s["then"], s["else"] = sub(), sub(), sub() },
		func() { c.named(s, "dependentSchemas", someNames, sub) }, func() { c.named(s, "dependencies", someNames, sub) },
		func() { s["unevaluatedProperties"] = sub() }, func() { s["unevaluatedItems"] = false },
	}
	if depth > 0 && c.n(3) > 0 {
		pick(c, nested)()
		return
	}
	pick(c, plain)()
}

func (c *chooser) named(s dict, keyword string, names []string, sub func() any) {
	all := dict{}
	for range 1 + c.n(4) {
		all[pick(c, names)] = sub()
	}
	s[keyword] = all
}

func (c *chooser) someOf(all []string) []string {
	some := []string{pick(c, all)}
	if more := pick(c, all); c.n(2) == 0 && more != some[0] {
		some = append(some, more)
	}
	return some
}

func (c *chooser) scalar() any {
	switch c.n(6) {
	case 0:
		return nil
	case 1:
		return c.n(2) == 0
	case 2, 3:
		return json.Number(pick(c, someNumbers))
	}
	return pick(c, someTexts)
}

// distinct are values for an enum, none twice.
func (c *chooser) distinct() []any {
	all, seen := []any{}, []string{}
	for range 1 + c.n(4) {
		value := c.scalar()
		if text := fmt.Sprintf("%T %v", value, value); !slices.Contains(seen, text) {
			all, seen = append(all, value), append(seen, text)
		}
	}
	return all
}

// value makes a JSON text that a schema is nearly about.
func (c *chooser) value(root, place any, depth int) string {
	s, _ := place.(dict)
	if ref, ok := s["$ref"].(string); ok && depth > 0 && c.n(8) > 0 {
		definitions, _ := root.(dict)["definitions"].(dict)
		target, ok := definitions[strings.TrimPrefix(ref, "#/definitions/")]
		if !ok {
			target = root
		}
		return c.value(root, target, depth-1)
	}
	if all, ok := s["enum"].([]any); ok && c.n(4) > 0 {
		return c.spell(pick(c, all))
	}
	if value, ok := s["const"]; ok && c.n(4) > 0 {
		return c.spell(value)
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		if all, ok := s[keyword].([]any); ok && c.n(3) > 0 && depth > 0 {
			return c.value(root, pick(c, all), depth-1)
		}
	}
	kind, _ := s["type"].(string)
	if both, ok := s["type"].([]any); ok {
		kind = pick(c, both).(string)
	}
	if kind == "" || c.oneIn(10) {
		kind = c.guess(s)
	}
	switch kind {
	case "null":
		return "null"
	case "boolean":
		return strconv.FormatBool(c.n(2) == 0)
	case "number", "integer":
		return c.near(s)
	case "string":
		return c.quote(pick(c, someTexts))
	case "array":
		return c.array(root, s, depth)
	}
	return c.object(root, s, depth)
}

// guess is a type that a schema without one speaks of.
func (c *chooser) guess(s dict) string {
	for keyword := range s {
		switch keyword {
		case "properties", "required", "patternProperties", "additionalProperties", "minProperties", "propertyNames":
			return "object"
		case "items", "prefixItems", "contains", "uniqueItems", "minItems":
			return "array"
		case "minimum", "maximum", "multipleOf":
			return "number"
		case "pattern", "minLength", "format":
			return "string"
		}
	}
	return pick(c, someTypes)
}

// near is a number that is, or is close to, one that the schema names.
func (c *chooser) near(s dict) string {
	for _, keyword := range []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"} {
		if n, ok := s[keyword].(json.Number); ok && c.n(3) > 0 {
			return string(n)
		}
	}
	return pick(c, someNumbers)
}

func (c *chooser) array(root any, s dict, depth int) string {
	var parts []string
	first, _ := s["prefixItems"].([]any)
	items := s["items"]
	if all, ok := items.([]any); ok {
		first, items = all, s["additionalItems"]
	}
	if items == nil {
		items = s["contains"]
	}
	for i := range c.n(5) {
		element := items
		if i < len(first) {
			element = first[i]
		}
		if depth <= 0 {
			element = dict{"type": "integer"}
		}
		parts = append(parts, c.value(root, element, depth-1))
	}
	return "[" + strings.Join(parts, c.comma()) + "]"
}

func (c *chooser) object(root any, s dict, depth int) string {
	var parts []string
	properties, _ := s["properties"].(dict)
	wanted := []string{}
	for _, name := range someNames {
		required, _ := s["required"].([]string)
		if _, known := properties[name]; (known || slices.Contains(required, name)) && c.n(6) > 0 || c.oneIn(12) {
			wanted = append(wanted, name)
		}
	}
	if c.oneIn(30) && len(wanted) > 0 {
		wanted = append(wanted, wanted[0])
	}
	for _, name := range wanted {
		place, known := properties[name]
		if !known {
			place = s["additionalProperties"]
		}
		if depth <= 0 {
			place = dict{"type": "integer"}
		}
		parts = append(parts, c.quote(name)+":"+c.value(root, place, depth-1))
	}
	return "{" + strings.Join(parts, c.comma()) + "}"
}

func (c *chooser) comma() string {
	if c.oneIn(8) {
		return " ,\n"
	}
	return ","
}

func (c *chooser) spell(value any) string {
	switch v := value.(type) {
	case json.Number:
		return string(v)
	case string:
		return c.quote(v)
	}
	b, err := json.Marshal(value)
	if err != nil {
		return "null"
	}
	return string(b)
}

// quote writes a text with the escapes that it needs, and sometimes with more, or broken.
func (c *chooser) quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	q := string(b)
	switch {
	case c.oneIn(20):
		return strings.Replace(q, "a", `\u0061`, 1)
	case c.oneIn(40):
		return q[:len(q)-1] + "\xff\""
	case c.oneIn(40):
		return q[:len(q)-1] + `\ud800"`
	}
	return q
}
