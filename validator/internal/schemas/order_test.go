package schemas

import (
	"fmt"
	"strings"
	"testing"
)

// TestTheSameFolderIsToldInTheSameWordsEachTime loads folders with several faults a file: which is told first, where two ids
// clash and which file a reference means hang on no map's order.
func TestTheSameFolderIsToldInTheSameWordsEachTime(t *testing.T) {
	rules := func(id string) string {
		return fmt.Sprintf(`"x-rules": [{"id": %q, "rule": "self.", "message": "m"}, {"id": "same", "rule": "true", "message": "m"}]`, id)
	}
	for name, files := range map[string]map[string]string{
		"references that lead to nothing": {
			"a/b.json":  `{"properties": {"z": {"$ref": "lost.json"}, "b": {"$ref": "gone.json"}, "c": {"$ref": "#/$defs/none"}, "d": {"$ref": "../_c/x.json#/$defs/none"}, "e": {"$ref": "../_c/y.json"}}}`,
			"_c/x.json": `{"properties": {"p": {"$ref": "away.json"}, "q": {"$ref": "off.json"}}}`, "_c/y.json": `{}`,
		},
		"references in shared files": {
			"a/b.json":  `{"properties": {"d": {"$ref": "../_c/x.json"}, "e": {"$ref": "../_c/y.json"}}}`,
			"_c/x.json": `{"properties": {"p": {"$ref": "away.json"}, "q": {"$ref": "off.json"}}}`, "_c/y.json": `{"$ref": "far.json"}`,
		},
		"what the draft rejects": {"a/b.json": `{"properties": {"z": {"minLength": "1"}, "a": {"type": "strng"}, "m": {"maximum": "x", "required": 1, "enum": 3}}}`},
		"rules": {
			"a/b.json": `{` + rules("r") + `, "properties": {"z": {` + rules("z") + `}, "a": {` + rules("a") + `}, "s": {"$ref": "../_c/x.json"}}, "patternProperties": {"^a": {` + rules("p") + `}, "^b": {` + rules("q") + `}},
				"dependentSchemas": {"z": {` + rules("dz") + `}, "a": {` + rules("da") + `}}}`,
			"_c/x.json": `{` + rules("x") + `}`,
		},
		"one id's folder is another's": {
			"a/b.json":   `{"$id": "https://example.com/s/b.json", "$ref": "money.json"}`,
			"a/c/a.json": `{"$id": "https://example.com/s/a.json"}`, "a/money.json": `{"type": "string"}`, "a/c/money.json": `{"type": "number"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			first := ""
			for range 25 {
				set := mustLoad(t, files)
				var told strings.Builder
				told.WriteString(lines(set.Problems()))
				for _, f := range set.Failures() {
					told.WriteString("failure: " + f.Problem.String() + "\n")
				}
				if f := set.For("a/b"); f != nil {
					fmt.Fprintf(&told, "a text is right: %v\n", f.Schema.Validate("x") == nil)
				}
				if first == "" {
					first = told.String()
				}
				if told.String() != first {
					t.Fatalf("%s\nand\n%s", first, told.String())
				}
			}
			if strings.Contains(first, "a text is right: false") {
				t.Error("the reference means a file of another folder")
			}
			if first == "" || name != "one id's folder is another's" && !strings.Contains(first, "failure: ") {
				t.Errorf("nothing is told: %q", first)
			}
		})
	}
}
