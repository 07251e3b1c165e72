package feed

import (
	"strings"

	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
)

// verdict is a line for each finding: "✗ total-adds-up: 149.98, expected 149.97".
func (w writer) verdict(v verdict) []telegram.Block {
	var blocks []telegram.Block
	for _, f := range v.findings {
		blocks = append(blocks, telegram.Line(append([]telegram.Span{telegram.Plain("✗ ")}, w.finding(f)...)...).Ranked(telegram.Head))
	}
	if v.beyond > 0 {
		blocks = append(blocks, telegram.Line(telegram.Plain("✗ "+fill(w.words.andMore, w.words.number(v.beyond)))).Ranked(telegram.Head))
	}
	return blocks
}

// finding is what was found, where it compared values, or in its own words.
func (w writer) finding(f Finding) []telegram.Span {
	var out []telegram.Span
	if f.Rule != "" { // what is wrong with the row as a whole has no place in it
		out = []telegram.Span{telegram.Bold(telegram.Shorten(f.Rule, maxField)), telegram.Plain(": ")}
	}
	if !f.Own {
		f.Message, f.Actual, f.Expected = w.phrase(f.Message), w.phrase(f.Actual), w.phrase(f.Expected)
	}
	code := func(text string) telegram.Span { return telegram.Code(telegram.Shorten(text, maxField)) }
	switch {
	case f.Actual != "" && f.Expected != "":
		return append(out, code(f.Actual), telegram.Plain(", "+w.words.expected+" "), code(f.Expected))
	case f.Actual != "":
		return append(out, code(f.Actual), telegram.Plain("  "+telegram.Shorten(f.Message, maxMessage)))
	default:
		return append(out, telegram.Plain(telegram.Shorten(f.Message, maxMessage)))
	}
}

// phrase is what the validator finds wrong, in the feed's language.
func (w writer) phrase(english string) string { return reason.Phrase(english).In(w.words.language) }

// maxMessage is how much of a finding's own words is shown, in UTF-16 units.
const maxMessage = 160

// verdictAlone is a verdict on what was summed up, for somebody who follows it.
func (w writer) verdictAlone(t *transaction, v verdict) telegram.Message {
	var tables []string
	for _, in := range t.tables {
		tables = append(tables, in.name)
	}
	blocks := append([]telegram.Block{telegram.Line(
		telegram.Plain("✗ "), telegram.Bold(t.source), telegram.Plain(" · "+telegram.Shorten(strings.Join(tables, ", "), maxMessage)),
	).Ranked(telegram.Head)}, w.verdict(v)...)
	if foot := w.foot(t); foot != "" {
		blocks = append(blocks, telegram.Line(telegram.Italic(foot)).Ranked(telegram.Head))
	}
	m := telegram.NewMessage(blocks...)
	m.Silent = true
	return m
}
