package schemas

import (
	"fmt"
	"strings"
	"testing"
)

// ruledSchema knows of values what rules may ask: by properties, behind $ref and allOf, in lists, and closed objects.
const ruledSchema = `{
	"$defs": {"when": {"type": "string", "format": "date-time"}, "money": {"type": "number"}},
	"properties": {
		"total": {"$ref": "#/$defs/money"}, "fee": {"type": "number"}, "at": {"$ref": "#/$defs/when"}, "paid_at": {"allOf": [{"$ref": "#/$defs/when"}]}, "day": {"type": "string", "format": "date"},
		"name": {"type": "string"}, "items": {"type": "array", "maxItems": 50, "items": {"properties": {"price": {"type": "number"}, "at": {"$ref": "#/$defs/when"}}}},
		"many": {"items": {"properties": {"n": {"type": "number"}, "many": {"items": {}}}}}, "to": {"properties": {"street": {"type": "string"}}}},
	"x-rules": [{"id": "r", "rule": %q, "message": "m"}]}`

// TestRulesAreCheckedWhenTheirFileIsLoaded: what can't do as it says never comes into force.
func TestRulesAreCheckedWhenTheirFileIsLoaded(t *testing.T) {
	for rule, want := range map[string]string{
		"self.total >":                   "ends too early",
		"self.total > 0 &&& true":        "&&",
		"self.total":                     "bool",
		"self.name":                      "bool",
		"self.items.map(i, i.price)":     "bool",
		"self.total + 1":                 "bool",
		"slf.total > 0":                  "self",
		"self.totl > 0":                  "total",
		"old.totl > 0":                   "total",
		"root.totl > 0":                  "total",
		"self.to.stret == 'x'":           "street",
		"self['totl'] > 0":               "total",
		"has(self.totl)":                 "total",
		"self.totl.orValue(0) > 0":       "total",
		"self.items.all(i, i.prise > 0)": "price",
		"self.items[0].prise > 0":        "price",
		"self.items.exists(i, i.at > self.at && i.prise > 0)": "price",
		"rund(self.total, 2, 'half_up') > 0":                  "round",
		"self.total / 2 > 1":                                  "round",
		"self.items.all(i, i.price / 2 > 1)":                  "round",
		"round(self.total / 2, 2, 'half_up') / 3 > 1":         "round",
		"sum(self.items.map(i, i.price / 2)) > 1":             "round",
		"self.total > 'x'":                                    "decimal(text)",
		"self.name + 1 == 'x'":                                "decimal(text)",
		"self.many.all(a, self.many.all(b, self.many.all(c, self.many.all(d, a.n + b.n + c.n + d.n > 0))))": "1000000 are allowed",
	} {
		t.Run(rule, func(t *testing.T) {
			set := mustLoad(t, map[string]string{"a/b.json": fmt.Sprintf(ruledSchema, rule)})
			told := lines(set.Problems())
			if set.For("a/b") != nil || !strings.Contains(told, "a/b.json:7:") || !strings.Contains(told, want) {
				t.Errorf("loaded %v, told:\n%swant %s", set.For("a/b") != nil, told, want)
			}
		})
	}
	for _, rule := range []string{
		"self.at < self.paid_at", "self.at == self.paid_at", "self.at <= '2026-11-22T00:00:00Z'", "'2026-11-22T00:00:00Z' > self.at", "old.at <= self.at",
		"self.items.all(i, i.at >= root.at)",
	} { // Z and +07:00 may be one moment, and so may .5 and .50
		set := mustLoad(t, map[string]string{"a/b.json": fmt.Sprintf(ruledSchema, rule)})
		if told := lines(set.Problems()); set.For("a/b") == nil || !strings.Contains(told, "warning: points in time are compared as texts (write timestamp(") {
			t.Errorf("%s: told:\n%s", rule, told)
		}
	}
	for _, rule := range []string{
		"self.total > 0", "self.total == sum(self.items.orValue([]).map(i, i.price)) + self.fee.orValue(0)", "round(self.total / 3, 2, 'half_even') > 1",
		"timestamp(self.at) < timestamp(self.paid_at)", "self.day < '2026-11-22'", "self.name < 'b'", "!(old.name == 'a' && self.name == 'b')",
		"self == old", "self.items.all(i, timestamp(i.at) >= timestamp(root.at))", "op == 'insert' || actor.application == 'x' || tag == null", "key.id == 1", "time > timestamp('2026-01-01T00:00:00Z')",
	} {
		set := mustLoad(t, map[string]string{"a/b.json": fmt.Sprintf(ruledSchema, rule)})
		if p := lines(set.Problems()); p != "" || set.For("a/b") == nil {
			t.Errorf("%s isn't loaded: %s", rule, p)
		}
	}
}
