package accept

import (
	"math/rand/v2"
	"regexp"
	"testing"
)

// TestPatternsMatchAsTheEngineDoes compares on expressions and texts at random, and holds that usual ones don't need the engine.
func TestPatternsMatchAsTheEngineDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 22))
	pick := func(all []string) string { return all[random.IntN(len(all))] }
	without, matched := 0, 0
	for range 6000 {
		source := pick([]string{"^", "^", "^", ""})
		for range 1 + random.IntN(4) {
			source += pick([]string{"a", "ab", "[ab]", "[0-9]", `\d`, ".", "[^a]", `\.`, "(?i:a)", "(a|b)", "é", `\w`, "-"}) + pick([]string{"", "", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"})
		}
		source += pick([]string{"$", "$", "$", ""})
		engine, err := regexp.Compile(source)
		if err != nil {
			continue
		}
		e := newExpression(engine)
		if e.steps != nil {
			without++
		}
		for range 20 {
			text := ""
			for range random.IntN(7) {
				text += pick([]string{"a", "b", "ab", "0", "12", ".", "-", "A", "é", "\n", "\x80"})
			}
			want := engine.MatchString(text)
			if got := e.MatchString(text); got != want {
				t.Fatalf("%s of %q: %v, the engine says %v", source, text, got, want)
			}
			if want && e.steps != nil {
				matched++
			}
		}
	}
	if without < 500 || matched < 500 {
		t.Errorf("%d expressions without the engine, %d matches: too few", without, matched)
	}
	for source, want := range map[string]bool{
		"^ORD-[0-9]{8}$": true, "^[A-Z]{2}$": true, "^[a-z][a-z0-9-]*$": true, `^\d{4}-\d{2}$`: true, "^[0-9]+(\\.[0-9]+)?$": false, "abc": false, "^.*$": false,
	} {
		if got := newExpression(regexp.MustCompile(source)).steps != nil; got != want {
			t.Errorf("%s without the engine: %v", source, got)
		}
	}
}
