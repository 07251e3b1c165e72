package lint_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datawatch/validator/internal/lint"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
	}
}

func TestEveryProblemIsToldWithItsPlaceInEveryFormat(t *testing.T) {
	findings, err := lint.Folder("testdata/wrong")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if lint.Checks[f.Check] == "" {
			t.Errorf("%s is found by %q, which isn't among the checks", f, f.Check)
		}
	}
	for _, format := range lint.Formats {
		var out bytes.Buffer
		if err := lint.Write(&out, format, findings); err != nil {
			t.Fatal(err)
		}
		golden(t, "wrong."+format, out.Bytes())
	}
}

func TestRightFolderHasNoFindings(t *testing.T) {
	findings, err := lint.Folder("testdata/right")
	if err != nil || len(findings) > 0 || lint.Failed(findings, true) {
		t.Errorf("%v %v", findings, err)
	}
}

func TestWarningsFailOnlyWhereItIsStrict(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "shop-db/a.json", `{"properties": {"id": {}}, "required": ["id", "other"]}`)
	findings, err := lint.Folder(dir)
	if err != nil || len(findings) != 1 {
		t.Fatal(findings, err)
	}
	if lint.Failed(findings, false) || !lint.Failed(findings, true) {
		t.Error("a warning fails, or doesn't where it is strict")
	}
}

// TestReferencesThatLeadSomewhereAreLeftAlone holds the ways in which a $ref can be written.
func TestReferencesThatLeadSomewhereAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "_common/money.json", `{"$id": "https://example.com/schemas/_common/money.json", "$defs": {"amount": {"$anchor": "amount", "type": "number"}}}`)
	for i, ref := range []string{
		"#", "#/$defs/here", "#here", "../_common/money.json", "../_common/money.json#/$defs/amount", "../_common/money.json#amount",
		"https://example.com/schemas/_common/money.json#/$defs/amount", "https://json-schema.org/draft/2020-12/schema",
	} {
		write(t, dir, "shop-db/"+string(rune('a'+i))+".json", `{"properties": {"x": {"$ref": "`+ref+`"}}, "$defs": {"here": {"$anchor": "here"}}}`)
	}
	findings, err := lint.Folder(dir)
	if err != nil || len(findings) > 0 {
		t.Errorf("%v %v", findings, err)
	}
}

// TestRightSchemasAreLeftAlone holds ways of writing that look wrong to a check and aren't.
func TestRightSchemasAreLeftAlone(t *testing.T) {
	for _, schema := range []string{
		`{"properties": {"status": {}, "paid_at": {}}, "if": {"properties": {"status": {"const": 1}}}, "then": {"properties": {"status": {}}, "required": ["paid_at"]}}`,
		`{"allOf": [{"properties": {"id": {}}}], "properties": {"a": {}}, "required": ["id", "a"]}`,
		`{"patternProperties": {"^x": {}}, "additionalProperties": false, "properties": {"a": {}}, "required": ["x1"]}`,
		`{"properties": {"s": {"enum": ["a", "b"]}}, "x-rules": [{"id": "r", "rule": "self.s in ['a'] || old.s == 'b'", "message": "m"}]}`,
		`{"properties": {"s": {"enum": ["a"]}}, "x-rules": [{"id": "r", "rule": "old.s == 'a'", "message": "m", "on": ["delete"]}]}`,
		`{"$defs": {"p": {"x-rules": [{"id": "r", "rule": "self > 0", "message": "m"}]}}, "properties": {"n": {"$ref": "#/$defs/p"}}}`,
		`{"properties": {"n": {"pattern": "^\\p{L}+$", "minimum": 1, "maximum": 1}}}`,
	} {
		dir := t.TempDir()
		write(t, dir, "shop-db/a.json", schema)
		if findings, err := lint.Folder(dir); err != nil || len(findings) > 0 {
			t.Errorf("%s: %v %v", schema, findings, err)
		}
	}
}

func TestGlobsThatHideOthers(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"s/*", "s/public.*", ""},
		{"s/public.*.x", "s/private.*.x", ""},
		{"s/[a-z]*", "s/bill*", "never applies"},
		{"s/a*", "s/*b", "may match the same"},
		{"s/a*", "s/b*", ""},
		{"s/a?", "s/?b", "may match the same"},
	} {
		dir := t.TempDir()
		write(t, dir, c.a+".json", "{}")
		write(t, dir, c.b+".json", "{}")
		findings, err := lint.Folder(dir)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case c.want == "" && len(findings) > 0, c.want != "" && (len(findings) != 1 || !strings.Contains(findings[0].Message, c.want)):
			t.Errorf("%s and %s: %v, want %q", c.a, c.b, findings, c.want)
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
