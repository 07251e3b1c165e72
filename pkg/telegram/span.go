package telegram

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// Span is a piece of a line with one look. Its text is anything at all: it is cleaned and escaped when the message is
// rendered, and stays on its line.
type Span struct {
	look look
	text string
	url  string
}

type look byte

const (
	plain look = iota
	bold
	italic
	code
	link
)

// Plain is text as it stands.
func Plain(text string) Span { return Span{look: plain, text: text} }

// Bold is for what is seen first: names, not values.
func Bold(text string) Span { return Span{look: bold, text: text} }

// Italic is for what is seen last.
func Italic(text string) Span { return Span{look: italic, text: text} }

// Code is for values: tapped, it is copied.
func Code(text string) Span { return Span{look: code, text: text} }

// Link leads to an http or https address; with another address it is plain text.
func Link(text, address string) Span {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Plain(text)
	}
	return Span{look: link, text: text, url: u.String()}
}

// Join puts a separator between groups of spans, leaving out the empty ones.
func Join(separator string, groups ...[]Span) []Span {
	var out []Span
	for _, g := range groups {
		if len(g) == 0 {
			continue
		}
		if len(out) > 0 {
			out = append(out, Plain(separator))
		}
		out = append(out, g...)
	}
	return out
}

// appendHTML escapes the text: this and Block.appendHTML are the only places that write HTML.
func (s Span) appendHTML(b *strings.Builder) {
	text := oneLine(s.text)
	if text == "" {
		return
	}
	switch s.look {
	case plain:
		b.WriteString(escape(text))
	case link:
		b.WriteString(`<a href="` + escape(clean(s.url)) + `">` + escape(text) + "</a>")
	default:
		tag := tags[s.look]
		b.WriteString("<" + tag + ">" + escape(text) + "</" + tag + ">")
	}
}

var tags = map[look]string{bold: "b", italic: "i", code: "code"}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func escape(text string) string { return escaper.Replace(text) }

// oneLine is the text with its line breaks shown instead of made, so that a value can't look like a line of ours.
func oneLine(text string) string {
	if strings.ContainsAny(text, "\r\n\v\f\u0085\u2028\u2029") {
		text = breaks.Replace(text)
	}
	return clean(text)
}

var breaks = strings.NewReplacer("\r\n", "↵", "\n", "↵", "\r", "↵", "\v", "↵", "\f", "↵", "\u0085", "↵", "\u2028", "↵", "\u2029", "↵")

// clean replaces what a chat can't show or what would turn the text around: bytes that aren't UTF-8, control characters
// and the marks that change the direction of writing.
func clean(text string) string {
	if !strings.ContainsFunc(text, unshowable) {
		return text
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unshowable(r):
			return utf8.RuneError
		default:
			return r
		}
	}, text)
}

func unshowable(r rune) bool {
	switch {
	case r == '\n':
		return false
	case r < 0x20, r == utf8.RuneError, r >= 0x7f && r <= 0x9f:
		return true
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x061c:
		return true
	default:
		return false
	}
}

// units is the length as Telegram counts it: in UTF-16 code units.
func units(text string) int {
	n := 0
	for _, r := range text {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}
