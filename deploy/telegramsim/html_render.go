package telegramsim

import (
	"slices"
	"strings"
)

var (
	textEscaper      = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	attributeEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")
)

// html writes the text as Telegram's HTML: what [parseHTML] accepts, and the
// same text and entities when read again. Everything that isn't one of the
// tags below is escaped, so the page may show it as it is.
func (r richText) html() string {
	offsets := byteOffsets(r.text)
	marks := []int{0, len(offsets) - 1}
	for _, e := range r.entities {
		marks = append(marks, e.Offset, e.end())
	}
	slices.Sort(marks)
	marks = slices.Compact(marks)

	var b strings.Builder
	var open []Entity
	for i, at := range marks[:len(marks)-1] {
		open = reopen(&b, open, covering(r.entities, at))
		b.WriteString(textEscaper.Replace(r.text[offsets[at]:offsets[marks[i+1]]]))
	}
	reopen(&b, open, nil)
	return b.String()
}

// covering lists the entities over a unit of the text that have a tag, from
// the outermost to the innermost, which is the order they are sorted in.
func covering(entities []Entity, at int) []Entity {
	var out []Entity
	for _, e := range entities {
		if e.Offset <= at && at < e.end() && startTag(e) != "" {
			out = append(out, e)
		}
	}
	return out
}

// reopen closes and opens tags until those wanted are open, in their order.
func reopen(b *strings.Builder, open, want []Entity) []Entity {
	same := 0
	for same < len(open) && same < len(want) && open[same] == want[same] {
		same++
	}
	for _, e := range slices.Backward(open[same:]) {
		b.WriteString(endTag(e))
	}
	for _, e := range want[same:] {
		b.WriteString(startTag(e))
	}
	return want
}

func startTag(e Entity) string {
	switch e.Type {
	case entityLink:
		return `<a href="` + attributeEscaper.Replace(e.URL) + `">`
	case entityEmoji:
		return `<tg-emoji emoji-id="` + attributeEscaper.Replace(e.CustomEmojiID) + `">`
	case entityExpandable:
		return "<blockquote expandable>"
	case entityPre:
		if e.Language != "" {
			return `<pre><code class="language-` + attributeEscaper.Replace(e.Language) + `">`
		}
	}
	if name := tagName(e.Type); name != "" {
		return "<" + name + ">"
	}
	return ""
}

func endTag(e Entity) string {
	if e.Type == entityPre && e.Language != "" {
		return "</code></pre>"
	}
	return "</" + tagName(e.Type) + ">"
}

func tagName(kind string) string {
	switch kind {
	case entityBold:
		return "b"
	case entityItalic:
		return "i"
	case entityUnderline:
		return "u"
	case entityStrike:
		return "s"
	case entitySpoiler:
		return "tg-spoiler"
	case entityCode:
		return "code"
	case entityPre:
		return "pre"
	case entityLink:
		return "a"
	case entityEmoji:
		return "tg-emoji"
	case entityQuote, entityExpandable:
		return "blockquote"
	}
	return "" // found by Telegram in the text (urls, commands): no tag
}
