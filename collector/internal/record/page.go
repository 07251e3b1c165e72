package record

import (
	_ "embed"
	"html/template"
	"io"

	"datawatch/collector/internal/feed"
	"datawatch/pkg/event"
)

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"describe": Describe}).Parse(pageHTML))

// WriteHTML writes the recording as a page that people read: one file, without anything from elsewhere.
func (r *Recording) WriteHTML(w io.Writer) error { return page.Execute(w, r) }

// Describe is a change in one line, as the feed shows it.
func Describe(c Change) string {
	return feed.Describe(c.Stream, &event.Change{
		Op: c.Op, Key: c.Key, Before: c.Before, After: c.After, MovedTo: c.MovedTo, MovedFrom: c.MovedFrom,
	})
}
