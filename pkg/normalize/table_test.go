package normalize

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// longest is how much of an example the table shows.
const longest = 60

func TestTypesTableIsThatOfTheGoldenFiles(t *testing.T) {
	var table strings.Builder
	table.WriteString("\n| type | becomes | example | in clean |\n| --- | --- | --- | --- |\n")
	eachType(t, func(t *testing.T, _ string, c *typeCase) {
		example := c.Values[0]
		for _, v := range c.Values { // the first one that fits
			if len(v.SQL) <= longest && len(compacted(t, v.Clean)) <= longest {
				example = v
				break
			}
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", code(c.Column.Type), c.Becomes, code(example.SQL), code(compacted(t, example.Clean)))
	})
	table.WriteString("\n")
	text, err := os.ReadFile("TYPES.md")
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(text), "-update` -->\n")
	_, tail, ok := strings.Cut(rest, "<!-- /types -->")
	if !ok {
		t.Fatal("TYPES.md has lost its marks")
	}
	want := head + "-update` -->\n" + table.String() + "<!-- /types -->" + tail
	if *update {
		if err := os.WriteFile("TYPES.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Error("TYPES.md isn't what the golden files say: write it anew with -update")
	}
}

// code is text in a cell of a table.
func code(text string) string {
	quote := "`"
	if strings.Contains(text, "`") {
		quote = "``"
	}
	return quote + strings.ReplaceAll(text, "|", `\|`) + quote
}
