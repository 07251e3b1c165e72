package feed

import (
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
	"datawatch/pkg/telegram"
)

func TestDifferenceIsExact(t *testing.T) {
	cases := []struct{ before, after, want string }{
		{"500.00", "350.02", "−149.98"},
		{"0.1", "0.3", "+0.2"},
		{"1", "1.00", ""},
		{"-5", "5", "+10"},
		{"0.10", "0.05", "−0.05"},
		{"12345678901234567890.123456789", "12345678901234567890.123456790", "+0.000000001"},
		{"1e3", "5", ""},
		{strings.Repeat("9", 41), "1", ""},
		{`"1"`, `"2"`, ""},
		{"null", "1", ""},
		{"", "1", ""},
		{"true", "1", ""},
	}
	for _, c := range cases {
		if got, _ := difference(c.before, c.after); got != c.want {
			t.Errorf("from %s to %s: %q, want %q", c.before, c.after, got, c.want)
		}
	}
}

func TestPrettyJSONFitsAPhone(t *testing.T) {
	values := []string{
		`{"a":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15],"nested":{"deep":{"deeper":{"deepest":{"name":"x","n":[1,{"y":2}]}}}}}`,
		`[[1,2],[3,4],{"x":{"y":{"z":[1,2,3,4,5,6,7,8,9]}}}]`,
		`{}`, `[]`, `{"a":{}}`, `12`, `null`,
	}
	for _, v := range values {
		text, _ := pretty(json.RawMessage(v))
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > prettyWidth || strings.HasSuffix(line, " \n") {
				t.Errorf("%d characters: %q", n, line)
			}
		}
		var compact any
		if err := json.Unmarshal([]byte(text), &compact); err != nil {
			t.Errorf("%s isn't %s any more: %v", text, v, err)
		}
	}
	if text, cut := pretty(json.RawMessage(`[` + strings.Repeat(`"0123456789",`, 999) + `1]`)); !cut || strings.Count(text, "\n") > maxLines || !strings.HasSuffix(text, ellipsis) {
		t.Errorf("a long value: %q", text)
	}
}

const ellipsis = "…"

func TestNumbersAndSpansFollowTheLanguage(t *testing.T) {
	for n, want := range map[int][2]string{0: {"0", "0"}, 999: {"999", "999"}, 1842: {"1,842", "1.842"}, 1_240_000: {"1,240,000", "1.240.000"}} {
		if got := [2]string{english.number(n), vietnamese.number(n)}; got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "1 s", 60 * time.Second: "60 s", 4 * time.Minute: "4 min", 3 * time.Hour: "3 h"} {
		if got := english.span(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestEveryCatalogueHasEveryWord(t *testing.T) {
	want := reflect.ValueOf(english)
	for language, c := range catalogues {
		got := reflect.ValueOf(*c)
		for i := range got.NumField() {
			name, form := got.Type().Field(i).Name, got.Field(i).String()
			if form == "" {
				t.Errorf("%s: %s is missing", language, name)
			}
			if strings.Count(form, "%s") != strings.Count(want.Field(i).String(), "%s") {
				t.Errorf("%s: %s is %q, in English %q", language, name, form, want.Field(i).String())
			}
		}
	}
}

// FuzzAnyRecordMakesAMessage gives the feed any key, value and rows, as normalizing leaves them.
func FuzzAnyRecordMakesAMessage(f *testing.F) {
	f.Add([]byte("k"), []byte(`{"a":[1,{"b":"</pre>"}]}`), `{"id":1,"v":{"x":1}}`, `{"id":1,"v":{"y":2}}`)
	f.Add([]byte{0xff}, []byte{0xff, 0xfe}, `{"id":1}`, `{"id":1}`)
	f.Add([]byte(`{"a":1}`), []byte("a\u2028<b>"), `{}`, `{"id":null}`)
	normalizer := normalize.New(normalize.Options{})
	f.Fuzz(func(t *testing.T, key, value []byte, before, after string) {
		var works []work
		viewers := newAudience(telegram.Chat{}, newBoard())
		everybody := viewers.of(telegram.Chat{})
		a := newAssembler(normalizer, viewers, open{}, time.Second, slog.New(slog.DiscardHandler), func(tx *transaction) { works = append(works, work{transaction: tx}) })
		r := recorded("topic", 0, 1, key, value)
		a.take(t.Context(), &r)
		if json.Valid([]byte(before)) && json.Valid([]byte(after)) {
			clean := func(op event.Op, before, after string) *event.Clean {
				return &event.Clean{Stream: "shop-db/public.t", Type: event.ChangeType, Change: &event.Change{
					Op: op, Key: rawJSON(after), Before: rawJSON(before), After: rawJSON(after), Origin: event.Origin{Kind: event.Postgres},
				}}
			}
			tx := &transaction{source: "shop-db", id: "1"}
			tx.add(clean(event.Update, before, after), nil)
			tx.add(clean(event.Insert, "", after), nil)
			tx.add(clean(event.Delete, before, ""), nil)
			works = append(works, work{transaction: tx})
		}
		for _, w := range works {
			m := writer{words: &english, zone: time.UTC}.write(w, everybody, verdict{}, at)
			if m.HTML() == "" || !utf8.ValidString(m.HTML()) {
				t.Fatalf("%q", m.HTML())
			}
			if n := utf8.RuneCountInString(m.Plain()); n > 4096 {
				t.Fatalf("%d characters", n)
			}
			if lines := strings.Count(m.Plain(), "\n"); w.transaction.record == nil && lines > 4 {
				t.Fatalf("a value made a line: %q", m.Plain())
			}
		}
	})
}

var _ Sender = (*telegram.Client)(nil)
