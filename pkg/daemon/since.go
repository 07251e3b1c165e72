package daemon

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SinceForms is what ParseSince takes, for help and errors.
const SinceForms = "2h, 7d, 2026-11-22 or 2026-11-22T08:00:00Z"

// ParseSince reads what a --since says: a time, a date (UTC) or a span before now.
func ParseSince(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	span, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		span = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || span <= 0 {
		return time.Time{}, fmt.Errorf("%q is neither a time nor a span", text)
	}
	return now.Add(-span), nil
}
