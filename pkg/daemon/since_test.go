package daemon

import (
	"testing"
	"time"
)

func TestSinceIsATimeADayOrASpan(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2h":                   now.Add(-2 * time.Hour),
		"7d":                   now.AddDate(0, 0, -7),
		"2026-11-22":           time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
		"2026-11-22T08:00:00Z": time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC),
	} {
		if got, err := ParseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "-2h", "0d", "xd"} {
		if got, err := ParseSince(text, now); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}
