package feed

import (
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

// Describe is a change in one line, as the feed would show it in a language: "orders 1042  status new → paid".
func Describe(stream event.Stream, c *event.Change, language string) string {
	w := writer{words: catalogues[language], zone: time.UTC}
	return telegram.NewMessage(telegram.Line(w.row(shortName(stream), &row{change: c})...)).Plain()
}
