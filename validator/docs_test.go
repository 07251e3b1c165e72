package validator_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/cel"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/validator"
	"datawatch/validator/internal/schemas"
)

// block is a fenced block of a page, with the line of code alone that may stand before it: a file's name.
var block = regexp.MustCompile("(?:`([^`\n]+)`\n\n)?```(\\w+)\n((?s:.*?))```\n")

func readPage(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// follow does what a page says, in a folder of its own: its files are written, its commands run, and what they print compared.
func follow(t *testing.T, page string) (commands int) {
	t.Helper()
	t.Chdir(t.TempDir())
	blocks := block.FindAllStringSubmatch(page, -1)
	for i, b := range blocks {
		name, kind, text := b[1], b[2], b[3]
		switch kind {
		case "json":
			writeFile(t, filepath.FromSlash(name), text)
		case "sh":
			commands++
			words := strings.Fields(text)
			var out, errs bytes.Buffer
			code := daemon.Execute(validator.Service(), words[1:], &out, &errs)
			if words[1] == "lint" && out.Len() > 0 && (i+1 == len(blocks) || blocks[i+1][2] != "text") {
				t.Errorf("%s: prints what the page doesn't show: %s", text, out.String())
			}
			wrong := i+1 < len(blocks) && blocks[i+1][2] == "text"
			if wrong != (code != daemon.ExitOK) {
				t.Errorf("%s: exit code %d\n%s%s", text, code, out.String(), errs.String())
			}
			if wrong && !strings.HasSuffix(out.String(), blocks[i+1][3]) {
				t.Errorf("%s: printed\n%s\nthe page says\n%s", text, out.String(), blocks[i+1][3])
			}
		}
	}
	return commands
}

func TestFirstSchemaPageSaysWhatOneSees(t *testing.T) {
	if commands := follow(t, readPage(t, "first-schema.md")); commands < 4 {
		t.Errorf("%d commands were found", commands)
	}
}

// TestFirstSchemaOfTheReadmeHasNothingToBeSaidOf by lint, as CI runs it.
func TestFirstSchemaOfTheReadmeHasNothingToBeSaidOf(t *testing.T) {
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range block.FindAllStringSubmatch(string(page), -1) {
		if b[2] == "json" {
			t.Chdir(t.TempDir())
			writeFile(t, filepath.FromSlash("schemas/shop-db/public.orders.json"), b[3])
			if code, out, errs := execute("lint", "--strict", "schemas"); code != daemon.ExitOK {
				t.Errorf("exit code %d\n%s%s", code, out, errs)
			}
			return
		}
	}
	t.Error("the README has no schema")
}

// section is a page from a heading to the next of any level.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, "\n"+heading+"\n")
	if !found {
		t.Fatalf("no %q in the page", heading)
	}
	text, _, _ := strings.Cut(rest, "\n#")
	return text
}

// rows are the cells of a section's tables, without their heads.
func rows(section string) [][]string {
	var all [][]string
	body := false
	for line := range strings.SplitSeq(section, "\n") {
		switch {
		case strings.HasPrefix(line, "| ---"):
			body = true
		case !strings.HasPrefix(line, "|"):
			body = false
		case body:
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			all = append(all, cells)
		}
	}
	return all
}

// quoted are the pieces of code of a text.
func quoted(text string) []string {
	var all []string
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 {
			all = append(all, part)
		}
	}
	return all
}

func TestReferencePageSaysWhatOneSees(t *testing.T) {
	page := readPage(t, "reference.md")
	t.Run("files and commands", func(t *testing.T) {
		if commands := follow(t, page); commands != 2 {
			t.Errorf("%d commands were found", commands)
		}
	})
	t.Run("expressions", func(t *testing.T) { expressionsOf(t, section(t, page, "### Expressions")) })
	t.Run("formats", func(t *testing.T) { formatsOf(t, section(t, page, "## Formats of ours")) })
}

func expressionsOf(t *testing.T, text string) {
	t.Helper()
	_, row, found := strings.Cut(strings.ReplaceAll(text, "\n", " "), "Here `self` is `")
	row, _, closed := strings.Cut(row, "`")
	self, err := cel.ParseJSON([]byte(row))
	if err != nil || !found || !closed {
		t.Fatal("the page doesn't say what self is", err)
	}
	env, err := cel.NewEnv(cel.Variables("self")...)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, cells := range rows(text) {
		n++
		code := quoted(cells[0])[0]
		got := "refused at load"
		if p, _ := env.Compile(code, cel.Options{Result: cel.Any | cel.Timestamp | cel.Duration}); p != nil {
			v, err := p.Value(t.Context(), cel.Bindings{"self": self})
			var failed *cel.EvalError
			if errors.As(err, &failed) {
				got = fmt.Sprintf("error: `%s`", failed.Kind)
			} else {
				got = "`" + v.JSON() + "`"
			}
		}
		if got != cells[1] {
			t.Errorf("%s gives %s, the page says %s", code, got, cells[1])
		}
	}
	if n < 30 {
		t.Errorf("%d expressions were found", n)
	}
}

func formatsOf(t *testing.T, text string) {
	t.Helper()
	for _, cells := range rows(text) {
		name := quoted(cells[0])[0]
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "a", "b.json"), fmt.Sprintf(`{"format": %q}`, name))
		set, err := schemas.Load(dir)
		if err != nil || len(set.Problems()) > 0 {
			t.Fatal(err, set.Problems())
		}
		for i, takes := range []bool{true, false} {
			for _, value := range quoted(cells[1+i]) {
				if got := set.For("a/b").Schema.Validate(value) == nil; got != takes {
					t.Errorf("%s takes %q: %v, the page says %v", name, value, got, takes)
				}
			}
		}
	}
}

// TestReferencePageNamesAllThereIs: what is added has to be written down.
func TestReferencePageNamesAllThereIs(t *testing.T) {
	page := readPage(t, "reference.md")
	names := func(heading string, words ...string) {
		t.Helper()
		var code []string
		text := section(t, page, heading)
		for _, q := range quoted(text) {
			code = append(code, regexp.MustCompile(`[A-Za-z_-][A-Za-z0-9_-]*`).FindAllString(q, -1)...)
		}
		for _, word := range words {
			if !slices.Contains(code, word) {
				t.Errorf("%s: nothing about %s", heading, word)
			}
		}
	}
	_, root, formats := schemas.Known()
	names("## Keywords of ours", append(root, "x-rules")...)
	names("## Formats of ours", slices.DeleteFunc(formats, isStandard)...)
	names("### Expressions", cel.Functions()...)
	names("## Rules", "id", "rule", "message", "severity", "on", "show", "self", "old", "root", "op", "key", "stream", "time", "actor", "tag")
	names("## Kinds of errors", string(event.SchemaError), string(event.RuleViolation), string(event.RuleError), string(event.InvalidError), string(event.LimitError), string(event.InternalError))
	names("## Names of files", string(schemas.Shadowed), string(schemas.Ambiguous), string(schemas.Unmatched), string(schemas.Unrunnable))
	for _, number := range []string{fmt.Sprint(cel.MaxNumberLength) + " characters", fmt.Sprintf("±%d", cel.MaxExponent), fmt.Sprint(cel.MaxDepth) + " levels"} {
		if !strings.Contains(section(t, page, "## Limits"), number) {
			t.Errorf("the limits don't say %q", number)
		}
	}
}

// isStandard tells of a format that JSON Schema has.
func isStandard(format string) bool {
	_, standard := jsonschema.Formats[format]
	return standard
}
