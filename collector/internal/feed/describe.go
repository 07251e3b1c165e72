package feed

import (
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

// Describe is a change in one line of plain English, as the feed would show it: "orders 1042  status new → paid".
func Describe(stream event.Stream, c *event.Change) string {
	w := writer{words: &english, zone: time.UTC}
	return telegram.NewMessage(telegram.Line(w.row(shortName(stream), &row{change: c})...)).Plain()
}
