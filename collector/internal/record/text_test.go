package record

import (
	"bytes"
	"strings"
	"testing"
)

func TestWhatIsWrongWithAWholeRowNamesNoPlace(t *testing.T) {
	r := &Recording{Transactions: []Transaction{{Source: "shop-db", Time: "2026-11-22T07:03:07Z", Findings: []Broken{
		{Message: `missing property "currency"`},
		{Rule: "total-adds-up", Message: "Order total is not the sum of its items", Actual: "149.98", Expected: "149.97"},
	}}}}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	html, err := r.HTML(1<<20, "en")
	if err != nil {
		t.Fatal(err, "en")
	}
	for _, c := range []struct{ in, want string }{
		{text.String(), "  ✗ missing property \"currency\"\n  ✗ total-adds-up: Order total is not the sum of its items (149.98, expected 149.97)\n"},
		{string(html), `✗ missing property &#34;currency&#34;</div>`},
		{string(html), `✗ <b>total-adds-up</b>: Order total`},
	} {
		if !strings.Contains(c.in, c.want) {
			t.Errorf("%q isn't in:\n%s", c.want, c.in)
		}
	}
}
