package judge

import (
	"testing"
	"time"

	"datawatch/pkg/event"
)

func TestTimeOfAChangeIsReadAsTheStandardLibraryReadsIt(t *testing.T) {
	fallback := time.Unix(1, 0).UTC()
	for _, text := range []string{
		"2026-11-22T23:59:01Z", "2026-11-22T23:59:01.1Z", "2026-11-22T23:59:01.123456Z", "2026-11-22T23:59:01.123456789Z", "2026-11-22T23:59:01.1234567891Z",
		"2026-02-28T00:00:00Z", "2026-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2026-11-31T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-11-22T24:00:00Z", "2026-11-22T23:60:00Z", "2026-11-22T23:59:60Z", "2026-11-22T23:59:01.Z", "2026-11-22T23:59:01,5Z", "2026-11-22 23:59:01Z",
		"2026-11-22T23:59:01+07:00", "2026-11-22T23:59:01.5+07:00", "2026-11-22T23:59:0xZ", "2026-11-22T23:59:01.x5Z", "0000-01-01T00:00:00Z", "9999-12-28T23:59:59.999999999Z", "", "Z",
		"2026-11-2\xb22T23:59:01Z", "-026-11-22T23:59:01Z",
	} {
		want := fallback
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			want = at
		}
		if got := changedAt(text, event.Update, fallback); !got.Equal(want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if !changedAt("2026-11-22T23:59:01Z", event.Read, fallback).IsZero() {
		t.Error("a row that was read has no delay")
	}
}

// TestEveryDayIsReadAsTheStandardLibraryReadsIt, or left to it.
func TestEveryDayIsReadAsTheStandardLibraryReadsIt(t *testing.T) {
	for day := time.Date(1890, 1, 1, 23, 4, 5, 678, time.UTC); day.Year() < 2110; day = day.AddDate(0, 0, 1) {
		text := day.Format(time.RFC3339Nano)
		if got, ok := usual(text); ok != (day.Day() <= 28) || ok && !got.Equal(day) {
			t.Fatalf("%s: %s, %t", text, got, ok)
		}
	}
}
