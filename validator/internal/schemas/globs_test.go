package schemas

import (
	"fmt"
	"strings"
	"testing"

	"datawatch/pkg/event"
)

func TestGlobThatAnotherHidesIsToldWhenTheFolderIsLoaded(t *testing.T) {
	set := mustLoad(t, map[string]string{
		"shop-kafka/billing.*.json":      "{}",
		"shop-kafka/billing*.*.json":     "{}", // longer, and takes all that the one above matches
		"shop-kafka/pay.?.json":          "{}",
		"shop-kafka/pay.*.json":          "{}", // as long as the one above
		"shop-kafka/audit.*.json":        "{}",
		"shop-kafka/billing.refund.json": "{}",
		"_common/a*.json":                "{}",
	})
	want := []string{
		"shop-kafka/billing.*.json: warning: never applies: shop-kafka/billing*.*.json is longer and takes every stream of it (the longest glob wins, whatever it matches)",
		"shop-kafka/pay.?.json: warning: never applies",
	}
	got := lines(set.Problems())
	if strings.Count(got, "\n") != len(want) {
		t.Errorf("told:\n%s", got)
	}
	if !strings.Contains(got, want[0]) {
		t.Errorf("told:\n%swant %s", got, want[0])
	}
	if len(set.Failures()) != 0 || len(set.Files()) != 6 {
		t.Errorf("%d files, failures: %v", len(set.Files()), set.Failures())
	}
}

func TestTwoFilesForOneStreamAreToldWhereOnlyTheirNamesDecide(t *testing.T) {
	set := mustLoad(t, map[string]string{"shop-kafka/bill*.paid.json": "{}", "shop-kafka/*ling.paid.json": "{}", "shop-kafka/or*.paid.json": "{}"})
	remarks := set.Remarks()
	if len(remarks) != 1 || remarks[0] != (Remark{Kind: Ambiguous, File: "shop-kafka/bill*.paid.json", Other: "shop-kafka/*ling.paid.json"}) {
		t.Errorf("remarks: %+v", remarks)
	}
	if f := set.For("shop-kafka/billing.paid"); f == nil || f.Name != remarks[0].Other {
		t.Error("the remark names the wrong one")
	}
}

// TestRemarksAgreeWithWhatIsJudged tries globs on streams: a shadowed one judges none, and of two ambiguous ones both match some.
func TestRemarksAgreeWithWhatIsJudged(t *testing.T) {
	parts := []string{"*", "a", "?", "b", "[ab]"}
	files := map[string]string{}
	for i := range 125 {
		files[fmt.Sprintf("s/%s%s%s.json", parts[i%5], parts[i/5%5], parts[i/25])] = "{}"
	}
	set := mustLoad(t, files)
	judges := map[string]bool{}
	for _, stream := range words("abc_", 5) {
		if f := set.For(event.Stream("s/" + stream)); f != nil {
			judges[f.Name] = true
		}
	}
	shadowed := 0
	for _, r := range set.Remarks() {
		if r.Kind == Shadowed {
			shadowed++
			if judges[r.File] {
				t.Errorf("%s is said to be hidden by %s, and judges", r.File, r.Other)
			}
		}
	}
	if shadowed == 0 {
		t.Error("none was hidden: nothing was tried")
	}
}

// words are all texts of the letters up to a length.
func words(letters string, length int) []string {
	all := []string{""}
	for from := 0; length > 0; length-- {
		to := len(all)
		for _, w := range all[from:to] {
			for _, l := range letters {
				all = append(all, w+string(l))
			}
		}
		from = to
	}
	return all
}

// TestNamesFullOfStarsCostLittle: each pair of places is looked at once.
func TestNamesFullOfStarsCostLittle(t *testing.T) {
	stars := strings.Repeat("*a", 40)
	if overlap(tokens(stars+"b"), tokens(stars+"c")) {
		t.Error("no stream ends with both")
	}
	if !overlap(tokens(stars+"b"), tokens("*"+stars+"?")) {
		t.Error("both match many")
	}
}
