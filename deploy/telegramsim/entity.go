package telegramsim

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Kinds of entities, as the Bot API names them
// (https://core.telegram.org/bots/api#messageentity).
const (
	entityBold       = "bold"
	entityItalic     = "italic"
	entityUnderline  = "underline"
	entityStrike     = "strikethrough"
	entitySpoiler    = "spoiler"
	entityCode       = "code"
	entityPre        = "pre"
	entityLink       = "text_link"
	entityEmoji      = "custom_emoji"
	entityQuote      = "blockquote"
	entityExpandable = "expandable_blockquote"
	entityCommand    = "bot_command"
	entityURL        = "url"
	entityMention    = "mention"
)

// maxEntities is how many entities Telegram keeps of a message. What comes
// after them is shown without formatting, and no error says so.
const maxEntities = 100

// Entity is a stretch of a message's text that has a meaning or a look.
// Offset and Length count UTF-16 units, as everywhere in the Bot API.
type Entity struct {
	Type          string `json:"type"`
	Offset        int    `json:"offset"`
	Length        int    `json:"length"`
	URL           string `json:"url,omitempty"`
	Language      string `json:"language,omitempty"`
	CustomEmojiID string `json:"custom_emoji_id,omitempty"`
}

func (e Entity) end() int { return e.Offset + e.Length }

// richText is a text with its entities, sorted, none crossing another in a way
// that Telegram wouldn't keep.
type richText struct {
	text     string
	entities []Entity
}

func (r richText) equal(o richText) bool {
	return r.text == o.text && slices.Equal(r.entities, o.entities)
}

// styleOrder is the order in which entities of the same stretch are nested,
// the outermost first.
var styleOrder = map[string]int{
	entityQuote: 0, entityExpandable: 0, entityPre: 11, entityCode: 20,
	entityLink: 49, entityCommand: 50, entityURL: 50, entityMention: 50,
	entityBold: 90, entityItalic: 91, entityUnderline: 92, entityStrike: 93,
	entitySpoiler: 94, entityEmoji: 99,
}

func sortEntities(entities []Entity) {
	slices.SortStableFunc(entities, func(a, b Entity) int {
		return cmp.Or(
			cmp.Compare(a.Offset, b.Offset),
			cmp.Compare(b.Length, a.Length),
			cmp.Compare(styleOrder[a.Type], styleOrder[b.Type]),
		)
	})
}

// isStyle tells the entities that may overlap and be split (bold and its kin)
// from those that are one piece.
func isStyle(kind string) bool {
	switch kind {
	case entityBold, entityItalic, entityUnderline, entityStrike, entitySpoiler:
		return true
	}
	return false
}

func isQuote(kind string) bool { return kind == entityQuote || kind == entityExpandable }

// tidy brings a text into the form in which Telegram stores it: control
// characters and outer white space gone, entities where they may be.
func tidy(r richText) richText {
	return trim(clean(r)).withValidEntities()
}

// clean replaces control characters by spaces, and drops carriage returns and
// the characters that change the direction of a line.
func clean(r richText) richText {
	var b strings.Builder
	b.Grow(len(r.text))
	moved := make([]int, 0, len(r.text)+1) // old UTF-16 offset → new one
	units := 0
	for _, c := range r.text {
		for range runeUnits(c) {
			moved = append(moved, units)
		}
		switch {
		case c == '\r' || c >= 0x2028 && c <= 0x202e:
			continue
		case c < ' ' && c != '\n':
			c = ' '
		}
		b.WriteRune(c)
		units += runeUnits(c)
	}
	moved = append(moved, units)
	entities := make([]Entity, 0, len(r.entities))
	for _, e := range r.entities {
		if e.Offset < 0 || e.Length <= 0 || e.end() >= len(moved) {
			continue
		}
		start, end := moved[e.Offset], moved[e.end()]
		e.Offset, e.Length = start, end-start
		entities = append(entities, e)
	}
	return richText{b.String(), entities}
}

// trim removes white space from both ends, but not what an entity begins with.
func trim(r richText) richText {
	first := len(r.text)
	for _, e := range r.entities {
		if e.Length > 0 {
			first = min(first, e.Offset)
		}
	}
	text := strings.TrimRight(r.text, " \n")
	// Leading blanks are one byte and one unit each, so both counts agree.
	lead := min(len(text)-len(strings.TrimLeft(text, " \n")), first)
	text = text[lead:]
	size := utf16Len(text)
	entities := make([]Entity, 0, len(r.entities))
	for _, e := range r.entities {
		start, end := max(e.Offset-lead, 0), min(e.end()-lead, size)
		e.Offset, e.Length = start, end-start
		if e.Length > 0 {
			entities = append(entities, e)
		}
	}
	return richText{text, entities}
}

// withValidEntities applies Telegram's rules of nesting: code and pre contain
// nothing and are part of no style, quotes don't nest, links and their like
// don't overlap, styles of one kind are joined.
func (r richText) withValidEntities() richText {
	sorted := slices.Clone(r.entities)
	sortEntities(sorted)
	var quotes, pieces []Entity
	styles := map[string][]Entity{}
	for _, e := range sorted {
		switch {
		case isStyle(e.Type):
			styles[e.Type] = append(styles[e.Type], e)
		case isQuote(e.Type):
			if len(quotes) == 0 || quotes[len(quotes)-1].end() <= e.Offset {
				quotes = append(quotes, e)
			}
		case len(pieces) == 0 || pieces[len(pieces)-1].end() <= e.Offset:
			pieces = append(pieces, e)
		}
	}
	pieces = slices.DeleteFunc(pieces, func(p Entity) bool {
		return slices.ContainsFunc(quotes, func(q Entity) bool { return crosses(p, q) })
	})
	blocks := slices.Concat(quotes, pieces)
	out := slices.Clone(blocks)
	for _, ranges := range styles {
		out = append(out, splitAt(withoutCode(joined(ranges), pieces), blocks)...)
	}
	sortEntities(out)
	if len(out) > maxEntities {
		out = out[:maxEntities]
	}
	return richText{r.text, out}
}

func crosses(a, b Entity) bool {
	overlap := a.Offset < b.end() && b.Offset < a.end()
	inside := a.Offset >= b.Offset && a.end() <= b.end()
	around := b.Offset >= a.Offset && b.end() <= a.end()
	return overlap && !inside && !around
}

// joined merges sorted ranges of one style that touch or overlap.
func joined(ranges []Entity) []Entity {
	out := ranges[:1:1]
	for _, e := range ranges[1:] {
		last := &out[len(out)-1]
		if e.Offset > last.end() {
			out = append(out, e)
			continue
		}
		last.Length = max(last.end(), e.end()) - last.Offset
	}
	return out
}

// withoutCode cuts the stretches of code and pre out of a style's ranges.
func withoutCode(ranges, pieces []Entity) []Entity {
	var out []Entity
	for _, e := range ranges {
		for _, p := range pieces {
			if p.Type != entityCode && p.Type != entityPre || p.end() <= e.Offset || p.Offset >= e.end() {
				continue
			}
			if p.Offset > e.Offset {
				before := e
				before.Length = p.Offset - e.Offset
				out = append(out, before)
			}
			end := e.end()
			e.Offset = min(p.end(), end)
			e.Length = end - e.Offset
		}
		if e.Length > 0 {
			out = append(out, e)
		}
	}
	return out
}

// splitAt cuts a style's ranges at the edges of the blocks they cross, so that
// a link or a quote is never torn by a style that begins or ends in it.
func splitAt(ranges, blocks []Entity) []Entity {
	var out []Entity
	for len(ranges) > 0 {
		e := ranges[0]
		ranges = ranges[1:]
		i := slices.IndexFunc(blocks, func(b Entity) bool { return crosses(e, b) })
		if i < 0 {
			out = append(out, e)
			continue
		}
		edge := blocks[i].Offset
		if edge <= e.Offset {
			edge = blocks[i].end()
		}
		left, right := e, e
		left.Length = edge - e.Offset
		right.Offset, right.Length = edge, e.end()-edge
		ranges = append([]Entity{left, right}, ranges...)
	}
	return out
}

// utf16Len is the length of a text as Telegram counts it.
func utf16Len(s string) int {
	n := 0
	for _, c := range s {
		n += runeUnits(c)
	}
	return n
}

func runeUnits(c rune) int {
	if c > 0xffff {
		return 2
	}
	return 1
}

// byteOffsets gives for every UTF-16 offset of the text its byte offset, and
// -1 within a surrogate pair.
func byteOffsets(s string) []int {
	offsets := make([]int, 0, len(s)+1)
	for i, c := range s {
		offsets = append(offsets, i)
		if utf8.RuneLen(c) == 4 {
			offsets = append(offsets, -1)
		}
	}
	return append(offsets, len(s))
}
