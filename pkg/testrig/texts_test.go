package testrig

import "testing"

func TestTextThatNoGoldenFileShowsIsFound(t *testing.T) {
	texts := struct {
		shown, silent, point, date string
		states                     map[string]string
		help                       []struct{ form string }
	}{shown: "%d rows <wrong> by %s", silent: "never %s told", point: ".", date: "2 Jan", states: map[string]string{"a": "stalled"}, help: []struct{ form string }{{"/help"}}}
	found := map[string]bool{}
	for _, one := range []string{"<b>5 rows &lt;wrong&gt;</b> by linh\nstalled /help", "never\ntold"} {
		unshown(texts, one, []string{"date"}, func(path, _ string) { found[one+path] = true })
	}
	if want := 1 + 4; len(found) != want {
		t.Errorf("found %v", found)
	}
}
