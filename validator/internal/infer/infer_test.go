package infer_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/validator/internal/infer"
	"datawatch/validator/internal/lint"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/verdict"
)

var update = flag.Bool("update", false, "write the golden files")

const stream = event.Stream("shop-db/public.orders")

var start = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func inferOf(t testing.TB, o infer.Options, changes []*event.Change) []byte {
	t.Helper()
	f := infer.New(stream, o)
	for i, c := range changes {
		if err := f.Add(c, start.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	return f.Schema()
}

// load puts a schema into a folder, and fails where lint says anything of it.
func load(t testing.TB, schema []byte) *schemas.File {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "shop-db", "public.orders.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, schema, 0o644); err != nil {
		t.Fatal(err)
	}
	findings, err := lint.Folder(dir)
	if err != nil || len(findings) > 0 {
		t.Fatalf("%v %v\n%s", findings, err, schema)
	}
	set, err := schemas.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return set.For(stream)
}

// allFit judges changes as the service does.
func allFit(t testing.TB, schema []byte, changes []*event.Change) {
	t.Helper()
	file := load(t, schema)
	for _, c := range changes {
		clean := &event.Clean{ID: "x", Stream: stream, Type: event.ChangeType, Time: start.Format(time.RFC3339), Change: c}
		v, err := verdict.Judge(t.Context(), file, clean, event.ViolationPosition{}, start)
		if err != nil {
			t.Fatal(err)
		}
		if v.Result == verdict.Invalid {
			t.Fatalf("%s: %+v\n%s", c.After, v.Violation.Errors, schema)
		}
	}
}

// TestWhatWasSeenFitsTheSchemaInferredFromIt is the property that replay after infer finds nothing, over generated streams.
func TestWhatWasSeenFitsTheSchemaInferredFromIt(t *testing.T) {
	rounds := 120
	if testing.Short() {
		rounds = 30
	}
	for seed := range rounds {
		g := &generator{rand.New(rand.NewPCG(uint64(seed), 8))}
		template := g.template(0)
		var changes []*event.Change
		for range 1 + g.IntN(150) {
			c := &event.Change{Op: event.Insert, After: json.RawMessage(g.value(template))}
			switch g.IntN(12) {
			case 0:
				c.Op, c.After, c.Before = event.Delete, nil, json.RawMessage(`{"other": 1}`)
			case 1:
				c.Incomplete = &event.Incomplete{Fields: []string{"a", "nope"}}
			case 2:
				c.Incomplete = &event.Incomplete{After: "missing"}
				c.After = nil
			}
			changes = append(changes, c)
		}
		schema := inferOf(t, infer.Options{Bounds: seed%2 == 0}, changes)
		allFit(t, schema, changes)
		if again := inferOf(t, infer.Options{Bounds: seed%2 == 0}, changes); !bytes.Equal(schema, again) {
			t.Fatalf("seed %d: two inferences differ:\n%s\n%s", seed, schema, again)
		}
	}
}

// generator makes streams of rows that resemble each other.
type generator struct{ *rand.Rand }

type template struct {
	kind  int
	names []string
	parts []template
}

var kinds = []func(g *generator) string{
	func(*generator) string { return "null" },
	func(g *generator) string { return fmt.Sprint(g.IntN(2) == 0) },
	func(g *generator) string { return fmt.Sprint(g.IntN(1000) - 500) },
	func(g *generator) string {
		return []string{"1.50", "-0", "1e3", "12345678901234567890.123456789", "0.0", "1E-7"}[g.IntN(6)]
	},
	func(g *generator) string { return []string{`"new"`, `"paid"`, `"done"`}[g.IntN(3)] },
	func(g *generator) string { return fmt.Sprintf(`"2026-11-%02dT08:00:00Z"`, 1+g.IntN(28)) },
	func(g *generator) string { return fmt.Sprintf(`"2026-11-%02d"`, 1+g.IntN(28)) },
	func(g *generator) string { return fmt.Sprintf(`"user%d@example.com"`, g.IntN(100)) },
	func(g *generator) string { return []string{`"VND"`, `"USD"`, `"ALL"`}[g.IntN(3)] },
	func(g *generator) string {
		return []string{`""`, `"a\nb"`, `"ü"`, `"\u0000"`, `"10.0.0.1"`, `"https://x.y/z"`}[g.IntN(6)]
	},
	func(g *generator) string { return fmt.Sprintf(`"%d.%02d"`, g.IntN(100), g.IntN(100)) },
}

func (g *generator) template(depth int) template {
	t := template{kind: g.IntN(len(kinds) + 6)}
	if depth == 0 {
		t.kind = len(kinds)
	}
	if depth > 4 {
		return template{kind: t.kind % len(kinds)}
	}
	for i := range 1 + g.IntN(6) {
		t.names = append(t.names, []string{"a", "b", "status", "email", "curr~/ency", "é \"x\"", "$ref", "x-rules"}[(i+g.IntN(3))%8])
		t.parts = append(t.parts, g.template(depth+1))
	}
	return t
}

func (g *generator) value(t template) string {
	if g.IntN(40) == 0 {
		return kinds[g.IntN(len(kinds))](g) // what doesn't fit the others
	}
	switch k := t.kind - len(kinds); {
	case k < 0:
		return kinds[t.kind](g)
	case k <= 2:
		var members []string
		for i, name := range t.names {
			if g.IntN(8) > 0 {
				quoted, _ := json.Marshal(name)
				members = append(members, string(quoted)+":"+g.value(t.parts[i]))
			}
		}
		return "{" + strings.Join(members, ",") + "}"
	case k == 3: // a map
		var members []string
		for range g.IntN(30) {
			members = append(members, fmt.Sprintf(`"k%d":%s`, g.IntN(2000), g.value(t.parts[0])))
		}
		return "{" + strings.Join(members, ",") + "}"
	default:
		var items []string
		for range g.IntN(4) {
			items = append(items, g.value(t.parts[g.IntN(len(t.parts))]))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
}

// TestSchemasReadAsIfWrittenByHand holds what is inferred of streams as people have them: testdata/<kind>.jsonl.
func TestSchemasReadAsIfWrittenByHand(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var changes []*event.Change
			for line := range bytes.Lines(text) {
				changes = append(changes, &event.Change{Op: event.Message, After: bytes.TrimSpace(line)})
			}
			schema := inferOf(t, infer.Options{}, changes)
			allFit(t, schema, changes)
			golden := strings.TrimSuffix(name, ".jsonl") + ".golden.json"
			if *update {
				if err := os.WriteFile(golden, schema, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(schema, want) {
				t.Errorf("\n%s\nwant:\n%s", schema, want)
			}
		})
	}
}

func TestObjectsWithMoreNamesThanSchemasHaveAreMaps(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, `,"sensor_%c%d":%d`, 'a'+i%26, i, i)
	}
	changes := []*event.Change{{Op: event.Message, After: json.RawMessage("{" + b.String()[1:] + "}")}}
	schema := inferOf(t, infer.Options{}, changes)
	allFit(t, schema, changes)
	if !bytes.Contains(schema, []byte(`"additionalProperties": {"type": "integer"}`)) {
		t.Errorf("%.500s", schema)
	}
}

func TestEventsBeyondWhatIsJudgedAreCountedAndNotLearned(t *testing.T) {
	f := infer.New(stream, infer.Options{})
	for _, after := range []string{`{"n":1e1000001}`, strings.Repeat("[", 300) + strings.Repeat("]", 300)} {
		if err := f.Add(&event.Change{Op: event.Message, After: json.RawMessage(after)}, start); err != nil {
			t.Fatal(err)
		}
	}
	if f.Beyond != 2 || f.Events != 0 {
		t.Errorf("beyond %d, events %d", f.Beyond, f.Events)
	}
}

func BenchmarkInfer(b *testing.B) {
	change := &event.Change{Op: event.Insert, After: json.RawMessage(`{"id":1042,"status":"paid","currency":"VND","total":149.98,"created_at":"2026-11-22T08:00:00Z","customer":"An","items":[{"sku":"A-1","price":100,"quantity":1},{"sku":"B-2","price":49.98,"quantity":1}]}`)}
	f := infer.New(stream, infer.Options{})
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Add(change, start); err != nil {
			b.Fatal(err)
		}
	}
}

// TestUpdatesTouchNothingThatStandsThere is so for whatever was inferred of a part of a generated stream: what is new of the
// whole is added, once.
func TestUpdatesTouchNothingThatStandsThere(t *testing.T) {
	for seed := range 15 {
		g := &generator{rand.New(rand.NewPCG(uint64(seed), 9))}
		template := g.template(0)
		var changes []*event.Change
		for range 60 {
			changes = append(changes, &event.Change{Op: event.Insert, After: json.RawMessage(g.value(template))})
		}
		text := inferOf(t, infer.Options{}, changes[:5])
		f := infer.New(stream, infer.Options{})
		for _, c := range changes {
			if err := f.Add(c, start); err != nil {
				t.Fatal(err)
			}
		}
		once, err := f.Update("orders.json", text)
		if err != nil {
			t.Fatal(err)
		}
		load(t, once.Text)
		if (once.Diff == "") != bytes.Equal(once.Text, text) || (once.Diff == "") != (len(once.Added) == 0) {
			t.Fatalf("seed %d: %v\n%s", seed, once.Added, once.Diff)
		}
		infer.Stays(t, text, once.Text)
		twice, err := f.Update("orders.json", once.Text)
		if err != nil || twice.Diff != "" {
			t.Fatalf("seed %d: a second update changes something: %v\n%s", seed, err, twice.Diff)
		}
	}
}
