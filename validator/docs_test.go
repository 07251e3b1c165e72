package validator_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"datawatch/pkg/daemon"
	"datawatch/validator"
)

// block is a fenced block of a page, with the line of code alone that may stand before it: a file's name.
var block = regexp.MustCompile("(?:`([^`\n]+)`\n\n)?```(\\w+)\n((?s:.*?))```\n")

// TestFirstSchemaPageSaysWhatOneSees follows the page: its files are written, its commands run, and what it prints compared.
func TestFirstSchemaPageSaysWhatOneSees(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("docs", "first-schema.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	blocks := block.FindAllStringSubmatch(string(page), -1)
	commands := 0
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
			wrong := i+1 < len(blocks) && blocks[i+1][2] == "text"
			if wrong != (code != daemon.ExitOK) {
				t.Errorf("%s: exit code %d\n%s%s", text, code, out.String(), errs.String())
			}
			if wrong && !strings.HasSuffix(out.String(), blocks[i+1][3]) {
				t.Errorf("%s: printed\n%s\nthe page says\n%s", text, out.String(), blocks[i+1][3])
			}
		}
	}
	if commands < 4 {
		t.Errorf("%d commands were found", commands)
	}
}
