package verdict_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"datawatch/pkg/event"
)

// TestRulesRunWhereTheContractSays goes through ops, images and places: of a rule either its error, or that it can't run, or
// nothing.
func TestRulesRunWhereTheContractSays(t *testing.T) {
	const row, other = `{"status": "refunded", "items": [{"n": 1}, {"n": 2}]}`, `{"status": "paid", "items": [{"n": 3}]}`
	for name, c := range map[string]struct {
		rule, on, place string
		op              event.Op
		before, after   string
		want            string // "", "rule", "rule_error" or "unrunnable", and "stands" where the row does
	}{
		"an insert":                               {"self.status == 'paid'", "", "", event.Insert, "", row, "rule stands"},
		"a snapshot's row":                        {"self.status == 'paid'", "", "", event.Read, "", row, "rule stands"},
		"an update":                               {"self.status == 'paid'", "", "", event.Update, other, row, "rule stands"},
		"a message is an occurrence":              {"self.status == 'paid'", "", "", event.Message, "", row, "rule"},
		"a delete isn't asked":                    {"self.status == 'paid'", "", "", event.Delete, row, "", ""},
		"a truncate isn't asked":                  {"op != 'truncate'", "", "", event.Truncate, "", "", ""},
		"a truncate that is named":                {"op != 'truncate'", `["truncate"]`, "", event.Truncate, "", "", "rule"},
		"a delete that is named":                  {"old.status == 'paid'", `["delete"]`, "", event.Delete, row, "", "rule"},
		"a delete that is named, by one word":     {"old.status == 'paid'", `"delete"`, "", event.Delete, row, "", "rule"},
		"a delete, right":                         {"old.status == 'paid'", `["delete"]`, "", event.Delete, other, "", ""},
		"a delete, without its before":            {"old.status == 'paid'", `["delete"]`, "", event.Delete, "", "", "unrunnable"},
		"a delete, of which self is null":         {"self == null && root == null", `["delete"]`, "", event.Delete, row, "", ""},
		"a delete, and self is used":              {"self.status == 'paid'", `["delete"]`, "", event.Delete, row, "", "rule_error"},
		"a delete by whom":                        {"actor.user == 'root'", `["delete"]`, "", event.Delete, "", "", "rule"},
		"only inserts are named":                  {"self.status == 'paid'", `["insert"]`, "", event.Update, other, row, ""},
		"a transition that may not be":            {"!(old.status == 'refunded' && self.status == 'paid')", "", "", event.Update, row, other, "rule"},
		"a transition the other way":              {"!(old.status == 'refunded' && self.status == 'paid')", "", "", event.Update, other, row, ""},
		"a ledger row never changes":              {"self == old", "", "", event.Update, row, other, "rule"},
		"a ledger row that didn't":                {"self == old", "", "", event.Update, row, `{"items": [{"n": 1.0}, {"n": 2e0}], "status": "refunded"}`, ""},
		"no transition of an insert":              {"self == old", "", "", event.Insert, "", other, ""},
		"no transition of a snapshot's row":       {"self == old", "", "", event.Read, "", other, ""},
		"a transition without a before":           {"self == old", "", "", event.Update, "", other, "unrunnable"},
		"a transition of a message":               {"self == old", "", "", event.Message, "", other, "unrunnable"},
		"old of a place is the place before":      {"self.n == old.n", "", "items", event.Update, `{"items": [{"n": 1}, {"n": 2}]}`, `{"items": [{"n": 1}, {"n": 3}]}`, "rule"},
		"old of a place that wasn't there":        {"self.n == old.n", "", "items", event.Update, `{"items": []}`, other, ""},
		"old of a row whose place is another":     {"self.n == old.n", "", "items", event.Update, `{"items": "none"}`, other, ""},
		"root is the row, and is told once":       {"root.status == 'paid' && self.n > 0", "", "items", event.Insert, "", row, "rule stands"},
		"a rule where there is nothing":           {"self.n > 5", "", "items", event.Insert, "", `{"status": "x"}`, ""},
		"an absent operand":                       {"self.discount > 0", "", "", event.Insert, "", row, "rule_error stands"},
		"a null operand":                          {"self.discount > 0", "", "", event.Insert, "", `{"discount": null}`, "rule_error stands"},
		"an absent operand that is allowed":       {"self.discount.orValue(0) >= 0", "", "", event.Insert, "", row, ""},
		"an absent one inside an old":             {"old.discount >= 0", "", "", event.Update, row, row, "rule_error"},
		"key, stream, op, time, actor and tag":    {"key.id == 1 && stream == 's/t' && op == 'insert' && time == timestamp('2026-11-22T23:59:01.123456Z') && actor.application == 'order-service' && actor.user == 'app' && actor.client == null && tag == 'checkout-test'", "", "", event.Insert, "", row, ""},
		"exact decimals":                          {"self.a + self.b == 0.3 && 0.1 + 0.2 == 0.3", "", "", event.Insert, "", `{"a": 0.1, "b": 0.2}`, ""},
		"digits beyond a double's":                {"self.a != self.b", "", "", event.Insert, "", `{"a": 12345678901234567890.12, "b": 12345678901234567890.13}`, ""},
		"whole numbers however they are written":  {"self.a == 100 && self.b == 100 && self.a in [100]", "", "", event.Insert, "", `{"a": 1e2, "b": 100.0}`, ""},
		"a rule that gives nothing in an element": {"self.all(i, i.n > 0)", "", "list", event.Insert, "", `{"items": [{"n": "x"}]}`, "rule_error stands"},
	} {
		t.Run(name, func(t *testing.T) {
			on := ""
			if c.on != "" {
				on = `, "on": ` + c.on
			}
			rules := fmt.Sprintf(`"x-rules": [{"id": "r", "rule": %q, "message": "m"%s}]`, c.rule, on)
			schema := map[string]string{"": `{` + rules + `}`, "items": `{"properties": {"items": {"items": {` + rules + `}}}}`, "list": `{"properties": {"items": {` + rules + `}}}`}[c.place]
			raw := func(s string) json.RawMessage {
				if s == "" {
					return nil
				}
				return json.RawMessage(s)
			}
			e := testEvent{Op: c.op, Key: json.RawMessage(`{"id":1}`), Before: raw(c.before), After: raw(c.after)}
			if c.op == event.Truncate {
				e.Key = nil
			}
			v := judge(t, schema, e)
			var got []string
			if v.Violation != nil {
				for _, e := range v.Violation.Errors {
					got = append(got, string(e.Kind))
				}
			}
			if len(v.Unrunnable) > 0 {
				got = append(got, "unrunnable")
			}
			if len(v.Standing) > 0 {
				got = append(got, "stands")
				if !slices.Equal(slices.Collect(maps.Keys(v.Standing)), []string{"r"}) {
					t.Errorf("standing %v", v.Standing)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%q, want %q: %q", got, c.want, errorsOf(v))
			}
		})
	}
}

// TestRulesReachEveryPlaceThatASchemaNames: wherever a schema speaks of members or elements, its rules are asked of those and no others.
func TestRulesReachEveryPlaceThatASchemaNames(t *testing.T) {
	const (
		rule   = `"x-rules": [{"id": "r", "rule": "self > 1", "message": "m"}]`
		seven  = `{"$schema": "http://json-schema.org/draft-07/schema#", `
		twenty = `{"$schema": "https://json-schema.org/draft/2020-12/schema", `
	)
	for name, c := range map[string]struct{ schema, value, want string }{
		"properties":           {twenty + `"properties": {"a": {` + rule + `}}}`, `{"a": 0, "b": 0}`, "/a"},
		"patternProperties":    {twenty + `"patternProperties": {"^a": {` + rule + `}}}`, `{"a": 0, "ab": 2, "b": 0}`, "/a"},
		"additionalProperties": {twenty + `"properties": {"a": true}, "patternProperties": {"^b": true}, "additionalProperties": {` + rule + `}}`, `{"a": 0, "b": 0, "c": 0}`, "/c"},
		"items":                {twenty + `"items": {` + rule + `}}`, `[0, 2, 0]`, "/0 /2"},
		"prefixItems":          {twenty + `"prefixItems": [true, {` + rule + `}]}`, `[0, 0, 0]`, "/1"},
		"items behind them":    {twenty + `"prefixItems": [true], "items": {` + rule + `}}`, `[0, 0, 2]`, "/1"},
		"items as a list":      {seven + `"items": [true, {` + rule + `}]}`, `[0, 0, 0]`, "/1"},
		"additionalItems":      {seven + `"items": [true], "additionalItems": {` + rule + `}}`, `[0, 0, 0]`, "/1 /2"},
		"unevaluatedItems":     {twenty + `"allOf": [{"prefixItems": [true]}], "contains": {"const": 9}, "unevaluatedItems": {` + rule + `}}`, `[0, 0, 9]`, "/1"},
		"unevaluatedProperties": {twenty + `"allOf": [{"properties": {"a": true}}], "anyOf": [{"properties": {"b": {"type": "string"}}}, {"properties": {"c": true}}], "properties": {"d": true},
			"if": {"required": ["e"]}, "then": {"properties": {"e": true}}, "unevaluatedProperties": {` + rule + `}}`, `{"a": 0, "b": 0, "c": 0, "d": 0, "e": 0, "f": 0}`, "/b /f"},
		"allOf":            {twenty + `"allOf": [true, {"properties": {"a": {` + rule + `}}}]}`, `{"a": 0}`, "/a"},
		"anyOf that holds": {twenty + `"properties": {"a": {"anyOf": [{"type": "string", ` + strings.ReplaceAll(rule, "self > 1", "self > 'b'") + `}, {"type": "number"}]}, "b": {"anyOf": [{"type": "number", ` + strings.ReplaceAll(rule, `"r"`, `"s"`) + `}]}}}`, `{"a": 0, "b": 0}`, "/b"},
		"then":             {twenty + `"if": {"properties": {"k": {"const": 1}}}, "then": {"properties": {"a": {` + rule + `}}}, "else": {"properties": {"b": {` + strings.ReplaceAll(rule, `"r"`, `"s"`) + `}}}}`, `{"k": 1, "a": 0, "b": 0}`, "/a"},
		"else":             {twenty + `"if": {"properties": {"k": {"const": 1}}}, "then": {"properties": {"a": {` + rule + `}}}, "else": {"properties": {"b": {` + strings.ReplaceAll(rule, `"r"`, `"s"`) + `}}}}`, `{"k": 2, "a": 0, "b": 0}`, "/b"},
		"dependentSchemas": {twenty + `"dependentSchemas": {"k": {"properties": {"a": {` + rule + `}}}}}`, `{"k": 2, "a": 0}`, "/a"},
		"dependencies":     {seven + `"dependencies": {"k": {"properties": {"a": {` + rule + `}}}}}`, `{"k": 2, "a": 0}`, "/a"},
		"$ref in a circle": {twenty + `"$defs": {"n": {"properties": {"v": {` + rule + `}, "next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}`, `{"v": 2, "next": {"v": 0, "next": {"v": 0}}}`, "/next/next/v /next/v"},
		"$dynamicRef":      {twenty + `"$dynamicAnchor": "n", "properties": {"v": {` + rule + `}, "next": {"$dynamicRef": "#n"}}}`, `{"v": 2, "next": {"v": 0}}`, "/next/v"},
	} {
		t.Run(name, func(t *testing.T) {
			v := judge(t, c.schema, after(c.value))
			var places []string
			if v.Violation != nil {
				for _, e := range v.Violation.Errors {
					if e.Kind != event.RuleViolation {
						t.Errorf("%+v", e)
					}
					places = append(places, e.InstanceLocation)
				}
			}
			if got := strings.Join(places, " "); got != c.want {
				t.Errorf("asked and wrong at %q, want %q", got, c.want)
			}
		})
	}
}
