package chat

import (
	"fmt"
	"strings"
	"time"

	"datawatch/collector/internal/feed"
	"datawatch/collector/internal/record"
	"datawatch/pkg/control"
)

func (d *Desk) number(n int) string { return feed.Number(d.o.Language, n) }

// some fills a count into a form for one or for many.
func (d *Desk) some(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprintf(many, d.number(n))
}

// more says how many lines there are that aren't shown.
func (d *Desk) more(n int) string { return fmt.Sprintf(d.words.more, d.number(n)) }

// changes is how much of a stream changed, and when last.
func (d *Desk) changes(c control.Changes) string {
	form := d.words.changes
	if c.Count == 1 {
		form = d.words.change
	}
	return fmt.Sprintf(form, d.number(int(c.Count)), d.clock(c.Last))
}

// counted is how much a recording holds.
func (d *Desk) counted(r *record.Recording) string {
	switch n := r.Changes(); {
	case n == 1:
		return fmt.Sprintf(d.words.recordedOne, d.number(n))
	case len(r.Transactions) == 1:
		return fmt.Sprintf(d.words.recordedAtOnce, d.number(n))
	default:
		return fmt.Sprintf(d.words.recorded, d.number(n), d.number(len(r.Transactions)))
	}
}

// megabytes is a size as people know that of files.
func (d *Desk) megabytes(bytes int) string { return d.decimal(float64(bytes) / 1e6) }

// span is a length of time in the one unit that says enough; of less than ten seconds tenths are told.
func (d *Desk) span(t time.Duration) string {
	if t < 10*time.Second {
		return fmt.Sprintf(d.words.seconds, d.decimal(t.Seconds()))
	}
	return feed.Span(d.o.Language, t)
}

// decimal is a number with one decimal where it is small, in the language's form.
func (d *Desk) decimal(n float64) string {
	if n >= 10 {
		return d.number(int(n + 0.5))
	}
	return strings.Replace(fmt.Sprintf("%.1f", n), ".", d.words.point, 1)
}
