package schemas

import (
	"encoding/json"
	"testing"
	"time"
)

// FuzzNoFileStopsTheLoader loads whatever text as a schema file: no panic, a problem or a file, and every problem inside
// the text.
func FuzzNoFileStopsTheLoader(f *testing.F) {
	for _, text := range []string{
		`{}`, `true`, `{"type": "object", "properties": {"a": {"$ref": "#"}}}`, `{"$ref": "../_common/a.json#/x"}`, `{"$id": "urn:x", "$ref": "y"}`, `{"$id": "urS:x", "$ref": "y"}`,
		`{"x-rules": [{"id": "a", "rule": "self.a > 0 && old.b", "message": "é", "on": "update", "show": "self"}]}`, "{\"a\":\n1,}", `{"$defs": {"a": {"$anchor": "x"}}, "$ref": "#x"}`,
		`{"$schema": "http://json-schema.org/draft-04/schema#", "id": "x", "exclusiveMinimum": true, "minimum": 1}`, `{"items": [{"enum": []}], "pattern": "("}`,
		`{"$recursiveRef": "#", "$dynamicRef": "#a", "$dynamicAnchor": "a", "$vocabulary": {"x": true}}`, `{"x-pii": ["/a/*"], "x-severity": 1, "x-owner": [], "x-runbook": "http://"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		tree := parseTree(map[string]fileText{"a/b.json": {bytes: text}, "_common/a.json": {bytes: []byte(`{"x": {"type": "number"}}`)}}, nil)
		set := tree.load(Empty(), time.Now())
		file := set.For("a/b")
		if file == nil && !hasErrors(set.Problems()) {
			t.Error("neither a file nor a problem")
		}
		if file != nil && !json.Valid(text) {
			t.Error("loaded what isn't JSON")
		}
		for _, p := range set.Problems() {
			if p.File == "a/b.json" && (p.Line < 1 || p.Column < 1) {
				t.Errorf("a problem without a place: %v", p)
			}
		}
	})
}
