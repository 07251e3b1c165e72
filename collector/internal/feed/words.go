package feed

import (
	"strconv"
	"strings"
	"time"
)

// catalogue is the feed in one language. Forms with %s take a number or a name that was put into the language's form.
type catalogue struct {
	language string
	group    string // between thousands

	change, changes           string
	transaction, transactions string // "… in 60 s"
	record, records           string

	beforeUnknown string // of an update
	goneUnknown   string // of a delete
	nothing       string // an update that changed nothing
	emptied       string // a truncate
	laterImage    string // the document is as it was later
	missingImage  string // the document was gone when it was looked up

	andMore  string // rows, fields or tables that aren't shown
	moreLine string // lines that didn't fit into the message
	tx, tag  string

	expected string // before what a value should be

	key, noKey    string
	place         string // partition, offset
	tombstone     string
	bytesNotText  string
	tooMuch, lost string
	whole         string // the button

	left, leftOne, leftChanges string

	brokenChat, brokenMeans, since, do string

	seconds, minutes, hours, days string
	date                          string // Go's layout of a day before a time
}

var catalogues = map[string]*catalogue{"en": &english, "vi": &vietnamese}

// Number is a count in a language's form.
func Number(language string, n int) string { return catalogues[language].number(n) }

// Span is a length of time in a language, in the one unit that says enough.
func Span(language string, d time.Duration) string { return catalogues[language].span(d) }

// number is a count in the language's form.
func (c *catalogue) number(n int) string {
	digits := strconv.Itoa(n)
	var out strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			out.WriteString(c.group)
		}
		out.WriteRune(d)
	}
	return out.String()
}

// some fills a count into a form for one or for many.
func (c *catalogue) some(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return fill(many, c.number(n))
}

// span is a time in the one unit that says enough.
func (c *catalogue) span(d time.Duration) string {
	seconds := max(int((d+500*time.Millisecond)/time.Second), 1)
	switch {
	case seconds < 120:
		return fill(c.seconds, c.number(seconds))
	case seconds < 7200:
		return fill(c.minutes, c.number((seconds+30)/60))
	case seconds < 48*3600:
		return fill(c.hours, c.number((seconds+1800)/3600))
	default:
		return fill(c.days, c.number((seconds+12*3600)/(24*3600)))
	}
}

// fill puts values in the places of %s.
func fill(form string, values ...string) string {
	for _, v := range values {
		form = strings.Replace(form, "%s", v, 1)
	}
	return form
}
