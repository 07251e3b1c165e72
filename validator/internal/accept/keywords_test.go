package accept

import (
	"regexp"
	"testing"

	"datawatch/validator/internal/schemas"
)

// hostile are numbers that the judge keeps from the library.
var hostile = regexp.MustCompile(`[eE][+-]?[0-9]{4}|[0-9.]{65}`)

type keywordValue struct {
	value string
	want  answer
}

type keywordCase struct {
	name, schema string
	values       []keywordValue
}

const (
	draft4 = `"$schema": "http://json-schema.org/draft-04/schema#", `
	draft7 = `"$schema": "http://json-schema.org/draft-07/schema#", `
	draft9 = `"$schema": "https://json-schema.org/draft/2019-09/schema", `
)

// keywordCases say of each keyword what the acceptor decides by itself.
var keywordCases = []keywordCase{
	{"true", `{}`, []keywordValue{{`1`, yes}, {`{"a":[1,{"b":null}]}`, yes}, {`{"a":1,"a":2}`, unknown}, {`{`, unknown}, {``, unknown}, {"\"\xff\"", unknown}, {`1 2`, unknown}}},
	{"type", `{"type": "string"}`, []keywordValue{{`"a"`, yes}, {`1`, no}, {`null`, no}, {`true`, no}, {`[]`, no}, {`{}`, no}}},
	{"types", `{"type": ["integer", "null"]}`, []keywordValue{{`1`, yes}, {`null`, yes}, {`1.0`, yes}, {`1e2`, yes}, {`1e-2`, no}, {`1.5`, no}, {`"1"`, no}}},
	{"integer or number", `{"type": ["integer", "number"]}`, []keywordValue{{`1.5`, yes}, {`true`, no}}},
	{"enum", `{"enum": ["a", 1, null, true, 1.50]}`, []keywordValue{{`"a"`, yes}, {`"b"`, no}, {`1.0`, yes}, {`1.5`, yes}, {`2`, no}, {`null`, yes}, {`true`, yes}, {`false`, no}, {`"\u0061"`, yes}, {`[]`, no}}},
	{"enum of containers", `{"enum": [["a"], {}]}`, []keywordValue{{`["a"]`, unknown}, {`{}`, unknown}, {`1`, no}}},
	{"const", `{"const": 0.30}`, []keywordValue{{`0.3`, yes}, {`3e-1`, yes}, {`0.30000000000000000001`, no}, {`"0.3"`, no}}},
	{"const null", `{"const": null}`, []keywordValue{{`null`, yes}, {`0`, no}}},
	{"bounds", `{"minimum": 0, "exclusiveMaximum": 100.00}`, []keywordValue{{`0`, yes}, {`-0`, yes}, {`-0.0000000000000000000001`, no}, {`99.999999999999999999999`, yes}, {`100`, no}, {`1e2`, no}, {`"x"`, yes}}},
	{"bounds of draft 4", `{` + draft4 + `"minimum": 1, "exclusiveMinimum": true, "maximum": 3}`, []keywordValue{{`1`, no}, {`1.1`, yes}, {`3`, yes}, {`3.1`, no}}},
	{"far bounds", `{"maximum": 12345678901234567890.123456789}`, []keywordValue{{`12345678901234567890.123456789`, yes}, {`12345678901234567890.12345679`, no}, {`1`, yes}}},
	{"multipleOf", `{"multipleOf": 0.01}`, []keywordValue{{`4.02`, yes}, {`19.995`, no}, {`1e-2`, yes}, {`1e-3`, no}, {`12345678901234567890.12`, yes}, {`0`, yes}}},
	{"hostile numbers", `{"minimum": 0}`, []keywordValue{{`1e1000001`, unknown}, {`1e-1000001`, unknown}, {`01`, unknown}, {`1.`, unknown}, {`+1`, unknown}, {`1e400`, yes}, {`-1e400`, no}}},
	{"lengths", `{"minLength": 2, "maxLength": 3}`, []keywordValue{{`"ab"`, yes}, {`"aé"`, yes}, {`"日本語"`, yes}, {`"日本語x"`, no}, {`"\u65e5\u672c"`, yes}, {`"\ud83d\ude00"`, no}, {`"a"`, no}, {`5`, yes}}},
	{"pattern", `{"pattern": "^ORD-[0-9]+$"}`, []keywordValue{{`"ORD-1"`, yes}, {`"ORD-"`, no}, {`"\u004fRD-1"`, yes}, {`1`, yes}}},
	{"date-time", `{"format": "date-time"}`, []keywordValue{{`"2026-11-22T23:59:01.123456Z"`, yes}, {`"2026-11-22T23:59:01+07:00"`, yes}, {`"2026-02-29T00:00:00Z"`, no}, {`"2026-11-22T23:59:60Z"`, yes}, {`"2026-11-22T22:59:60Z"`, no}, {`"2026-11-22 23:59:01Z"`, no}, {`1`, yes}}},
	{"date", `{"format": "date"}`, []keywordValue{{`"2024-02-29"`, yes}, {`"1900-02-29"`, no}, {`"2000-02-29"`, yes}, {`"2026-13-01"`, no}, {`"2026-04-31"`, no}, {`"2026-4-1"`, no}}},
	{"uuid", `{"format": "uuid"}`, []keywordValue{{`"0b8f2c1e-5a77-4f3c-9d1e-000000000001"`, yes}, {`"0B8F2C1E-5A77-4F3C-9D1E-00000000000f"`, yes}, {`"0b8f2c1e5a774f3c9d1e000000000001"`, no}}},
	{"email", `{"format": "email"}`, []keywordValue{{`"a.b+c@example.com"`, yes}, {`"\"a b\"@example.com"`, yes}, {`"a"`, no}, {`"a..b@example.com"`, no}, {`"a@b_c.com"`, no}}},
	{"ours", `{"format": "currency"}`, []keywordValue{{`"EUR"`, yes}, {`"eur"`, no}, {`1`, yes}, {`[]`, unknown}}},
	{"unknown format", `{"format": "nobody-knows"}`, []keywordValue{{`"x"`, yes}, {`{}`, yes}}},
	{"properties", `{"properties": {"a": {"type": "integer"}, "b": {}}}`, []keywordValue{{`{"a":1,"c":2}`, yes}, {`{"a":"1"}`, no}, {`{"\u0061":"1"}`, unknown}, {`[]`, yes}}},
	{"required", `{"required": ["a", "b"]}`, []keywordValue{{`{"a":1,"b":null}`, yes}, {`{"a":1}`, no}, {`1`, yes}}},
	{"closed", `{"properties": {"a": {}}, "patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": false}`, []keywordValue{{`{"a":1,"x1":2}`, yes}, {`{"b":1}`, no}, {`{"x":"1"}`, no}, {`{}`, yes}}},
	{"closed to what is only required", `{"required": ["a"], "additionalProperties": false}`, []keywordValue{{`{"a":1}`, no}, {`{}`, no}}},
	{"others", `{"properties": {"a": {}}, "additionalProperties": {"type": "string"}}`, []keywordValue{{`{"a":1,"b":"x"}`, yes}, {`{"b":1}`, no}}},
	{"propertyNames", `{"propertyNames": {"pattern": "^[a-z]+$", "maxLength": 3}}`, []keywordValue{{`{"ab":1}`, yes}, {`{"AB":1}`, no}, {`{"abcd":1}`, no}}},
	{"counts of members", `{"minProperties": 1, "maxProperties": 2}`, []keywordValue{{`{}`, no}, {`{"a":1}`, yes}, {`{"a":1,"b":1,"c":1}`, no}}},
	{"dependentRequired", `{"dependentRequired": {"a": ["b"]}}`, []keywordValue{{`{"a":1,"b":1}`, yes}, {`{"a":1}`, no}, {`{"b":1}`, yes}}},
	{"dependentSchemas", `{"dependentSchemas": {"a": {"required": ["b"]}}}`, []keywordValue{{`{"a":1,"b":1}`, yes}, {`{"a":1}`, no}, {`{}`, yes}}},
	{"dependencies", `{` + draft7 + `"dependencies": {"a": ["b"], "c": {"maxProperties": 1}}}`, []keywordValue{{`{"a":1,"b":1}`, yes}, {`{"a":1}`, no}, {`{"c":1}`, yes}, {`{"c":1,"d":1}`, no}}},
	{"items", `{"items": {"type": "integer"}, "minItems": 1, "maxItems": 3}`, []keywordValue{{`[1,2]`, yes}, {`[]`, no}, {`[1,2,3,4]`, no}, {`[1,"2"]`, no}, {`{}`, yes}}},
	{"prefixItems", `{"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": false}`, []keywordValue{{`[1,"a"]`, yes}, {`[1]`, yes}, {`["a"]`, no}, {`[1,"a",2]`, no}}},
	{"items of draft 7", `{` + draft7 + `"items": [{"type": "integer"}], "additionalItems": false}`, []keywordValue{{`[1]`, yes}, {`[]`, yes}, {`[1,2]`, no}, {`["1"]`, no}}},
	{"additionalItems", `{` + draft7 + `"items": [{"type": "integer"}], "additionalItems": {"type": "string"}}`, []keywordValue{{`[1,"a"]`, yes}, {`[1,2]`, no}}},
	{"contains", `{"contains": {"const": 1}, "maxContains": 2}`, []keywordValue{{`[0,1]`, yes}, {`[0]`, no}, {`[1,1,1]`, no}, {`[]`, no}, {`[[],1.0]`, yes}}},
	{"no minContains", `{` + draft9 + `"contains": {"const": 1}, "minContains": 0}`, []keywordValue{{`[]`, yes}, {`[0]`, yes}}},
	{"uniqueItems", `{"uniqueItems": true}`, []keywordValue{{`[1,2,"1",true,null]`, yes}, {`[1,1.0]`, no}, {`["a","\u0061"]`, no}, {`[null,null]`, no}, {`[[],[]]`, unknown}, {`[[],1]`, yes}}},
	{"ref", `{"properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}}`, []keywordValue{{`{"a":1}`, yes}, {`{"a":"1"}`, no}}},
	{"ref and more", `{"$ref": "#/$defs/n", "maximum": 5, "$defs": {"n": {"type": "integer"}}}`, []keywordValue{{`5`, yes}, {`6`, no}, {`1.5`, no}}},
	{"ref alone counts in draft 7", `{` + draft7 + `"allOf": [{"$ref": "#/definitions/n", "maximum": 5}], "definitions": {"n": {"type": "integer"}}}`, []keywordValue{{`6`, yes}, {`1.5`, no}}},
	{"recursion", `{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "left": {"$ref": "#"}}, "additionalProperties": false}`, []keywordValue{{`{"n":1,"left":{"n":2,"left":{"n":3}}}`, yes}, {`{"n":1,"left":{"n":2,"left":{}}}`, no}}},
	{"allOf", `{"allOf": [{"minimum": 1}, {"maximum": 3}]}`, []keywordValue{{`2`, yes}, {`0`, no}, {`4`, no}}},
	{"anyOf", `{"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 2}]}`, []keywordValue{{`null`, yes}, {`"ab"`, yes}, {`"abc"`, no}, {`1`, no}}},
	{"oneOf", `{"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}]}`, []keywordValue{{`2`, yes}, {`3`, yes}, {`6`, no}, {`1`, no}}},
	{"oneOf with an unknown branch", `{"oneOf": [{"type": "object"}, {"unevaluatedProperties": false}]}`, []keywordValue{{`{"a":1}`, unknown}, {`[]`, yes}}},
	{"not", `{"not": {"type": "string"}}`, []keywordValue{{`1`, yes}, {`"a"`, no}}},
	{"if", `{"if": {"properties": {"kind": {"const": "a"}}, "required": ["kind"]}, "then": {"required": ["a"]}, "else": {"required": ["b"]}}`, []keywordValue{{`{"kind":"a","a":1}`, yes}, {`{"kind":"a","b":1}`, no}, {`{"kind":"b","b":1}`, yes}, {`{}`, no}}},
	{"unevaluated", `{"properties": {"a": {}}, "unevaluatedProperties": false, "unevaluatedItems": false}`, []keywordValue{{`{"a":1}`, unknown}, {`[1]`, unknown}, {`1`, yes}}},
	{"content of draft 7", `{` + draft7 + `"contentEncoding": "base64"}`, []keywordValue{{`"!"`, unknown}, {`1`, yes}}},
	{"content", `{"contentEncoding": "base64"}`, []keywordValue{{`"!"`, yes}}},
	{"dynamic", `{"$dynamicAnchor": "x", "properties": {"a": {"$dynamicRef": "#x"}}}`, []keywordValue{{`{}`, unknown}}},
	{"a circle", `{"properties": {"x": {"$ref": "#/$defs/b"}}, "dependentSchemas": {"k": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"anyOf": [{}, {"$ref": "#"}]}}}`, []keywordValue{{`{"k":1}`, unknown}, {`1`, unknown}}},
	{"false", `{"properties": {"a": false}}`, []keywordValue{{`{}`, yes}, {`{"a":1}`, no}}},
	{"draft 4's exclusive bound alone", `{` + draft4 + `"maximum": 5, "exclusiveMaximum": false}`, []keywordValue{{`5`, yes}, {`6`, no}}},
}

// TestKeywords holds for each keyword what the acceptor decides, and that the library decides so too.
func TestKeywords(t *testing.T) {
	for _, c := range keywordCases {
		t.Run(c.name, func(t *testing.T) {
			s, err := compileText([]byte(c.schema))
			if err != nil {
				t.Fatal(err)
			}
			p := Compile(&schemas.File{Schema: s})
			for _, v := range c.values {
				if got := answerOf(t, p, []byte(v.value)); got != v.want {
					t.Errorf("%s: %d (no, unknown, yes), want %d", v.value, got, v.want)
				}
				if !hostile.MatchString(v.value) {
					compare(t, []byte(c.schema), s, p, []byte(v.value))
				}
			}
		})
	}
}
