package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"go.yaml.in/yaml/v3"

	"datawatch/deploy/editor"
	"datawatch/pkg/config"
)

var update = flag.Bool("update", false, "write the golden files")

const editorSchema = "../../editor/datawatch.schema.json"

func fresh() any {
	c := defaultConfig()
	return &c
}

// TestEditorsKnowEverySetting: the JSON Schema that is kept for editors is what the programs' own types and checks say.
func TestEditorsKnowEverySetting(t *testing.T) {
	example, err := os.ReadFile("../../datawatch.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(editor.Config(fresh, example)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(editorSchema, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(editorSchema)
	if err != nil || !bytes.Equal(kept, b.Bytes()) {
		t.Errorf("%s isn't what the settings are: go test ./cmd/standalone -run TestEditors -update (%v)", editorSchema, err)
	}
}

// plain is YAML as JSON has it.
func plain(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestEditorsTakeRealConfigurationsAndNoWrongOnes asks what editors would show; what they refuse, the programs refuse too.
func TestEditorsTakeRealConfigurationsAndNoWrongOnes(t *testing.T) {
	schema, err := jsonschema.Compile(editorSchema)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../../datawatch.example.yaml", "../../compose/datawatch.yaml"} {
		text, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(plain(t, text)); err != nil {
			t.Errorf("%s: %#v", name, err)
		}
	}
	for _, text := range []string{
		"instance: staging", "telegram: {token_file: /run/secrets/token, users: [1]}", "broker:", "broker: {partitions: \"${N:-6}\", retention: {raw: 1h30m}, max_record_bytes: 1048576}",
		"telegram: {owners: {payments: {chat: -1, mention: [\"@oncall\"]}}}", "collector: {sources: [{name: a, kafka: {addresses: [\"k:9092\"], sasl: {mechanism: plain, username: u, password: p}}}]}",
		"preprocessor: {transforms: [{stream: a/b, drop: true}]}", "collector: {sources: [{name: a, postgres: {dsn_file: f, outbox: {max_age: 2d}}}]}",
	} {
		if err := schema.Validate(plain(t, []byte(text))); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		"instnce: staging", "telegram: {language: de}", "broker: {partitions: many}", "broker: {retention: {raw: seven}}", "broker: [kafka:9092]", "log: {level: loud}",
		"telegram: {digest_at: \"8 o'clock\"}", "broker: {max_record_bytes: 8MB}", "mask: [{stream: a/b, fields: [c], how: hide}]", "telegram: {owners: {payments: {chatt: 1}}}",
		"collector: {sources: [{feed: true}]}", "collector: {sources: [{name: a, postgres: {capture: wall}}]}", "collector: {sources: [{name: a, kafka: {shard: 2}}]}",
		"collector: {sources: [{name: a, mongodb: {on_gap: go on}}]}", "validator: {alerts: {flaps: often}}", "standalone: {dir: a}", "formats: [{stream: a/b, key: avro}]",
	} {
		if schema.Validate(plain(t, []byte(text))) == nil {
			t.Errorf("editors take %s", text)
		}
		nothing := func(string) (string, bool) { return "", false }
		if config.Parse("datawatch.yaml", []byte(text), nothing, fresh()) == nil {
			t.Errorf("the programs take %s", text)
		}
	}
	if text, err := os.ReadFile(editorSchema); err != nil || !strings.Contains(string(text), `"description": "empty: messages go to the log"`) {
		t.Error("the example's words aren't there", err)
	}
}

// TestTheReadmesConfigurationIsTaken with the address that it names for where there is no Kafka.
func TestTheReadmesConfigurationIsTaken(t *testing.T) {
	page, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "datawatch.example.yaml)):\n\n")
	text, _, found := strings.Cut(rest, "\n\n")
	const kafka, own = `["kafka:9092"]`, `["127.0.0.1:9092"]`
	if !found || strings.Count(text, kafka) != 1 || strings.Count(text, own) != 1 {
		t.Fatalf("the README's configuration is %s", text)
	}
	environment := map[string]string{"SHOP_DB_DSN": "postgres://db/shop"}
	lookup := func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	}
	if err := config.Parse("README.md", []byte(strings.Replace(text, kafka, own, 1)), lookup, fresh()); err != nil {
		t.Error(err)
	}
}
