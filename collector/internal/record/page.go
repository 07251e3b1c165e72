package record

import (
	"bytes"
	_ "embed"
	"errors"
	"html/template"

	"datawatch/collector/internal/feed"
	"datawatch/pkg/event"
)

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"describe": Describe}).Parse(pageHTML))

// shownPage is a recording of which the page shows the first transactions.
type shownPage struct {
	*Recording
	Shown []Transaction
	Left  int // transactions that the page has no room for
}

// HTML is the recording as a page that people read: one file, without anything from elsewhere. A page that would be larger
// than most bytes shows as many of the first transactions as it can, and says how many more there are.
func (r *Recording) HTML(most int) ([]byte, error) {
	shown := len(r.Transactions)
	for {
		var text bytes.Buffer
		err := page.Execute(&bounded{&text, most}, shownPage{r, r.Transactions[:shown], len(r.Transactions) - shown})
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

// Describe is a change in one line, as the feed shows it.
func Describe(c Change) string {
	return feed.Describe(c.Stream, &event.Change{
		Op: c.Op, Key: c.Key, Before: c.Before, After: c.After, MovedTo: c.MovedTo, MovedFrom: c.MovedFrom,
	})
}
