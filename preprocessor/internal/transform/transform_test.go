package transform

import (
	"errors"
	"testing"

	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
)

func change(op event.Op, before, after string) *event.Clean {
	c := &event.Change{Op: op, Key: []byte(`{"id":1}`), MovedFrom: []byte(`{"id":0}`), Origin: event.Origin{Kind: event.Postgres}}
	if before != "" {
		c.Before = []byte(before)
	}
	if after != "" {
		c.After = []byte(after)
	}
	return &event.Clean{ID: "shop-db/1", Stream: "shop-db/public.orders", Type: event.ChangeType, Time: "2026-11-22T23:59:01.5Z", Change: c}
}

func TestRulesDoWhatTheySay(t *testing.T) {
	const stream = "shop-db/public.*"
	row := `{"id":1,"customer":"Đỗ","total":0.30}`
	for name, test := range map[string]struct {
		rules  []Rule
		event  *event.Clean
		drop   string
		class  normalize.Class
		stream event.Stream
		key    string
	}{
		"another stream":            {[]Rule{{Stream: "shop-db/other.*", Drop: true}}, change("insert", "", row), "", "", "shop-db/public.orders", `{"id":1}`},
		"drop":                      {[]Rule{{Stream: stream, Drop: true}}, change("insert", "", row), Dropped, "", "", ""},
		"rename, then by that name": {[]Rule{{Stream: stream, Rename: "shop-db/o"}, {Stream: "shop-db/o", Key: []string{"customer"}}}, change("insert", "", row), "", "", "shop-db/o", `{"customer":"Đỗ"}`},
		"filter keeps":              {[]Rule{{Stream: stream, Filter: `self.total == 0.1 + 0.2 && op == "insert"`}}, change("insert", "", row), "", "", "shop-db/public.orders", `{"id":1}`},
		"filter drops":              {[]Rule{{Stream: stream, Filter: "self.total > 1"}}, change("insert", "", row), Filtered, "", "", ""},
		"a delete by its row":       {[]Rule{{Stream: stream, Filter: "self.total > 1"}}, change("delete", row, ""), Filtered, "", "", ""},
		"a delete without its row":  {[]Rule{{Stream: stream, Filter: "self.total > 1"}}, change("delete", "", ""), "", "", "shop-db/public.orders", `{"id":1}`},
		"no old to ask":             {[]Rule{{Stream: stream, Filter: "old.total > 1"}}, change("insert", "", row), "", "", "shop-db/public.orders", `{"id":1}`},
		"a filter that fails":       {[]Rule{{Stream: stream, Filter: "self.nothing > 1"}}, change("insert", "", row), "", classFilter, "", ""},
		"a key of two":              {[]Rule{{Stream: stream, Key: []string{"total", "customer"}}}, change("delete", row, ""), "", "", "shop-db/public.orders", `{"customer":"Đỗ","total":0.30}`},
		"a key that isn't there":    {[]Rule{{Stream: stream, Key: []string{"nothing"}}}, change("insert", "", row), "", classKey, "", ""},
		"no row for a key":          {[]Rule{{Stream: stream, Key: []string{"id"}}}, change("delete", "", ""), "", classKey, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := New(test.rules)
			if err != nil {
				t.Fatal(err)
			}
			drop, err := rules.Apply(t.Context(), test.event)
			if wrong, ok := errors.AsType[*normalize.Error](err); ok != (test.class != "") || ok && wrong.Class != test.class {
				t.Fatalf("%v", err)
			}
			if drop != test.drop {
				t.Fatalf("drop %q, not %q", drop, test.drop)
			}
			if test.class == "" && drop == "" && (test.event.Stream != test.stream || string(test.event.Change.Key) != test.key) {
				t.Errorf("%s %s", test.event.Stream, test.event.Change.Key)
			}
		})
	}
}

func TestGapsAreOfTheirStreamButHaveNoRow(t *testing.T) {
	rules, err := New([]Rule{{Stream: "a/b", Filter: "false"}, {Stream: "a/b", Key: []string{"x"}}, {Stream: "a/b", Rename: "a/c"}})
	if err != nil {
		t.Fatal(err)
	}
	gap := &event.Clean{Stream: "a/b", Type: event.GapType, Gap: &event.Gap{}}
	if drop, err := rules.Apply(t.Context(), gap); drop != "" || err != nil || gap.Stream != "a/c" {
		t.Errorf("%q %v %s", drop, err, gap.Stream)
	}
}
