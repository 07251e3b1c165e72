package alerts

import (
	"bytes"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
)

// preWidth is how many characters of a line of <pre> a phone shows before it wraps.
const preWidth = 34

// maxSample is how many characters of a sample a message shows.
const maxSample = 600

// writer writes messages in one language, for one moment.
type writer struct {
	words  *words
	zone   *time.Location
	now    time.Time // whose day is today
	held   bool      // the group comes and goes, and is told of later
	quiet  time.Time // when the newest error was found
	listed bool      // among others in one message
}

// group is a group's message. wrong is how many of its rows are wrong now, share which part of its stream it is.
func (w writer) group(g *Group, wrong int64, share float64, c *life.Card, mention []string) telegram.Message {
	blocks := []telegram.Block{w.title(w.heading(g), g.Severity, c).Ranked(telegram.Head)}
	if line := w.counts(g, wrong, share, c); line != nil {
		blocks = append(blocks, telegram.Line(line...).Ranked(telegram.Head))
	}
	where := []string{place(g.Stream), w.words.severities[g.Severity]}
	if g.Owner != "" {
		where = append(where, g.Owner)
	}
	blocks = append(blocks, telegram.Line(telegram.Plain(strings.Join(append(where, mention...), " · "))))
	if g.Fingerprint != othersID {
		blocks = append(blocks, w.example(g)...)
	}
	m := telegram.NewMessage(append(blocks, w.notes(c)...)...)
	m.Buttons = w.buttons(g.Fingerprint, c)
	return m
}

// place is a stream as people name it.
func place(s event.Stream) string { return s.Source() + " / " + s.Readable() }

// title is the line that is the notification: what is wrong, and what became of it.
func (w writer) title(heading string, severity event.Severity, c *life.Card) telegram.Block {
	symbol, state := w.state(severity, c)
	spans := []telegram.Span{telegram.Plain(symbol + " "), telegram.Bold(heading)}
	if state != "" {
		spans = append(spans, telegram.Plain(" · "+state))
	}
	return telegram.Line(spans...)
}

// state is the symbol of where an alert is in its life, and the words for it.
func (w writer) state(severity event.Severity, c *life.Card) (symbol, text string) {
	at := func(t time.Time) string { return w.moment(t, "15:04") }
	switch {
	case c.Phase == life.Over && c.ResolvedBy != "":
		return "🟢", w.words.resolvedBy(c.ResolvedBy, at(c.OverAt))
	case c.Accepted != nil && len(c.Accepted.Keys) == 0:
		return "✅", w.words.acceptedUntil(at(c.Accepted.Until), c.Accepted.By, c.Accepted.Reason)
	case w.held:
		return "⚡", w.words.comesAndGoes(w.words.number(int64(len(c.Openings))), at(c.HeldUntil))
	case c.Phase == life.Over:
		return "🟢", ""
	case c.MutedFor != "":
		return "🔇", w.words.mutedForSchema(c.MutedBy)
	case c.MutedBy != "":
		return "🔇", w.words.mutedUntil(at(c.MutedUntil), c.MutedBy)
	case c.AckBy != "":
		return "👁", w.words.ackBy(c.AckBy, at(c.AckAt))
	case c.Phase == life.Quiet:
		return "⏸", w.words.quietSince(at(w.quiet))
	case !c.WasOver.IsZero():
		return "🔁", w.words.isBack(at(c.WasOver))
	case severity == event.Critical:
		return "🔴", ""
	}
	return "🟡", ""
}

// notes are that it came without a sound, and what people wrote in answer.
func (w writer) notes(c *life.Card) []telegram.Block {
	var blocks []telegram.Block
	if c.Hushed {
		blocks = append(blocks, telegram.Line(telegram.Italic(w.words.hushed)))
	}
	if c.Accepted != nil && len(c.Accepted.Keys) > 0 {
		text := w.words.acceptedRows(w.words.number(int64(len(c.Accepted.Keys))), w.moment(c.Accepted.Until, "15:04"), c.Accepted.By, c.Accepted.Reason)
		blocks = append(blocks, telegram.Line(telegram.Plain("✅ "+text)))
	}
	for _, n := range c.Notes {
		blocks = append(blocks, telegram.Line(telegram.Plain("✎ "+n.By+", "+w.moment(n.At, "15:04")+": "+telegram.Shorten(n.Text, 200))))
	}
	return blocks
}

// heading says what is wrong in one line.
func (w writer) heading(g *Group) string {
	e := g.Example
	switch {
	case g.Fingerprint == othersID:
		return w.words.others
	case g.Kind == event.RuleError:
		return w.words.ruleError + ": " + g.Rule
	case g.Kind == event.RuleViolation:
		return e.Message
	}
	word := e.Keyword
	if g.Kind != event.SchemaError {
		word = string(g.Kind)
	}
	predicate, translated := w.words.predicates[word]
	switch {
	case !translated && e.Keyword == "required":
		return w.phrase(e.Message)
	case e.Keyword == "required":
		return w.words.is(e.Expected, predicate)
	case !translated:
		predicate = w.phrase(e.Message)
	}
	return w.words.is(w.field(withoutIndexes(e.Place)), predicate)
}

// withoutIndexes is the place that all errors of a group share.
func withoutIndexes(place string) string {
	tokens := strings.Split(place, "/")
	return strings.Join(slices.DeleteFunc(tokens, func(t string) bool { return t != "" && strings.Trim(t, "0123456789") == "" }), "/")
}

// field is a place as people name it: total, items.0.price.
func (w writer) field(place string) string {
	if place == "" {
		return w.words.value
	}
	name := strings.ReplaceAll(strings.TrimPrefix(place, "/"), "/", ".")
	return strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")
}

// counts is the line that lives; a group of one event has none.
func (w writer) counts(g *Group, wrong int64, share float64, c *life.Card) []telegram.Span {
	separate := telegram.Plain(" · ")
	mended := c.Phase == life.Over && c.Rows && c.ResolvedBy == ""
	if g.Count == 1 && !mended {
		return nil
	}
	keys, exact := g.Keys.count()
	n := w.words.number(keys)
	if !exact {
		n = "≈ " + n
	}
	span := ""
	if lasted := g.Last.Sub(g.First); lasted >= time.Second {
		span = w.words.span(lasted)
	}
	line := []telegram.Span{
		telegram.Bold(w.words.number(g.Count)),
		telegram.Plain(w.words.times(span)),
	}
	if keys > 1 {
		line = append(line, separate, telegram.Plain(w.words.keys(n)))
	}
	if share > 0 {
		line = append(line, separate, telegram.Plain(w.words.shareOf(w.words.percent(share))))
	}
	line = append(line, separate, telegram.Plain(w.words.since+" "+w.moment(g.First, "15:04")))
	switch {
	case mended:
		line = append(line, separate, telegram.Bold(w.words.mendedAt(n, w.moment(c.OverAt, "15:04"))))
	case wrong > 0 && c.Phase == life.Quiet && wrong < keys:
		line = append(line, separate, telegram.Bold(w.words.stillWrong(w.words.number(wrong), n)))
	case wrong > 0:
		line = append(line, separate, telegram.Bold(w.words.wrongNow(w.words.number(wrong))))
	}
	return line
}

// moment is a time of today by its clock, another with its date.
func (w writer) moment(t time.Time, today string) string {
	t = t.In(w.zone)
	if t.Format(time.DateOnly) == w.now.In(w.zone).Format(time.DateOnly) {
		return t.Format(today)
	}
	return t.Format(w.words.date)
}

// between is from when to when something was.
func (w writer) between(from, to time.Time) string {
	layout := "15:04"
	if to.Sub(from) < 2*time.Minute {
		layout = "15:04:05"
	}
	return w.moment(from, layout) + " – " + w.moment(to, layout)
}

// example is the first error: where, what, of which row.
func (w writer) example(g *Group) []telegram.Block {
	e := g.Example
	var blocks []telegram.Block
	if g.Kind == event.RuleError {
		blocks = append(blocks, telegram.Line(telegram.Plain(w.phrase(e.Message))))
	} else if line := w.comparison(g.Kind, e); line != nil {
		blocks = append(blocks, telegram.Line(line...))
	}
	row := []telegram.Span{telegram.Plain(w.words.ops[e.Op] + " · " + w.moment(g.First, "15:04:05"))}
	if len(e.Key) > 0 && string(e.Key) != "null" {
		row = append([]telegram.Span{telegram.Plain(w.words.key + " "), telegram.Code(telegram.Shorten(keyText(e.Key), 64)), telegram.Plain(" · ")}, row...)
	}
	blocks = append(blocks, telegram.Line(row...))
	if by := w.by(e); by != "" {
		blocks = append(blocks, telegram.Line(telegram.Plain(by)))
	}
	if e.Sample != "" {
		blocks = append(blocks, telegram.Pre(e.Sample).Ranked(telegram.Detail))
	}
	last := path.Base(g.File)
	if len(e.SHA256) >= 4 {
		last += "@" + e.SHA256[:4]
	}
	if g.Rule != "" {
		last = g.Rule + " · " + last
	}
	line := []telegram.Span{telegram.Italic(last + " · " + g.Fingerprint)}
	if g.Runbook != "" {
		line = append(line, telegram.Plain(" · "), telegram.Link(w.words.runbook, g.Runbook))
	}
	return append(blocks, telegram.Line(line...))
}

// by says who made the change.
func (w writer) by(e Example) string {
	var parts []string
	if e.Transaction != "" {
		parts = append(parts, "tx "+e.Transaction)
	}
	if e.Actor != "" {
		parts = append(parts, e.Actor)
	}
	return strings.Join(parts, " · ")
}

func (w writer) comparison(kind event.ErrorKind, e Example) []telegram.Span {
	var parts [][]telegram.Span
	if kind != event.RuleViolation { // else they are the rule's own values
		e.Expected, e.Actual = w.phrase(e.Expected), w.phrase(e.Actual)
	}
	if e.Actual != "" {
		parts = append(parts, []telegram.Span{telegram.Plain(w.words.got + " "), telegram.Code(telegram.Shorten(e.Actual, 200))})
	}
	if e.Expected != "" && e.Keyword != "required" {
		parts = append(parts, []telegram.Span{telegram.Plain(w.words.expected + " "), telegram.Code(telegram.Shorten(e.Expected, 200))})
	}
	var line []telegram.Span
	if e.Place != "" {
		line = append(line, telegram.Plain(w.words.at+" "), telegram.Code(w.field(e.Place)))
		if len(parts) > 0 {
			line = append(line, telegram.Plain(": "))
		}
	}
	return append(line, telegram.Join(", ", parts...)...)
}

// layout breaks an object's members into lines that a phone doesn't wrap, where that can be.
func layout(sample json.RawMessage) string {
	if len(sample) == 0 || string(sample) == "null" {
		return ""
	}
	d := json.NewDecoder(bytes.NewReader(sample))
	d.UseNumber()
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return string(sample)
	}
	var b strings.Builder
	width := 1
	b.WriteByte('{')
	for first := true; d.More(); first = false {
		name, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return string(sample)
		}
		text, _ := name.(string)
		member := string(event.AppendString(nil, text)) + ": " + string(value)
		size := utf8.RuneCountInString(member) + 2
		if !first {
			b.WriteByte(',')
			if width+size > preWidth {
				b.WriteString("\n ")
				width = 1
			} else {
				b.WriteByte(' ')
			}
		}
		b.WriteString(member)
		width += size
	}
	return b.String() + "}"
}
