package feed

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

// record is the message of one Kafka record.
func (w writer) record(t *transaction, now time.Time) telegram.Message {
	c := t.record.Change
	place := telegram.Plain(fill(w.words.place, strconv.Itoa(int(c.Origin.Partition)), strconv.FormatInt(c.Origin.Offset, 10)))
	key := []telegram.Span{telegram.Plain(w.words.noKey)}
	if !isNull(c.Key) {
		key = []telegram.Span{telegram.Plain(w.words.key + " "), w.value(c.Key)}
	}
	blocks := []telegram.Block{
		telegram.Line(
			telegram.Plain("🔸 "), telegram.Bold(c.Origin.Topic),
			telegram.Plain(" · "+t.source+" · "+w.clock(t.last, now)),
		).Ranked(telegram.Head),
		telegram.Line(telegram.Join(" · ", key, []telegram.Span{place})...).Ranked(telegram.Head),
		w.recordValue(c),
	}
	if c.Origin.Tag != "" {
		blocks = append(blocks, telegram.Line(telegram.Italic(fill(w.words.tag, telegram.Shorten(c.Origin.Tag, maxField)))))
	}
	return telegram.NewMessage(blocks...)
}

// recordValue is what a record says: a value as it is, or of a change what became of the row.
func (w writer) recordValue(c *event.Change) telegram.Block {
	switch {
	case c.Op == event.Delete && c.Before == nil:
		return telegram.Line(telegram.Plain(w.words.tombstone))
	case c.Op != event.Message: // a change envelope's
		return telegram.Line(append(w.became(c), w.lookedUp(c)...)...)
	case c.Encoding != "":
		text, _ := textOf(c.After)
		w.cut()
		size := base64.StdEncoding.DecodedLen(len(text)) - strings.Count(text, "=")
		return telegram.Line(telegram.Plain(fill(w.words.bytesNotText, w.words.number(size))))
	}
	text, cut := pretty(c.After)
	if cut {
		w.cut()
	}
	if text == "" {
		return telegram.Line(telegram.Code(`""`))
	}
	return telegram.Pre(text)
}
