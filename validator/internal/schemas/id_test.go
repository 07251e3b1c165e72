package schemas

import (
	"fmt"
	"strings"
	"testing"
)

// TestIDsThatTheLibraryWouldNeverFindAgainAreRefused: it would look for the schema behind them until the stack ends, and with it
// the process.
func TestIDsThatTheLibraryWouldNeverFindAgainAreRefused(t *testing.T) {
	for id, plain := range map[string]string{
		"HTTPS://example.com/x": "https://example.com/x", "https://example.com/a b.json": "https://example.com/a%20b.json", "https://example.com/a/../b": "https://example.com/b",
		"https://example.com/./b": "https://example.com/b", "https://example.com/é": "https://example.com/%C3%A9", "URN:x": "urn:x", "urS:x": "urs:x",
	} {
		for _, schema := range []string{`{"$id": %q, "$ref": "y"}`, `{"$id": %q, "type": "object"}`, `{"properties": {"a": {"$id": %q, "items": {"$ref": "#/$defs/b"}}}}`, `{"$schema": "http://json-schema.org/draft-04/schema#", "id": %q, "items": {"$ref": "#"}}`} {
			set := mustLoad(t, map[string]string{"a/b.json": fmt.Sprintf(schema, id), "a/c.json": "{}"})
			if told := lines(set.Problems()); set.For("a/b") != nil || set.For("a/c") == nil || !strings.Contains(told, "isn't in its plain form ("+plain+"?)") {
				t.Errorf(schema+": told %s", id, told)
			}
		}
	}
	for _, id := range []string{
		"https://example.com/x", "https://example.com/x#", "https://example.com", "https://example.com/x?y=1", "https://EXAMPLE.com:443/x", "https://example.com/%7Ea", "urn:uuid:0f1e",
		"x.json", "a b.json", "../x.json", "/x", "tag:example.com,2026:x",
	} {
		set := mustLoad(t, map[string]string{"a/b.json": fmt.Sprintf(`{"$id": %q, "$defs": {"n": {"type": "number"}}, "$ref": "#/$defs/n"}`, id)})
		f := set.For("a/b")
		if f == nil {
			t.Errorf("%s isn't loaded: %s", id, lines(set.Problems()))
			continue
		}
		if f.Schema.Validate("x") == nil {
			t.Errorf("%s: its reference isn't asked", id)
		}
	}
}
