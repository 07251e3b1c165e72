package schemas

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"datawatch/pkg/event"
)

// write makes files of a folder; an empty text removes.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if text == "" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func mustLoad(t *testing.T, files map[string]string) *Set {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, files)
	set, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func lines(problems []Problem) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

func TestPathIsTheStreamAndTheExactNameBeatsTheLongestGlob(t *testing.T) {
	set := mustLoad(t, map[string]string{
		"shop-kafka/billing.invoice.json":   "{}",
		"shop-kafka/billing.*.json":         "{}",
		"shop-kafka/*.json":                 "{}",
		"shop-kafka/billing.inv*.json":      "{}",
		"*/public.users.json":               "{}",
		"shop-kafka/cdc/shop.[a-c]*.json":   "{}",
		"_common/money.json":                "{}",
		"_tests/shop-kafka/other.json":      "not even JSON",
		".git/shop-db/public.orders.json":   "{}",
		"shop-db/.public.orders.swp.json":   "{}",
		"shop-db/public.or%2Eders.json":     "{}",
		"shop-db/public.orders.json.backup": "{}",
	})
	for stream, want := range map[event.Stream]string{
		"shop-kafka/billing.invoice":  "shop-kafka/billing.invoice.json",
		"shop-kafka/billing.invoices": "shop-kafka/billing.inv*.json",
		"shop-kafka/billing.refund":   "shop-kafka/billing.*.json",
		"shop-kafka/Billing.refund":   "shop-kafka/*.json",
		"shop-kafka/cdc/shop.carts":   "shop-kafka/cdc/shop.[a-c]*.json",
		"shop-kafka/cdc/shop.users":   "",
		"other-db/public.users":       "*/public.users.json",
		"shop-db/public.or%2Eders":    "shop-db/public.or%2Eders.json",
		"shop-db/public.orders":       "",
		"_common/money":               "",
	} {
		for range 2 { // the second time from what was found
			got := ""
			if f := set.For(stream); f != nil {
				got = f.Name
			}
			if got != want {
				t.Errorf("%s is judged by %q, want %q", stream, got, want)
			}
		}
	}
	if p := set.Problems(); len(p) != 0 {
		t.Errorf("problems: %s", lines(p))
	}
}

func TestRefsAreAnsweredFromTheFolderByPathAndByID(t *testing.T) {
	money := `{"$id": "https://example.com/schemas/money", "type": "number", "minimum": 0, "$defs": {"fee": {"maximum": 5}}}`
	for name, schema := range map[string]string{
		"by path":                  `{"$ref": "../_common/money.json"}`,
		"by id":                    `{"$ref": "https://example.com/schemas/money"}`,
		"by fragment":              `{"allOf": [{"$ref": "../_common/money.json"}, {"$ref": "../_common/money.json#/$defs/fee"}]}`,
		"relative to an own id":    `{"$id": "https://example.com/s/public.orders.json", "$ref": "../_common/money.json"}`,
		"beside an own id":         `{"$id": "https://other.example/x/shop-db/public.orders.json", "$ref": "../_common/money.json"}`,
		"draft 4":                  `{"$schema": "http://json-schema.org/draft-04/schema#", "id": "http://example.com/a.json", "allOf": [{"$ref": "_common/money.json"}]}`,
		"draft 7 beside an own id": `{"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "../_common/money.json#"}`,
	} {
		t.Run(name, func(t *testing.T) {
			set := mustLoad(t, map[string]string{"_common/money.json": money, "shop-db/public.orders.json": schema})
			if p := set.Problems(); len(p) != 0 {
				t.Fatal(lines(p))
			}
			f := set.For("shop-db/public.orders")
			if f == nil {
				t.Fatal("not loaded")
			}
			if f.Schema.Validate("x") == nil {
				t.Error("what is referred to isn't asked")
			}
			if err := f.Schema.Validate(1); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFormatIsAssertedInEveryDraft(t *testing.T) {
	for _, draft := range []string{
		"", "http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-06/schema#", "http://json-schema.org/draft-07/schema#",
		"https://json-schema.org/draft/2019-09/schema", "https://json-schema.org/draft/2020-12/schema",
	} {
		schema := `{"format": "date-time"}`
		if draft != "" {
			schema = `{"$schema": "` + draft + `", "format": "date-time"}`
		}
		f := mustLoad(t, map[string]string{"a/b.json": schema}).For("a/b")
		if f == nil || f.Schema.Validate("yesterday") == nil {
			t.Errorf("draft %q: a wrong date-time passes", draft)
		}
	}
}

// TestProblemsNamePlaceAndHint holds what people are told, in the words and with the place.
func TestProblemsNamePlaceAndHint(t *testing.T) {
	for name, c := range map[string]struct{ schema, want string }{
		"misspelt keyword":   {"{\n  \"type\": \"object\",\n  \"requird\": [\"id\"]\n}", `a/b.json:3:3: "requird" (required?)`},
		"misspelt, deep":     {`{"properties": {"x": {"items": [{"minimun": 1}]}}}`, `a/b.json:1:34: "minimun" (minimum?)`},
		"misspelt x-":        {`{"x-severty": "info"}`, `a/b.json:1:2: "x-severty" (x-severity?)`},
		"misspelt format":    {`{"format": "datetime"}`, `a/b.json:1:12: format "datetime" (date-time?)`},
		"unknown format":     {`{"format": "zebra"}`, `a/b.json:1:12: warning: format "zebra" is unknown: it accepts everything (known: `},
		"misspelt type":      {`{"properties": {"x": {"type": "strng"}}}`, `a/b.json:1:31: type "strng" (string?)`},
		"wrong bound":        {`{"minLength": "3"}`, `a/b.json:1:15: /minLength: expected integer, but got string`},
		"not JSON":           {"{\n  \"type\": \"object\",\n}", `a/b.json:3:1: not JSON: `},
		"cut off":            {`{"type": `, `a/b.json:1:10: not JSON: it ends too early`},
		"twice":              {`{"type": "object", "type": "array"}`, `a/b.json:1:20: "type" stands twice in one object (keep one)`},
		"byte order mark":    {"\ufeff{}", `a/b.json:1:1: begins with a byte order mark`},
		"no schema":          {`[]`, `a/b.json:1:1: a schema has to be an object`},
		"trailing":           {`{} {}`, `a/b.json:1:4: more text behind the JSON value`},
		"hostile number":     {`{"minimum": 1e1000001}`, `a/b.json:1:13: a number beyond what is judged`},
		"lost ref":           {"{\"properties\":\n {\"x\": {\"$ref\": \"../_common/mony.json\"}}}", `a/b.json:2:17: $ref _common/mony.json isn't in the folder`},
		"lost fragment":      {`{"$ref": "#/$defs/x"}`, `a/b.json:1:10: $ref a/b.json#/$defs/x leads to nothing`},
		"network":            {`{"$ref": "https://example.com/x.json"}`, `a/b.json:1:10: $ref https://example.com/x.json isn't in the folder`},
		"draft":              {`{"$schema": "https://json-schema.org/draft/2021-12/schema"}`, `a/b.json:1:13: unknown $schema (drafts 4, 6, 7, 2019-09 and 2020-12`},
		"pattern":            {`{"pattern": "(?=a)b"}`, `a/b.json:1:13: /pattern: `},
		"severity":           {`{"x-severity": "fatal"}`, `a/b.json:1:16: unknown severity (info, warning or critical)`},
		"runbook":            {`{"x-runbook": "see wiki"}`, `a/b.json:1:15: x-runbook is not a URL`},
		"pii":                {`{"x-pii": ["email"]}`, `a/b.json:1:12: "email" is not a JSON pointer`},
		"severity inside":    {`{"properties": {"x": {"x-severity": "info"}}}`, `a/b.json:1:23: "x-severity" stands inside the schema`},
		"rule without id":    {`{"x-rules": [{"rule": "true", "message": "m"}]}`, `a/b.json:1:14: the rule has no "id"`},
		"rule key":           {`{"x-rules": [{"id": "a", "rule": "self.x > 0", "mesage": "m"}]}`, `"mesage" (message?)`},
		"rule syntax":        {`{"x-rules": [{"id": "a", "rule": "self.x >", "message": "m"}]}`, `a/b.json:1:`},
		"rule not a bool":    {`{"x-rules": [{"id": "a", "rule": "1 + 1", "message": "m"}]}`, `a/b.json:1:`},
		"rule, wrong field":  {`{"properties": {"total": {}}, "x-rules": [{"id": "a", "rule": "self.totl > 0", "message": "m"}]}`, `total`},
		"rule, wrong name":   {`{"x-rules": [{"id": "a", "rule": "slf.total > 0", "message": "m"}]}`, `a/b.json:1:35: `},
		"two rules, one id":  {`{"x-rules": [{"id": "a", "rule": "self.x > 0", "message": "m"}, {"id": "a", "rule": "self.x > 1", "message": "m"}]}`, `two rules have the id "a"`},
		"the schema's id":    {`{"x-rules": [{"id": "schema", "rule": "self.x > 0", "message": "m"}]}`, `the id "schema" stands for the schema itself`},
		"op":                 {`{"x-rules": [{"id": "a", "rule": "self.x > 0", "message": "m", "on": ["updat"]}]}`, `unknown op "updat" (update?)`},
		"required elsewhere": {`{"required": ["totl"], "properties": {"total": {}}}`, `a/b.json:1:15: warning: required "totl" isn't in properties (total?)`},
	} {
		t.Run(name, func(t *testing.T) {
			set := mustLoad(t, map[string]string{"a/b.json": c.schema})
			if got := lines(set.Problems()); !strings.Contains(got, c.want) {
				t.Errorf("told:\n%swant: %s", got, c.want)
			}
			warned := strings.Contains(c.want, "warning: ")
			if loaded := set.For("a/b") != nil; loaded != warned {
				t.Errorf("loaded: %v", loaded)
			}
		})
	}
}

func TestWordsThatAreNearlyKeywordsButOthersAreLeftAlone(t *testing.T) {
	set := mustLoad(t, map[string]string{"a/b.json": `{
		"title": "T", "nullable": true, "x-team": "a", "xml": {}, "discriminator": {"propertyName": "kind"},
		"properties": {"requird": {"type": "string"}, "tpe": {}, "properties": {"properties": {"itms": {}}}},
		"enum": [{"tipe": 1}], "default": {"requird": 1}, "examples": [{"formt": 1}], "dependentRequired": {"requird": ["tpe"]}}`})
	if p := set.Problems(); len(p) != 0 {
		t.Error(lines(p))
	}
}

func TestFileOutsideASourceFolderIsTold(t *testing.T) {
	set := mustLoad(t, map[string]string{"orders.json": "{}"})
	if got := lines(set.Problems()); !strings.Contains(got, "orders.json: warning: names no stream (put it into a folder with the source's name: shop-db/orders.json)") {
		t.Error(got)
	}
}

func TestMissingFolderIsAnErrorThatNamesIt(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "nowhere"))
	if err == nil || !strings.Contains(err.Error(), "nowhere: no such folder") {
		t.Error(err)
	}
}

func TestEveryStreamOfALargeFolderIsLoaded(t *testing.T) {
	files := map[string]string{}
	for i := range 300 {
		files[fmt.Sprintf("src/t%d.json", i)] = `{"type": "object"}`
	}
	if n := len(mustLoad(t, files).Files()); n != 300 {
		t.Errorf("%d files", n)
	}
}

func newTestWatcher(t *testing.T, dir string) (*Watcher, *[]*Set) {
	t.Helper()
	var told []*Set
	w := NewWatcher(dir, slog.New(slog.NewTextHandler(t.Output(), nil)), func(s *Set, _ error) { told = append(told, s) })
	return w, &told
}

func TestWrongFileLeavesItsLastGoodVersionInForceUntilItIsMended(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a/b.json": `{"type": "string"}`, "a/c.json": `{"type": "string"}`})
	w, told := newTestWatcher(t, dir)
	first := w.Current()
	good := first.For("a/b")

	w.refresh()
	if w.Current() != first || len(*told) != 1 {
		t.Fatal("a folder that hasn't changed was exchanged")
	}

	write(t, dir, map[string]string{"a/b.json": `{"tipe": "number"}`, "a/c.json": `{"type": "number"}`})
	w.refresh()
	broken := w.Current()
	if broken.For("a/b") != good {
		t.Error("the last good version isn't in force")
	}
	if broken.For("a/c").Schema.Validate(1) != nil {
		t.Error("the other file wasn't exchanged")
	}
	failures := broken.Failures()
	if len(failures) != 1 || failures[0].InForce != good || failures[0].Problem.String() != `a/b.json:1:2: "tipe" (type?)` {
		t.Errorf("failures: %+v", failures)
	}

	write(t, dir, map[string]string{"a/b.json": `{"type": "number"}`})
	w.refresh()
	if mended := w.Current(); len(mended.Failures()) != 0 || mended.For("a/b").Schema.Validate(1) != nil {
		t.Errorf("mended file: %v", mended.Failures())
	}
	if first.For("a/b") != good {
		t.Error("a set that was in force has changed")
	}

	write(t, dir, map[string]string{"a/b.json": ""})
	w.refresh()
	if w.Current().For("a/b") != nil {
		t.Error("a file that was removed still judges")
	}
}

func TestWrongSharedFileKeepsEveryFileThatRefersToIt(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"_common/money.json": `{"type": "number"}`, "_common/price.json": `{"$ref": "money.json"}`,
		"a/b.json": `{"$ref": "../_common/price.json"}`, "a/c.json": `{}`,
	})
	w, _ := newTestWatcher(t, dir)
	good, untouched := w.Current().For("a/b"), w.Current().For("a/c")

	write(t, dir, map[string]string{"_common/money.json": `{"tipe": "number"}`})
	w.refresh()
	if w.Current().For("a/b") != good {
		t.Error("the last good version isn't in force")
	}
	if f := w.Current().Failures(); len(f) != 1 || f[0].Problem.File != "_common/money.json" {
		t.Errorf("failures: %+v", f)
	}

	write(t, dir, map[string]string{"_common/money.json": `{"type": "integer"}`})
	w.refresh()
	if f := w.Current().For("a/b"); f == good || f.Schema.Validate(1.5) == nil {
		t.Error("a change of what is referred to had no effect")
	}
	if w.Current().For("a/c") != untouched {
		t.Error("a file that doesn't refer to it was compiled again")
	}
}

// TestSymlinkSwapTakesEffectAsAWhole is how Kubernetes changes a ConfigMap.
func TestSymlinkSwapTakesEffectAsAWhole(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"..v1/orders.json": `{"type": "string"}`, "..v2/orders.json": `{"type": "number"}`, "..v2/users.json": `{"type": "number"}`,
	})
	link := func(target, name string) {
		t.Helper()
		fresh := filepath.Join(dir, name+".new")
		if err := os.Symlink(target, fresh); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(fresh, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..v1", "..data")
	link("..data", "shop-db")
	w, _ := newTestWatcher(t, dir)
	if f := w.Current().For("shop-db/orders"); f == nil || f.Schema.Validate("x") != nil {
		t.Fatal("not read through the links")
	}
	link("..v2", "..data")
	w.refresh()
	if f := w.Current().For("shop-db/orders"); f == nil || f.Schema.Validate(1) != nil {
		t.Error("the swap has no effect")
	}
	if w.Current().For("shop-db/users") == nil {
		t.Error("a file that came with the swap isn't there")
	}
}

func TestFolderThatGoesAwayLeavesWhatWasLoaded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "schemas")
	write(t, dir, map[string]string{"a/b.json": `{}`})
	w, told := newTestWatcher(t, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	w.refresh()
	w.refresh()
	if w.Current().For("a/b") == nil {
		t.Error("what was loaded is gone")
	}
	if len(*told) != 2 {
		t.Errorf("told %d times", len(*told))
	}
	write(t, dir, map[string]string{"a/c.json": `{}`})
	w.refresh()
	if s := w.Current(); s.For("a/b") != nil || s.For("a/c") == nil {
		t.Error("the folder that came back wasn't read")
	}
}

func TestRulesOfAllLevelsAreFoundAndMarkTheWayToThem(t *testing.T) {
	set := mustLoad(t, map[string]string{
		"_common/item.json": `{"x-rules": [{"id": "in-item", "rule": "self.n > 0", "message": "m"}]}`,
		"a/b.json": `{"x-rules": [{"id": "at-root", "rule": "old.n < self.n", "message": "m", "on": "update", "severity": "info", "show": ["self.n"]}],
			"x-severity": "critical",
			"properties": {"items": {"items": {"$ref": "../_common/item.json"}}, "plain": {"type": "string"}},
			"anyOf": [{"x-rules": [{"id": "in-branch", "rule": "self.n > 0", "message": "m"}]}]}`,
	})
	if p := set.Problems(); hasErrors(p) {
		t.Fatal(lines(p))
	}
	f := set.For("a/b")
	var ids []string
	for _, r := range f.Rules() {
		ids = append(ids, r.ID)
		if r.ID == "at-root" && (!r.NamesOld || r.RunsOn(event.Insert) || !r.RunsOn(event.Update) || r.Severity != event.Info || len(r.Show) != 1) {
			t.Errorf("at-root: %+v", r)
		}
		if r.ID == "in-item" && (r.NamesOld || !r.RunsOn(event.Insert) || r.RunsOn(event.Delete) || r.Severity != event.Critical) {
			t.Errorf("in-item: %+v", r)
		}
	}
	slices.Sort(ids)
	if !slices.Equal(ids, []string{"at-root", "in-branch", "in-item"}) {
		t.Errorf("rules: %v", ids)
	}
	if !f.Reaches(f.Schema.Properties["items"]) || f.Reaches(f.Schema.Properties["plain"]) {
		t.Error("the way to the rules is marked wrongly")
	}
}
