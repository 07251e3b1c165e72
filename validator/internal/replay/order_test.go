package replay

import (
	"fmt"
	"testing"

	"datawatch/pkg/event"
)

// TestRulesThatReadTheSameStayInOneOrder: two keywords of one place may have one message, and fail as often.
func TestRulesThatReadTheSameStayInOneOrder(t *testing.T) {
	s := &StreamReport{Stream: "s/t", rules: map[string]*RuleReport{}}
	for i := range 50 {
		s.rules[fmt.Sprintf("schema\x00%02d", i)] = &RuleReport{Rule: "schema", Place: "/a", Message: "m", Failing: 1, Before: new(i)}
	}
	r := &run{report: &Report{}, streams: map[event.Stream]*StreamReport{"s/t": s}}
	r.finish()
	for i, rule := range r.report.Streams[0].Rules {
		if *rule.Before != i {
			t.Fatalf("at %d stands %d", i, *rule.Before)
		}
	}
}
