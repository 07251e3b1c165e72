package feed

import (
	"encoding/json"
	"strconv"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/hide"
	"datawatch/pkg/telegram"
)

const (
	maxField  = 64 // UTF-16 units of one value
	maxFields = 16 // of one row
	maxTables = 12 // of one section of a digest
)

// writer puts transactions and digests into words.
type writer struct {
	words *catalogue
	zone  *time.Location
	cuts  *cuts // of the message that is being written; nil where nobody asks
}

// write makes the message for a viewer, with what was found wrong until now.
func (w writer) write(what work, v *viewer, found verdict, now time.Time) telegram.Message {
	var m telegram.Message
	w.cuts = &cuts{}
	switch {
	case what.digest != nil:
		m = w.digest(what.digest)
	case what.transaction.record != nil:
		m = w.record(what.transaction, now)
	default:
		m = w.transaction(what.transaction, v, now)
	}
	m.Blocks = append(m.Blocks, w.verdict(found)...)
	if what.digest != nil || w.cuts.any || m.Overflows() {
		m.Buttons = w.wholeButton(what.whole(v, now))
	}
	m.Silent = true
	m.More = func(n int) telegram.Block {
		return telegram.Line(telegram.Italic(fill(w.words.moreLine, w.words.number(n))))
	}
	return m
}

// clock is a time of the source to the millisecond, with its day where that isn't today's.
func (w writer) clock(at, now time.Time) string {
	at, now = at.In(w.zone), now.In(w.zone)
	text := at.Format("15:04:05.000")
	if at.YearDay() != now.YearDay() || at.Year() != now.Year() {
		text = at.Format(w.words.date) + " " + text
	}
	return text
}

func (w writer) transaction(t *transaction, v *viewer, now time.Time) telegram.Message {
	blocks := []telegram.Block{telegram.Line(
		telegram.Plain("🔹 "), telegram.Bold(t.source),
		telegram.Plain(" · "+w.words.some(t.changes(), w.words.change, w.words.changes)+" · "+w.clock(t.last, now)),
	).Ranked(telegram.Head)}
	for _, in := range t.tables {
		rows := in.shownTo(v)
		for _, r := range rows {
			blocks = append(blocks, telegram.Line(w.row(in.name, r)...))
		}
		if rest := in.beyond(rows); rest.changes() > 0 {
			w.cut()
			blocks = append(blocks, telegram.Line(
				telegram.Bold(in.name), telegram.Plain("  "+fill(w.words.andMore, w.tally(rest))),
			))
		}
	}
	if foot := w.foot(t); foot != "" {
		blocks = append(blocks, telegram.Line(telegram.Italic(foot)).Ranked(telegram.Head))
	}
	return telegram.NewMessage(blocks...)
}

// beyond counts the changes whose rows aren't among those shown.
func (t *table) beyond(rows []*row) tally {
	shown := tally{}
	for _, r := range rows {
		shown.count(r.change.Op, r.change.MovedTo != nil, r.change.MovedFrom != nil)
	}
	rest := t.tally
	rest.inserts -= shown.inserts
	rest.updates -= shown.updates
	rest.deletes -= shown.deletes
	rest.truncates -= shown.truncates
	rest.messages -= shown.messages
	return rest
}

// foot says who did it.
func (w writer) foot(t *transaction) string {
	var parts []string
	if t.id != "" {
		parts = append(parts, fill(w.words.tx, t.id))
	}
	if a := t.actor; a != nil {
		for _, who := range []string{a.Application, a.User, a.Client} {
			if who != "" {
				parts = append(parts, who)
				break
			}
		}
	}
	if t.tag != "" {
		parts = append(parts, fill(w.words.tag, t.tag))
	}
	return joinText(" · ", parts)
}

func joinText(separator string, parts []string) string {
	out := ""
	for i, p := range parts {
		if i > 0 {
			out += separator
		}
		out += telegram.Shorten(p, maxField)
	}
	return out
}

// row is one line: the table, the key, and what became of the row.
func (w writer) row(table string, r *row) []telegram.Span {
	c := r.change
	out := []telegram.Span{telegram.Bold(table)}
	add := func(spans ...telegram.Span) { out = append(out, spans...) }
	if key := w.key(c.Key); key != nil {
		add(telegram.Plain(" "))
		add(key...)
	}
	if c.MovedTo != nil {
		add(telegram.Plain(" → "))
		add(w.key(c.MovedTo)...)
		if r.moved != nil {
			add(spaced(w.changed(c.Before, r.moved.After, c.Key, r.moved.Incomplete, false))...)
		}
	} else {
		add(spaced(w.became(c))...)
	}
	return append(out, w.lookedUp(c)...)
}

// spaced sets what there is apart from what stands before.
func spaced(spans []telegram.Span) []telegram.Span {
	if len(spans) == 0 {
		return nil
	}
	return append([]telegram.Span{telegram.Plain("  ")}, spans...)
}

// became is what became of a row.
func (w writer) became(c *event.Change) []telegram.Span {
	signed := func(sign string, spans []telegram.Span) []telegram.Span {
		if len(spans) == 0 {
			return []telegram.Span{telegram.Plain(sign)}
		}
		return append([]telegram.Span{telegram.Plain(sign + " ")}, spans...)
	}
	switch {
	case c.Op == event.Message:
		return w.values(c.After, nil)
	case c.Op == event.Insert:
		return signed("+", w.values(c.After, c.Key))
	case c.Op == event.Delete && c.Before == nil:
		return []telegram.Span{telegram.Plain("− (" + w.words.goneUnknown + ")")}
	case c.Op == event.Delete:
		return signed("−", w.values(c.Before, c.Key))
	case c.Op == event.Truncate:
		text := w.words.emptied
		if c.Origin.Reason != "" {
			text += " · " + c.Origin.Reason
		}
		return []telegram.Span{telegram.Plain(text)}
	}
	return w.changed(c.Before, c.After, c.Key, c.Incomplete, true)
}

// lookedUp says that the row isn't that of the change.
func (w writer) lookedUp(c *event.Change) []telegram.Span {
	if c.Incomplete == nil || c.Incomplete.After == "" {
		return nil
	}
	note := w.words.laterImage
	if c.Incomplete.After == "missing" {
		note = w.words.missingImage
	}
	return []telegram.Span{telegram.Plain(" (" + note + ")")}
}

// key is a key's value, or its members where there are several.
func (w writer) key(key json.RawMessage) []telegram.Span {
	if isNull(key) {
		return nil
	}
	members, err := membersOf(key)
	switch {
	case err != nil:
		return []telegram.Span{w.value(key)}
	case len(members) == 1:
		return []telegram.Span{w.value(members[0].value)}
	}
	var out []telegram.Span
	for i, m := range members {
		if i > 0 {
			out = append(out, telegram.Plain(" "))
		}
		out = append(out, telegram.Plain(m.name+" "), w.value(m.value))
	}
	return out
}

// values lists a row's fields: "status new, amount 149.98".
func (w writer) values(row, key json.RawMessage) []telegram.Span {
	fields, err := valueFields(row, key)
	if err != nil {
		return []telegram.Span{w.value(row)}
	}
	return w.list(fields, func(f field) []telegram.Span {
		return []telegram.Span{telegram.Plain(f.path + " "), w.value(f.new)}
	})
}

// changed lists what an update changed. told says that even nothing is worth a word.
func (w writer) changed(before, after, key json.RawMessage, incomplete *event.Incomplete, told bool) []telegram.Span {
	if before == nil {
		fields, err := valueFields(after, key)
		if err != nil || len(fields) == 0 {
			return []telegram.Span{telegram.Plain("(" + w.words.beforeUnknown + ")")}
		}
		spans := w.list(fields, func(f field) []telegram.Span {
			return []telegram.Span{telegram.Plain(f.path + " → "), w.value(f.new)}
		})
		return append(spans, telegram.Plain(" ("+w.words.beforeUnknown+")"))
	}
	fields, err := changedFields(before, after, incomplete)
	keys := namesOf(key)
	var shown []field
	for _, f := range fields {
		if told || !keys[f.path] { // the key of a row that moved stands before
			shown = append(shown, f)
		}
	}
	switch {
	case err != nil:
		return []telegram.Span{w.value(before), telegram.Plain(" → "), w.value(after)}
	case len(shown) == 0 && !told:
		return nil
	case len(shown) == 0:
		return []telegram.Span{telegram.Plain("(" + w.words.nothing + ")")}
	}
	return w.list(shown, w.change)
}

func (w writer) change(f field) []telegram.Span {
	out := []telegram.Span{telegram.Plain(f.path + " "), w.value(f.old), telegram.Plain(" → "), w.value(f.new)}
	if d, ok := difference(string(f.old), string(f.new)); ok {
		out = append(out, telegram.Plain("  ("+d+")"))
	}
	return out
}

func (w writer) list(fields []field, show func(field) []telegram.Span) []telegram.Span {
	var out []telegram.Span
	for i, f := range fields {
		if i > 0 {
			out = append(out, telegram.Plain(", "))
		}
		if i == maxFields {
			w.cut()
			return append(out, telegram.Plain(fill(w.words.andMore, w.words.number(len(fields)-i))))
		}
		f.path = telegram.Shorten(f.path, maxField)
		out = append(out, show(f)...)
	}
	return out
}

// value is a value to be copied; null and what isn't there are words, so that nobody takes them for a text.
func (w writer) value(value json.RawMessage) telegram.Span {
	if value == nil {
		return telegram.Plain("∅")
	}
	if isNull(value) {
		return telegram.Plain("null")
	}
	text, ok := textOf(value)
	switch {
	case text == hide.Changed:
		text = hide.Mark
	case !ok:
		text = inOneLine(value[:min(len(value), maxPretty)])
	case text == "" || text[0] == ' ' || text[len(text)-1] == ' ':
		text = strconv.Quote(text)
	}
	return telegram.Code(w.shorten(text))
}

// tally is "+1,240 ~30 −2"; messages come first and have no sign.
func (w writer) tally(t tally) string {
	out := ""
	add := func(sign string, n int) {
		if n > 0 {
			if out != "" {
				out += " "
			}
			out += sign + w.words.number(n)
		}
	}
	add("", t.messages)
	add("+", t.inserts)
	add("~", t.updates)
	add("−", t.deletes)
	add("⌫", t.truncates)
	return out
}
