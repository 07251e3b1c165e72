package compose_test

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"datawatch/collector"
	"datawatch/pkg/config"
	"datawatch/preprocessor"
	"datawatch/validator"
)

// The example file is the documentation of the settings, so each service must be able to read it, and the compose file's.
func TestExampleConfigurationsAreRead(t *testing.T) {
	t.Setenv("SHOP_DB_DSN", "postgres://shop@postgres/shop")
	t.Setenv("SHOP_KAFKA", "kafka-shop:9092")
	t.Setenv("SHOP_MONGO_URI", "mongodb://mongo/?replicaSet=rs0")
	for _, path := range []string{"deploy/datawatch.example.yaml", "deploy/compose/datawatch.yaml"} {
		c, p, v := collector.DefaultConfig(), preprocessor.DefaultConfig(), validator.DefaultConfig()
		for _, target := range []any{&c, &p, &v} {
			if err := config.Load(filepath.Join(root, path), target); err != nil {
				t.Errorf("%T: %v", target, err)
			}
		}
	}
}

// TestExampleSaysWhatStandsWhereALineIsLeftOut takes away every line that isn't said to have no default.
func TestExampleSaysWhatStandsWhereALineIsLeftOut(t *testing.T) {
	section := regexp.MustCompile(`^ *(- )?(name: .*|[a-z_]+:)( *#.*)?$`)
	whole := read(t, "deploy/datawatch.example.yaml")
	var left strings.Builder
	for line := range strings.Lines(whole) {
		if section.MatchString(strings.TrimRight(line, "\n")) || strings.Contains(line, "# no default") {
			left.WriteString(line)
		}
	}
	nothing := func(string) (string, bool) { return "", false }
	for _, fresh := range []func() any{
		func() any { c := collector.DefaultConfig(); return &c },
		func() any { c := preprocessor.DefaultConfig(); return &c },
		func() any { c := validator.DefaultConfig(); return &c },
	} {
		with, without := fresh(), fresh()
		for text, target := range map[string]any{whole: with, left.String(): without} {
			if err := config.Parse("datawatch.example.yaml", []byte(text), nothing, target); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
		}
		said, err := yaml.Marshal(with)
		if err != nil {
			t.Fatal(err)
		}
		if stands, err := yaml.Marshal(without); err != nil || !bytes.Equal(said, stands) {
			t.Errorf("%T: the example says\n%s\nand without its lines stands\n%s(%v)", with, said, stands, err)
		}
	}
}
