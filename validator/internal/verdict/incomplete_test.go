package verdict_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"datawatch/pkg/event"
	"datawatch/validator/internal/verdict"
)

// incompleteSchema has something of every kind that may hang on what a source leaves out.
const incompleteSchema = `{
	"type": "object", "required": ["id", "body", "total"], "minProperties": 3,
	"properties": {"id": {"type": "integer"}, "total": {"type": "number"}, "body": {"type": "string", "maxLength": 3}, "status": {"enum": ["new", "paid"]},
		"items": {"items": {"x-rules": [{"id": "priced", "rule": "self.price > 0", "message": "m"}]}}},
	"if": {"properties": {"status": {"const": "paid"}}}, "then": {"required": ["body"]},
	"x-rules": [
		{"id": "not-negative", "rule": "self.total >= 0", "message": "m"},
		{"id": "has-body", "rule": "self.body != ''", "message": "m"},
		{"id": "whole", "rule": "self != root || root.id > 0", "message": "m"},
		{"id": "grows", "rule": "self.total >= old.total", "message": "m"},
		{"id": "body-stays", "rule": "self.body == old.body", "message": "m"},
		{"id": "never-deleted", "on": ["delete"], "rule": "old.total == 0", "message": "m"}
	]}`

// judgedParts are what the judge found, and what it says that it couldn't ask.
func judgedParts(v verdict.Verdict) (found, unjudged, unrunnable string) {
	var all []string
	if v.Violation != nil {
		for _, e := range v.Violation.Errors {
			if e.Rule == "" {
				all = append(all, e.InstanceLocation+" "+e.KeywordLocation)
			} else {
				all = append(all, e.Rule)
			}
		}
	}
	slices.Sort(all)
	cannot := slices.Clone(v.Unrunnable)
	slices.Sort(cannot)
	return strings.Join(all, ", "), strings.Join(slices.Sorted(maps.Keys(v.Unjudged)), ", "), strings.Join(cannot, ", ")
}

// TestOfWhatIsIncompleteOnlyTheNamedPartIsNotJudged goes through each form of incomplete, with a row that is wrong all over.
func TestOfWhatIsIncompleteOnlyTheNamedPartIsNotJudged(t *testing.T) {
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	const right = `{"id": 1, "total": 5, "body": "abc", "status": "new"}`
	for name, c := range map[string]struct {
		op                          event.Op
		before, after               json.RawMessage
		incomplete                  *event.Incomplete
		found, unjudged, unrunnable string
	}{
		"exact": {
			op: event.Update, before: raw(right), after: raw(`{"id": 1, "total": -5, "body": "", "status": "new"}`),
			found: "body-stays, grows, has-body, not-negative",
		},
		"before unavailable": {
			op: event.Update, after: raw(`{"id": 1, "total": -5, "body": "", "status": "new"}`), incomplete: &event.Incomplete{Before: "unavailable"},
			found: "has-body, not-negative", unrunnable: "body-stays, grows",
		},
		"before unavailable, though something of it came": {
			op: event.Update, before: raw(`{"id": 1}`), after: raw(`{"id": 1, "total": -5, "body": "", "status": "new"}`), incomplete: &event.Incomplete{Before: "unavailable"},
			found: "has-body, not-negative", unrunnable: "body-stays, grows",
		},
		"before unavailable, and the structure is broken": {
			op: event.Update, after: raw(`{"id": "x", "total": 5, "body": "abcd"}`), incomplete: &event.Incomplete{Before: "unavailable"},
			found: "/body /properties/body/maxLength, /id /properties/id/type", unjudged: "body-stays, grows, has-body, not-negative, priced, whole",
		},
		"a delete whose before is unavailable": {
			op: event.Delete, incomplete: &event.Incomplete{Before: "unavailable"}, unrunnable: "never-deleted",
		},
		"a delete with its before": {
			op: event.Delete, before: raw(right), found: "never-deleted",
		},
		"after later": {
			op: event.Update, before: raw(right), after: raw(`{"id": "x", "total": -5}`), incomplete: &event.Incomplete{After: "later"},
			unjudged: "body-stays, grows, has-body, never-deleted, not-negative, priced, schema, whole",
		},
		"after missing": {
			op: event.Update, before: raw(right), incomplete: &event.Incomplete{After: "missing"},
			unjudged: "body-stays, grows, has-body, never-deleted, not-negative, priced, schema, whole",
		},
		"a field left out": {
			op: event.Update, before: raw(right), after: raw(`{"id": 1, "total": -5, "status": "paid"}`), incomplete: &event.Incomplete{Fields: []string{"body"}},
			found: "grows, not-negative", unjudged: "body-stays, has-body, priced, schema, whole",
		},
		"a field left out, another wrong in itself": {
			op: event.Update, before: raw(right), after: raw(`{"id": "x", "total": 5, "status": "other"}`), incomplete: &event.Incomplete{Fields: []string{"body"}},
			found: "/id /properties/id/type, /status /properties/status/enum", unjudged: "body-stays, grows, has-body, not-negative, priced, schema, whole",
		},
		"a field left out, and one missing that wasn't": {
			op: event.Update, before: raw(right), after: raw(`{"id": 1, "status": "new"}`), incomplete: &event.Incomplete{Fields: []string{"body"}},
			found: " /required", unjudged: "body-stays, grows, has-body, not-negative, priced, schema, whole",
		},
		"a list left out in which a rule stands": {
			op: event.Update, before: raw(right), after: raw(`{"id": 1, "total": 5, "body": "abc", "status": "new"}`), incomplete: &event.Incomplete{Fields: []string{"items"}},
			unjudged: "priced, schema, whole",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := testEvent{Op: c.op, Key: raw(`{"id":1}`), Before: c.before, After: c.after, Incomplete: c.incomplete}
			v := judge(t, incompleteSchema, e)
			found, unjudged, unrunnable := judgedParts(v)
			if found != c.found || unjudged != c.unjudged || unrunnable != c.unrunnable {
				t.Errorf("found %q, want %q\nnot judged %q, want %q\ncan't run %q, want %q", found, c.found, unjudged, c.unjudged, unrunnable, c.unrunnable)
			}
		})
	}
}

// TestAConditionOnWhatIsLeftOutIsNotJudgedWhereverItStands: whether status is paid isn't known, so neither is what follows from it.
func TestAConditionOnWhatIsLeftOutIsNotJudgedWhereverItStands(t *testing.T) {
	const paid = `"if": {"properties": {"status": {"const": "paid"}}}, "then": {"properties": {"total": {"minimum": 1}}, "required": ["paid_at"]}`
	for name, schema := range map[string]string{
		"at the root":      `{` + paid + `}`,
		"in allOf":         `{"allOf": [{"minProperties": 1}, {` + paid + `}]}`,
		"behind $ref":      `{"$ref": "#/$defs/p", "$defs": {"p": {` + paid + `}}}`,
		"in nested choice": `{"allOf": [{"anyOf": [{"properties": {"status": {"const": "new"}, "total": {"minimum": 1}}, "required": ["status"]}]}]}`,
		"unevaluated":      `{"if": {"required": ["status"]}, "then": {"properties": {"total": true, "id": true}}, "unevaluatedProperties": false}`,
	} {
		t.Run(name, func(t *testing.T) {
			e := testEvent{Op: event.Update, Key: json.RawMessage(`{"id":1}`), After: json.RawMessage(`{"id": 1, "total": 0}`), Incomplete: &event.Incomplete{Fields: []string{"status"}}}
			wantErrors(t, judge(t, schema, e))
			e.Incomplete = nil
			if v := judge(t, schema, e); v.Violation == nil {
				t.Error("the exact event passes: the schema asks nothing of it")
			}
		})
	}
}
