package testrig

import (
	"strconv"
	"testing"
)

func TestTextThatNoGoldenFileShowsIsFound(t *testing.T) {
	texts := struct {
		shown, silent, point, date string
		states                     map[string]string
		help                       []struct{ form string }
		made                       map[string]func(n int, who string) string
	}{shown: "%d rows <wrong> by %s", silent: "never %s told", point: ".", date: "2 Jan", states: map[string]string{"a": "stalled"}, help: []struct{ form string }{{"/help"}}, made: map[string]func(int, string) string{
		"rows": func(n int, who string) string {
			if n == 1 {
				return "one row by " + who
			}
			return strconv.Itoa(n) + " lines by " + who
		},
	}}
	found := map[string]bool{}
	for _, one := range []string{"<b>5 rows &lt;wrong&gt;</b> by linh\nstalled /help\none row by linh, 12 lines by an", "never\ntold"} {
		unshown(texts, one, []string{"date"}, func(path, _ string) { found[one+path] = true })
	}
	if want := 1 + 5; len(found) != want {
		t.Errorf("found %v", found)
	}
}
