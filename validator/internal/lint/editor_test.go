package lint_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/cel"
	"datawatch/validator/internal/lint"
	"datawatch/validator/internal/schemas"
)

// editorSchema is kept for editors: it completes and checks schema files.
const editorSchema = "../../../deploy/editor/schema-file.schema.json"

func read(t *testing.T, path string) any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

func decode(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestEditorsKnowEveryKeywordAndFormat: what the service knows, and nothing else, is in the JSON Schema for editors.
func TestEditorsKnowEveryKeywordAndFormat(t *testing.T) {
	anywhere, root, formats := schemas.Known()
	whole := read(t, editorSchema).(map[string]any)
	at := func(v any, path ...string) any {
		for _, name := range path {
			v = v.(map[string]any)[name]
		}
		return v
	}
	texts := func(v any) (all []string) {
		for _, item := range v.([]any) {
			all = append(all, item.(string))
		}
		slices.Sort(all)
		return all
	}
	names := func(v any) (all []string) {
		for name := range v.(map[string]any) {
			all = append(all, name)
		}
		slices.Sort(all)
		return all
	}
	for what, c := range map[string][2][]string{
		"names":    {texts(at(at(whole, "definitions", "names", "anyOf").([]any)[0], "enum")), anywhere},
		"keywords": {names(at(whole, "definitions", "keywords", "properties")), anywhere},
		"root":     {names(at(whole, "properties")), root},
		"formats":  {texts(at(whole, "definitions", "keywords", "properties", "format", "enum")), formats},
	} {
		if !slices.Equal(c[0], c[1]) {
			t.Errorf("%s: editors know\n%v\nthe service\n%v", what, c[0], c[1])
		}
	}
}

// TestEditorsTakeRealSchemasAndNoWrongOnes asks what editors would show of the files that we have; what they refuse, lint
// calls an error too.
func TestEditorsTakeRealSchemasAndNoWrongOnes(t *testing.T) {
	schema, err := jsonschema.Compile(editorSchema)
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, dir := range []string{"../../testdata/suite", "../../../deploy/schemas", "testdata/right", "../infer/testdata"} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if entry != nil && entry.IsDir() && entry.Name() == "_tests" {
				return fs.SkipDir
			}
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".json" {
				return err
			}
			files++
			if err := schema.Validate(read(t, path)); err != nil {
				t.Errorf("%s: %#v", path, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 60 {
		t.Errorf("%d files were found", files)
	}
	for _, text := range []string{
		`{"exclusiveMinimum": true, "minimum": 0, "$schema": "http://json-schema.org/draft-04/schema#", "id": "https://example.com/a"}`,
		`{"x-acme-note": 1, "properties": {"a": true, "b": {"nullable": true}}, "items": [{}, false]}`,
		`{"x-rules": [{"id": "r", "rule": "true", "message": "m", "on": "delete", "show": "self.a"}]}`,
	} {
		if err := schema.Validate(decode(t, []byte(text))); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		`{"requird": ["a"]}`, `{"properties": {"a": {"tpye": "string"}}}`, `{"type": "text"}`, `{"enum": []}`, `{"properties": {"a": {"format": "emial"}}}`,
		`{"x-severity": "high"}`, `{"x-severty": "critical"}`, `{"properties": {"a": {"x-pii": ["/a"]}}}`, `{"x-pii": ["email"]}`, `{"x-pii": "/email"}`, `{"x-runbook": "wiki"}`,
		`{"x-rules": {}}`, `{"x-rules": [{"id": "a", "rule": "true"}]}`, `{"items": {"x-rules": [{"id": "a b", "rule": "true", "message": "m"}]}}`,
		`{"x-rules": [{"id": "a", "rule": "true", "message": "m", "on": ["insrt"]}]}`, `{"x-rules": [{"id": "a", "rule": "true", "message": "m", "sevrity": "info"}]}`,
		`{"minLength": -1}`, `{"properties": []}`, `{"allOf": [{"not": {"minimun": 1}}]}`, `[]`,
	} {
		if schema.Validate(decode(t, []byte(text))) == nil {
			t.Errorf("editors take %s", text)
		}
		dir := t.TempDir()
		write(t, dir, "shop-db/a.json", text)
		findings, err := lint.Folder(dir)
		if err != nil || !slices.ContainsFunc(findings, func(f lint.Finding) bool { return f.Severity == cel.Error }) {
			t.Errorf("lint says of %s: %v %v", text, findings, err)
		}
	}
	if text, err := os.ReadFile(editorSchema); err != nil || strings.Contains(string(text), "\t") {
		t.Error(err)
	}
}
