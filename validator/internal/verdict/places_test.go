package verdict_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"datawatch/validator/internal/verdict"
)

// errorsOf are the errors of a verdict, a line each: kind, places, expected, actual.
func errorsOf(v verdict.Verdict) (lines []string) {
	if v.Violation == nil {
		return nil
	}
	for _, e := range v.Violation.Errors {
		lines = append(lines, fmt.Sprintf("%s %q %q %q %q", e.Kind, e.InstanceLocation, e.KeywordLocation, e.Expected, e.Actual))
	}
	return lines
}

func wantErrors(t *testing.T, v verdict.Verdict, want ...string) {
	t.Helper()
	got := errorsOf(v)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// TestPlacesAreJSONPointersWhateverNamesAre: a tilde, a slash, a percent sign, an empty name and names that look like indexes
// or keywords.
func TestPlacesAreJSONPointersWhateverNamesAre(t *testing.T) {
	for name, c := range map[string]struct {
		schema, value string
		want          []string
	}{
		"tilde and slash": {
			`{"properties": {"a/b~c": {"properties": {"~1": {"type": "number"}}}}}`, `{"a/b~c": {"~1": true}}`,
			[]string{`schema "/a~1b~0c/~01" "/properties/a~1b~0c/properties/~01/type" "number" "boolean"`},
		},
		"percent, blank, quote and letters of others": {
			`{"properties": {"50% \"é\"": {"minimum": 1}}}`, `{"50% \"é\"": 0}`,
			[]string{`schema "/50% \"é\"" "/properties/50% \"é\"/minimum" ">= 1" "0"`},
		},
		"an escape that isn't one": {
			`{"properties": {"%41~2": {"minimum": 1}}}`, `{"%41~2": 0}`,
			[]string{`schema "/%41~02" "/properties/%41~02/minimum" ">= 1" "0"`},
		},
		"an empty name": {
			`{"properties": {"": {"properties": {"": {"minimum": 1}}}}}`, `{"": {"": 0}}`,
			[]string{`schema "//" "/properties//properties//minimum" ">= 1" "0"`},
		},
		"a name that is a number": {
			`{"properties": {"0": {"items": {"minimum": 1}}}}`, `{"0": [1, 0]}`,
			[]string{`schema "/0/1" "/properties/0/items/minimum" ">= 1" "0"`},
		},
		"members that are called like keywords, with several errors each": {
			`{"properties": {"oneOf": {"minimum": 1, "multipleOf": 2}, "contains": {"minimum": 1, "multipleOf": 2}, "anyOf": {"minimum": 1, "multipleOf": 2}, "minContains": {"minimum": 1, "multipleOf": 2}}}`,
			`{"oneOf": -1, "contains": -1, "anyOf": -1, "minContains": -1}`,
			[]string{
				`schema "/anyOf" "/properties/anyOf/minimum" ">= 1" "-1"`, `schema "/anyOf" "/properties/anyOf/multipleOf" "a multiple of 2" "-1"`,
				`schema "/contains" "/properties/contains/minimum" ">= 1" "-1"`, `schema "/contains" "/properties/contains/multipleOf" "a multiple of 2" "-1"`,
				`schema "/minContains" "/properties/minContains/minimum" ">= 1" "-1"`, `schema "/minContains" "/properties/minContains/multipleOf" "a multiple of 2" "-1"`,
				`schema "/oneOf" "/properties/oneOf/minimum" ">= 1" "-1"`, `schema "/oneOf" "/properties/oneOf/multipleOf" "a multiple of 2" "-1"`,
			},
		},
		"through $ref": {
			`{"$defs": {"m": {"type": "object", "properties": {"x": {"$ref": "#/$defs/n"}}}, "n": {"minimum": 1}}, "items": {"$ref": "#/$defs/m"}}`, `[{"x": 1}, {"x": 0}]`,
			[]string{`schema "/1/x" "/items/$ref/properties/x/$ref/minimum" ">= 1" "0"`},
		},
		"a rule below names that need escapes": {
			`{"properties": {"a/b": {"items": {"x-rules": [{"id": "a", "rule": "true", "message": "m"}, {"id": "r", "rule": "self['~'] > 1", "message": "m"}]}}}}`, `{"a/b": [{"~": 2}, {"~": 0}]}`,
			[]string{`rule "/a~1b/1/~0" "/properties/a~1b/items/x-rules/1" "> 1" "0"`},
		},
		"a rule under a pattern, and one under additionalProperties": {
			`{"patternProperties": {"^x/": {"x-rules": [{"id": "p", "rule": "self > 1", "message": "m"}]}}, "additionalProperties": {"x-rules": [{"id": "q", "rule": "self > 1", "message": "m"}]}}`, `{"x/1": 0, "y": 0}`,
			[]string{`rule "/x~11" "/patternProperties/^x~1/x-rules/0" "> 1" "0"`, `rule "/y" "/additionalProperties/x-rules/0" "> 1" "0"`},
		},
	} {
		t.Run(name, func(t *testing.T) { wantErrors(t, judge(t, c.schema, after(c.value)), c.want...) })
	}
}

// TestEveryDraftIsJudgedByItsOwnWords goes through what the drafts say differently.
func TestEveryDraftIsJudgedByItsOwnWords(t *testing.T) {
	const (
		four   = `"$schema": "http://json-schema.org/draft-04/schema#", `
		six    = `"$schema": "http://json-schema.org/draft-06/schema#", `
		seven  = `"$schema": "http://json-schema.org/draft-07/schema#", `
		nine   = `"$schema": "https://json-schema.org/draft/2019-09/schema", `
		twenty = `"$schema": "https://json-schema.org/draft/2020-12/schema", `
	)
	for name, c := range map[string]struct {
		schema, right, wrong string
		want                 []string
	}{
		"4: exclusiveMinimum is a switch": {
			`{` + four + `"properties": {"n": {"minimum": 0, "exclusiveMinimum": true}}}`, `{"n": 0.01}`, `{"n": 0}`,
			[]string{`schema "/n" "/properties/n/exclusiveMinimum" "> 0" "0"`},
		},
		"4: exclusiveMaximum is a switch, id names a place": {
			`{` + four + `"definitions": {"p": {"id": "#part", "maximum": 100, "exclusiveMaximum": true}}, "items": {"$ref": "#part"}}`, `[99.99]`, `[1, 100]`,
			[]string{`schema "/1" "/items/$ref/exclusiveMaximum" "< 100" "100"`},
		},
		"6: const, contains, propertyNames": {
			`{` + six + `"properties": {"k": {"const": "x"}, "l": {"contains": {"minimum": 5}}, "m": {"propertyNames": {"maxLength": 2}}}}`,
			`{"k": "x", "l": [1, 5], "m": {"ab": 1}}`, `{"k": 1, "l": [1, 2], "m": {"abc": 1}}`,
			[]string{
				`schema "/k" "/properties/k/const" "x" "1"`, `schema "/l" "/properties/l/contains" ">= 1" ""`,
				`schema "/m/abc" "/properties/m/propertyNames/maxLength" "<= 2 characters" ""`,
			},
		},
		"7: if, then, else; what stands beside $ref says nothing": {
			`{` + seven + `"definitions": {"s": {"type": "string"}}, "properties": {"a": {"$ref": "#/definitions/s", "maxLength": 1}},
				"if": {"properties": {"kind": {"const": "card"}}}, "then": {"required": ["last4"]}, "else": {"required": ["iban"]}}`,
			`{"kind": "card", "last4": "1234", "a": "abc"}`, `{"kind": "transfer", "last4": "1234"}`,
			[]string{`schema "" "/else/required" "iban" ""`},
		},
		"7: items as a list, additionalItems, dependencies": {
			`{` + seven + `"properties": {"l": {"items": [{"type": "string"}, {"type": "number"}], "additionalItems": {"type": "boolean"}}}, "dependencies": {"a": ["b"], "c": {"required": ["d"]}}}`,
			`{"l": ["x", 1, true], "a": 1, "b": 1}`, `{"l": [1, 1, 1], "a": 1, "c": 1}`,
			[]string{
				`schema "" "/dependencies/a/0" "b" ""`, `schema "" "/dependencies/c/required" "d" ""`,
				`schema "/l/0" "/properties/l/items/0/type" "string" "integer"`, `schema "/l/2" "/properties/l/additionalItems/type" "boolean" "integer"`,
			},
		},
		"2019-09: $anchor, $recursiveRef, dependentRequired, minContains": {
			`{` + nine + `"$recursiveAnchor": true, "$defs": {"n": {"$anchor": "num", "type": "number"}}, "properties": {"value": {"$ref": "#num"}, "children": {"items": {"$recursiveRef": "#"}},
				"l": {"contains": {"const": 1}, "minContains": 2}}, "dependentRequired": {"value": ["unit"]}}`,
			`{"value": 1, "unit": "kg", "children": [{"value": 2, "unit": "kg"}], "l": [1, 1]}`, `{"children": [{"children": [{"value": "x", "unit": "kg"}]}], "l": [1, 2]}`,
			[]string{
				`schema "/children/0/children/0/value" "/properties/children/items/$recursiveRef/properties/children/items/$recursiveRef/properties/value/$ref/type" "number" "string"`,
				`schema "/l" "/properties/l/minContains" ">= 2" ""`,
			},
		},
		"2019-09: what stands beside $ref counts, unevaluatedProperties": {
			`{` + nine + `"$defs": {"base": {"properties": {"id": {"type": "integer"}}}}, "$ref": "#/$defs/base", "properties": {"name": true}, "unevaluatedProperties": false}`,
			`{"id": 1, "name": "x"}`, `{"id": 1, "other": 1}`,
			[]string{`schema "/other" "/unevaluatedProperties" "" "1"`},
		},
		"2020-12: prefixItems, items behind them, $dynamicRef": {
			`{` + twenty + `"$dynamicAnchor": "node", "properties": {"l": {"prefixItems": [{"type": "string"}], "items": {"type": "number"}}, "next": {"$dynamicRef": "#node"}}}`,
			`{"l": ["x", 1], "next": {"l": ["y", 2]}}`, `{"l": [1, "x"], "next": {"l": ["y", "z"]}}`,
			[]string{
				`schema "/l/0" "/properties/l/prefixItems/0/type" "string" "integer"`, `schema "/l/1" "/properties/l/items/type" "number" "string"`,
				`schema "/next/l/1" "/properties/next/$dynamicRef/properties/l/items/type" "number" "string"`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			wantErrors(t, judge(t, c.schema, after(c.right)))
			wantErrors(t, judge(t, c.schema, after(c.wrong)), c.want...)
		})
	}
}

// TestNestedChoicesAreReportedByTheirNearestBranch: the kind that the value names, then the fewest errors, then the deepest.
func TestNestedChoicesAreReportedByTheirNearestBranch(t *testing.T) {
	const kinds = `"oneOf": [
		{"type": "object", "required": ["kind", "number", "expires", "holder"], "properties": {"kind": {"const": "card"}, "number": {"type": "string"}, "holder": {"type": "string"}, "limit": {"minimum": 0}}},
		{"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["cash", "voucher"]}}},
		{"type": "object", "required": ["kind", "to"], "properties": {"kind": {"const": "transfer"}, "to": {"anyOf": [
			{"type": "object", "required": ["iban", "name"], "properties": {"iban": {"format": "iban"}}}, {"type": "object", "required": ["account"], "properties": {"account": {"type": "integer"}}}, {"type": "string", "minLength": 5}]}}}]`
	for name, c := range map[string]struct {
		value string
		want  []string
	}{
		"the kind that is named, though another has fewer errors": {
			`{"kind": "card", "number": 1, "limit": -1, "expires": "12/30"}`,
			[]string{`schema "/pay" "/properties/pay/oneOf/0/required" "holder" ""`, `schema "/pay/limit" "/properties/pay/oneOf/0/properties/limit/minimum" ">= 0" "-1"`, `schema "/pay/number" "/properties/pay/oneOf/0/properties/number/type" "string" "integer"`},
		},
		"a choice in a choice": {
			`{"kind": "transfer", "to": {"iban": "DE89370400440532013001", "name": "x"}}`,
			[]string{`schema "/pay/to/iban" "/properties/pay/oneOf/2/properties/to/anyOf/0/properties/iban/format" "iban" "•••"`},
		},
		"the branch whose type fits": {
			`{"kind": "transfer", "to": "DE"}`,
			[]string{`schema "/pay/to" "/properties/pay/oneOf/2/properties/to/anyOf/2/minLength" ">= 5 characters" "2"`},
		},
		"no type fits": {
			`{"kind": "transfer", "to": 7}`,
			[]string{`schema "/pay/to" "/properties/pay/oneOf/2/properties/to/anyOf" "object or string" ""`},
		},
		"the deepest of as many": {
			`{"kind": "transfer", "to": {"account": "x"}}`,
			[]string{`schema "/pay/to/account" "/properties/pay/oneOf/2/properties/to/anyOf/1/properties/account/type" "integer" "string"`},
		},
		"a kind that none has": {
			`{"kind": "barter"}`,
			[]string{`schema "/pay/kind" "/properties/pay/oneOf/1/properties/kind/enum" "cash | voucher" "barter"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			wantErrors(t, judge(t, `{"properties": {"pay": {`+kinds+`}}}`, after(`{"pay": `+c.value+`}`)), c.want...)
		})
	}
	v := judge(t, `{"oneOf": [{"minimum": 1}, {"multipleOf": 2}]}`, after(`4`))
	wantErrors(t, v, `schema "" "/oneOf" "" ""`)
	if m := v.Violation.Errors[0].Message; m != "fits more than one of the schemas of oneOf" {
		t.Error(m)
	}
}

// TestTheSameEventGivesTheSameViolationEachTime judges an event that is wrong in more ways than a violation lists, by two ways to each
// place: which errors are listed, how each place was reached and what the sample shows hang on no map's order.
func TestTheSameEventGivesTheSameViolationEachTime(t *testing.T) {
	const schema = `{
		"$defs": {"part": {"x-rules": [{"id": "small", "rule": "self.n < root.most", "message": "m"}]}},
		"patternProperties": {"^a": {"$ref": "#/$defs/part"}, "a.*": {"$ref": "#/$defs/part"}, ".$": {"properties": {"s": {"enum": ["one two"]}}}, "^.": {"properties": {"s": {"const": "three four"}}}},
		"dependentSchemas": {"a1": {"patternProperties": {"^a1": {"$ref": "#/$defs/part"}}}, "a2": {"patternProperties": {"^a1": {"$ref": "#/$defs/part"}}}},
		"additionalProperties": {"type": "string", "maxLength": 1}}`
	value := `{"most": "x"`
	for i := range 30 {
		value += fmt.Sprintf(`, "a%d": {"n": %d, "s": "one two"}, "zz%d": %d`, i, 100-i, i, i)
	}
	set := load(t, map[string]json.RawMessage{"s/t.json": json.RawMessage(schema)})
	first := ""
	for range 20 {
		v := judgeBy(t, set, after(value+"}"))
		text, err := json.Marshal(v.Violation)
		if err != nil || v.Violation == nil || !v.Violation.Truncated {
			t.Fatal(err, v)
		}
		if first == "" {
			first = string(text)
		}
		if string(text) != first {
			t.Fatalf("%s\nand\n%s", first, text)
		}
	}
}
