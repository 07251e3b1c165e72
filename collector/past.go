package collector

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// sinceHelp is what --since takes.
const sinceHelp = "2h, 7d, 2026-11-22 or 2026-11-22T08:00:00Z"

// parseSince reads a time, a date (UTC) or a span before now.
func parseSince(text string, now time.Time) (time.Time, error) {
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
		return time.Time{}, fmt.Errorf("--since: %q is neither a time nor a span: %s", text, sinceHelp)
	}
	return now.Add(-span), nil
}
