package telegram

import "strings"

// Rank says how long a block stays in a message that is too long: the lowest go first, of one rank the last first.
type Rank int

// The ranks.
const (
	Detail Rank = iota - 1 // goes first
	Body                   // a block's rank unless it is told otherwise
	Head                   // goes last; the first block of a message never goes
)

// Block is a line, or a preformatted passage; it stays in a message as a whole or not at all.
type Block struct {
	rank  Rank
	spans []Span
	pre   string
}

// Line is one line.
func Line(spans ...Span) Block { return Block{spans: spans} }

// Blank is an empty line.
func Blank() Block { return Block{rank: Detail} }

// Pre is a preformatted passage, whose line breaks and spaces stay. A phone shows about 34 characters a line.
func Pre(text string) Block { return Block{pre: strings.Trim(text, "\n")} }

// Ranked is the block with another rank.
func (b Block) Ranked(r Rank) Block {
	b.rank = r
	return b
}

func (b Block) appendHTML(out *strings.Builder) {
	if b.pre != "" {
		out.WriteString("<pre>" + escape(clean(b.pre)) + "</pre>")
		return
	}
	for _, s := range b.spans {
		s.appendHTML(out)
	}
}

func (b Block) appendPlain(out *strings.Builder) {
	if b.pre != "" {
		out.WriteString(clean(b.pre))
		return
	}
	for _, s := range b.spans {
		out.WriteString(oneLine(s.text))
		if s.look == link {
			out.WriteString(" (" + clean(s.url) + ")")
		}
	}
}

// units is the length of what is read, which is what Telegram bounds; addresses of links and tags don't count. Plain text
// shows the addresses too, so the longer of both is taken: a message that falls back to plain text still fits.
func (b Block) units() int {
	var out strings.Builder
	b.appendPlain(&out)
	return units(out.String())
}

// shortened is the block with each text shortened so that it is no longer than most.
func (b Block) shortened(most int) Block {
	if b.pre != "" {
		b.pre = Shorten(b.pre, most)
		return b
	}
	if b.units() <= most {
		return b
	}
	spans := make([]Span, 0, len(b.spans))
	share := max(most/max(len(b.spans), 1), 1)
	for _, s := range b.spans {
		if most < 1 {
			break
		}
		if s.look == link {
			s = Plain(s.text)
		}
		s.text = Shorten(oneLine(s.text), min(share, most))
		most -= units(s.text)
		spans = append(spans, s)
	}
	b.spans = spans
	return b
}
