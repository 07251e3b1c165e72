package cel

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// orders is what a schema of orders knows.
func orders() *Shape {
	number, text, instant := &Shape{Type: Number}, &Shape{Type: String}, &Shape{Type: String, Format: "date-time"}
	item := &Shape{Type: Map, Closed: true, Properties: map[string]*Shape{"price": number, "quantity": number, "sku": text}}
	order := &Shape{Type: Map, Properties: map[string]*Shape{
		"total": number, "status": text, "paid": {Type: Bool}, "discount": {Type: Number | Null}, "note": {Type: String | Null},
		"created_at": instant, "paid_at": {Type: String | Null, Format: "date-time"},
		"items": {Type: List, Items: item, MaxItems: 50},
		"big":   {Type: List, Items: item, MaxItems: 5000},
		"extra": {Type: Map}, "free": {},
	}}
	order.Properties["parent"] = order
	return order
}

// TestRulesAreCheckedWhenTheyAreLoaded: each line of testdata/issues.txt is a
// rule, and the lines under it what is said of it.
func TestRulesAreCheckedWhenTheyAreLoaded(t *testing.T) {
	const file = "testdata/issues.txt"
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for line := range strings.Lines(string(golden)) {
		if strings.HasPrefix(line, "    ") {
			continue
		}
		got.WriteString(line)
		rule := strings.TrimSpace(line)
		if rule == "" || strings.HasPrefix(rule, "#") {
			continue
		}
		p, issues := testEnv(t).Compile(rule, Options{Shapes: map[string]*Shape{"self": orders(), "old": orders()}})
		for _, i := range issues {
			got.WriteString("    " + i.String() + "\n")
			if i.Line < 1 || i.Column < 1 {
				t.Errorf("%s: an issue without a place: %v", rule, i)
			}
		}
		if p != nil {
			got.WriteString("    loads\n")
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(golden) {
		t.Errorf("%s differs from what is said now (-update writes it):\n%s", file, got.String())
	}
}

func TestAProgramTellsWhatItReads(t *testing.T) {
	for source, want := range map[string]string{
		`self.total == sum(self.items.map(i, i.price * i.quantity))`: "self.total self.items self.items.*.price self.items.*.quantity",
		`self == old`:                            "self old",
		`self.?a.b.orValue(0) == 1`:              "self.a.b",
		`self.a["b"].c == self.list[0].x`:        "self.a.b.c self.list.*.x",
		`has(self.a.b) && self.list[self.i] > 0`: "self.a.b self.list.* self.i",
		`self.a.orValue(0) > 1 && self.a > 0`:    "self.a",
		`self.a.exists(x, x.y.all(z, z.w))`:      "self.a self.a.*.y self.a.*.y.*.w",
	} {
		p := compiled(t, source, Options{})
		var got []string
		for _, path := range p.Paths() {
			got = append(got, strings.Join(path, "."))
		}
		gotSorted, wantSorted := sortedWords(strings.Join(got, " ")), sortedWords(want)
		if gotSorted != wantSorted {
			t.Errorf("%s reads %s, want %s", source, gotSorted, wantSorted)
		}
		if p.Names("old") != strings.Contains(source, "old") || !p.Names("self") {
			t.Errorf("%s: wrong about its variables", source)
		}
	}
}

func sortedWords(s string) string {
	words := strings.Fields(s)
	slices.Sort(words)
	return strings.Join(words, " ")
}
