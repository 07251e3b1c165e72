package normalize

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

func TestMain(m *testing.M) { testrig.Main(m) }

var update = flag.Bool("update", false, "write the golden files anew")

// typeCase is a file of testdata/postgres: what one type's values become.
type typeCase struct {
	Becomes string       `json:"becomes"`
	Column  event.Column `json:"column"`
	Setup   string       `json:"setup,omitempty"`
	Values  []typeValue  `json:"values"`
}

type typeValue struct {
	SQL   string          `json:"sql"`
	Raw   json.RawMessage `json:"raw"`   // as to_json prints it
	Clean json.RawMessage `json:"clean"` // as it stands in clean
}

func eachGolden(t *testing.T, folder string, target func() any, run func(t *testing.T, name string, c any)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files in %s: %v", folder, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := target()
			if err := json.Unmarshal(text, c); err != nil {
				t.Fatal(err)
			}
			run(t, file, c)
		})
	}
}

func eachType(t *testing.T, run func(t *testing.T, file string, c *typeCase)) {
	t.Helper()
	eachGolden(t, "postgres", func() any { return new(typeCase) }, func(t *testing.T, file string, c any) {
		run(t, file, c.(*typeCase))
	})
}

func writeGolden(t *testing.T, file string, c any) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(c); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func compacted(t *testing.T, text []byte) string {
	t.Helper()
	if text == nil {
		return "null"
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return b.String()
}

func cleanValue(t *testing.T, column event.Column, raw []byte) string {
	t.Helper()
	row, err := cleanRow([]event.Column{column}, []byte(`{"v":`+string(raw)+`}`))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(string(row), `{"v":`), "}")
}

func TestEveryPostgresTypeHasItsForm(t *testing.T) {
	eachType(t, func(t *testing.T, _ string, c *typeCase) {
		for _, v := range c.Values {
			if got, want := cleanValue(t, c.Column, v.Raw), compacted(t, v.Clean); got != want {
				t.Errorf("%s: %s, not %s", v.SQL, got, want)
			}
		}
	})
}

// The settings that a capturing session pins.
const pinned = "set timezone = 'UTC'; set bytea_output = hex; set intervalstyle = postgres; set datestyle = 'ISO, MDY'; set extra_float_digits = 1; set lc_monetary = 'C'"

func TestGoldenRawIsWhatPostgresPrints(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), testrig.Postgres(t).Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), pinned); err != nil {
		t.Fatal(err)
	}
	eachType(t, func(t *testing.T, file string, c *typeCase) {
		if c.Setup != "" {
			if _, err := conn.Exec(t.Context(), c.Setup); err != nil {
				t.Fatal(err)
			}
		}
		for i := range c.Values {
			v := &c.Values[i]
			var row string
			if err := conn.QueryRow(t.Context(), "select to_json(r.*)::text from (select "+v.SQL+" as v) r").Scan(&row); err != nil {
				t.Fatalf("%s: %v", v.SQL, err)
			}
			var got struct{ V json.RawMessage }
			if err := json.Unmarshal([]byte(row), &got); err != nil {
				t.Fatal(err)
			}
			if *update {
				v.Raw = got.V
				v.Clean = json.RawMessage(cleanValue(t, c.Column, got.V))
				continue
			}
			if compacted(t, got.V) != compacted(t, v.Raw) {
				t.Errorf("%s: PostgreSQL prints %s, the golden file has %s", v.SQL, got.V, v.Raw)
			}
			if c.Becomes != "its text" {
				continue
			}
			var text string
			if err := conn.QueryRow(t.Context(), "select format('%s', "+v.SQL+")").Scan(&text); err != nil {
				t.Fatalf("%s: %v", v.SQL, err)
			}
			if clean := unquote(v.Clean); string(clean) != text {
				t.Errorf("%s: PostgreSQL's text is %q, clean has %q", v.SQL, text, clean)
			}
		}
		if *update {
			writeGolden(t, file, c)
		}
	})
}
