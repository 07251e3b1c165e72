package alerts

import (
	"fmt"
	"strings"
	"time"

	"datawatch/pkg/event"
	"datawatch/validator/internal/alerts/life"
)

// words are what messages say in one language, but for the rules' own messages.
type words struct {
	language   string
	thousands  string
	date       string // of another day, in Go's layout
	severities map[event.Severity]string
	ops        map[event.Op]string
	units      [4]func(n int64) string // seconds, minutes, hours, days

	at, got, expected, key, since     string
	times                             func(span string) string // behind the count
	keys                              func(n string) string
	wrongNow                          func(n string) string
	mendedAt                          func(n, at string) string
	ruleError, value, others, runbook string
	is                                func(subject, predicate string) string
	predicates                        map[string]string // by keyword; where one is missing, the error's own message stands
	notLoaded, loaded, line           string
	stays                             func(at string) string
	unchecked                         string

	buttons      map[string]string    // by what they carry
	done         map[life.Verb]string // what who decided is told
	ackBy        func(user, at string) string
	mutedUntil   func(at, user string) string
	unknownAlert string
	hushed       string // it came without a sound

	quietSince, isBack  func(at string) string
	comesAndGoes        func(n, at string) string
	resolvedBy          func(user, at string) string
	acceptedUntil       func(at, user, reason string) string
	acceptedRows        func(n, at, user, reason string) string
	mutedForSchema      func(user string) string
	shareOf             func(percent string) string
	stillWrong          func(n, of string) string
	escalated, reminder func(n, since string) string
	folded              string
	incidents           map[life.Incident]func(n string) string
	streamInvalid       func(percent, stream string) string
	totals              func(n, of string) string
	more                func(n string) string
	troubles            troubleWords
	remarks             remarkWords
	answers             answerWords
	digest              digestWords
	decimal             string
}

func plural(one, many string) func(int64) string {
	return func(n int64) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %s", n, many)
	}
}

func unit(name string) func(int64) string { return plural(name, name) }

func wordsOf(language string) *words {
	if language == "vi" {
		return vietnamese
	}
	return english
}

// number writes a count by the language's habit: 1,240 or 1.240.
func (w *words) number(n int64) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteString(w.thousands)
		}
		b.WriteRune(d)
	}
	return b.String()
}

// span writes a length of time in its largest unit.
func (w *words) span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return w.units[0](int64(d / time.Second))
	case d < time.Hour:
		return w.units[1](int64(d / time.Minute))
	case d < 48*time.Hour:
		return w.units[2](int64(d / time.Hour))
	}
	return w.units[3](int64(d / (24 * time.Hour)))
}

// percent writes a share: 97%, 2.3%, under 0.1%.
func (w *words) percent(share float64) string {
	switch {
	case share >= 0.1:
		return fmt.Sprintf("%.0f%%", 100*share)
	case share < 0.001:
		return "< 0" + w.decimal + "1%"
	}
	return strings.ReplaceAll(fmt.Sprintf("%.1f%%", 100*share), ".", w.decimal)
}

// exactPercent writes a share near the whole, rounded down: 99.98%, 100% only where it is.
func (w *words) exactPercent(share float64) string {
	hundredths := int64(share * 10_000)
	if share >= 1 {
		return "100%"
	}
	return fmt.Sprintf("%d%s%02d%%", hundredths/100, w.decimal, hundredths%100)
}
