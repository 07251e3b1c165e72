package record

import (
	"bytes"
	_ "embed"
	"errors"
	"html/template"

	"datawatch/collector/internal/feed"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("page").Parse(pageHTML))

// shownPage is a recording of which the page shows the first transactions, in one language.
type shownPage struct {
	*Recording
	Shown []Transaction
	left  int // transactions that the page has no room for
	words *words
}

// HTML is the recording as a page that people read, in a language ("" is English): one file, without anything from
// elsewhere. A page that would be larger than most bytes shows as many of the first transactions as it can, and says how many
// more there are.
func (r *Recording) HTML(most int, language string) ([]byte, error) {
	shown := len(r.Transactions)
	for {
		var text bytes.Buffer
		err := page.Execute(&bounded{&text, most}, shownPage{r, r.Transactions[:shown], len(r.Transactions) - shown, wordsIn(language)})
		if err == nil || !errors.Is(err, errTooLarge) || shown == 0 {
			return text.Bytes(), err
		}
		shown /= 2
	}
}

var errTooLarge = errors.New("the page is too large")

type bounded struct {
	text *bytes.Buffer
	most int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.text.Len()+len(p) > b.most {
		return 0, errTooLarge
	}
	return b.text.Write(p)
}

// Language is the page's.
func (p shownPage) Language() string { return p.words.language }

// Title names the page where the recording has no name.
func (p shownPage) Title() string { return p.words.title }

// Heading stands above the page where the recording has no name.
func (p shownPage) Heading() string { return p.words.heading }

// Sum is how much the recording holds: "3 changes in 2 transactions and records · 1 rule broken".
func (p shownPage) Sum() string {
	w := p.words
	text := w.some(p.Changes(), w.changesOne, w.changes) + " " + w.some(len(p.Transactions), w.transactionsOne, w.transactions)
	if n := p.Broken(); n > 0 {
		text += " · " + w.some(n, w.brokenOne, w.broken)
	}
	if p.Beyond > 0 {
		text += " · " + w.some(p.Beyond, w.beyondOne, w.beyond)
	}
	return text
}

// Left is how much more there is than the page shows, "" where there isn't.
func (p shownPage) Left() string {
	if p.left == 0 {
		return ""
	}
	return p.words.some(p.left, p.words.leftOne, p.words.left)
}

// Tagged is a tag, as a tag.
func (p shownPage) Tagged(tag string) string { return p.words.tag + " " + tag }

// Op is what was done.
func (p shownPage) Op(op event.Op) string { return p.words.ops[op] }

// Describe is a change in one line.
func (p shownPage) Describe(c Change) string { return describe(c, p.words.language) }

// Says is what was found wrong: a rule's own message, or a phrase of the validator's.
func (p shownPage) Says(b Broken) string { return p.Value(b, b.Message) }

// Value is what there is, or should be, in the words of who found it.
func (p shownPage) Value(b Broken, text string) string {
	if b.Own {
		return text
	}
	return reason.Phrase(text).In(p.words.language)
}

// Should is what a value should be.
func (p shownPage) Should() string { return p.words.expected }

// Describe is a change in one line of English, as the feed shows it.
func Describe(c Change) string { return describe(c, "en") }

func describe(c Change, language string) string {
	return feed.Describe(c.Stream, &event.Change{
		Op: c.Op, Key: c.Key, Before: c.Before, After: c.After, MovedTo: c.MovedTo, MovedFrom: c.MovedFrom,
	}, language)
}
