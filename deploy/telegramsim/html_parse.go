package telegramsim

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// htmlTags maps the tags that Telegram knows to what they mean. It is the
// whole list (https://core.telegram.org/bots/api#html-style): any other tag
// fails the message.
var htmlTags = map[string]string{
	"b": entityBold, "strong": entityBold,
	"i": entityItalic, "em": entityItalic,
	"u": entityUnderline, "ins": entityUnderline,
	"s": entityStrike, "strike": entityStrike, "del": entityStrike,
	"span": entitySpoiler, "tg-spoiler": entitySpoiler,
	"a": entityLink, "code": entityCode, "pre": entityPre,
	"blockquote": entityQuote, "tg-emoji": entityEmoji,
}

// htmlError says why a text isn't Telegram's HTML, in the real server's words.
type htmlError struct{ reason string }

func (e *htmlError) Error() string { return e.reason }

func htmlErrorf(format string, args ...any) error {
	return &htmlError{fmt.Sprintf(format, args...)}
}

// openTag is a tag whose end hasn't come yet.
type openTag struct {
	name     string
	argument string // href, language, emoji id, "expandable"
	offset   int    // in UTF-16 units of the text
	begin    int    // in bytes of the text
}

// htmlParser reads Telegram's HTML in one pass. Errors name byte offsets of
// the source, entities UTF-16 offsets of the text.
type htmlParser struct {
	src      string
	pos      int
	text     strings.Builder
	units    int
	open     []openTag
	entities []Entity
	halfPair bool // a numeric entity was half a surrogate pair
}

// parseHTML turns Telegram's HTML into text and entities. It doesn't tidy: see
// [tidy].
func parseHTML(src string) (richText, error) {
	p := &htmlParser{src: src}
	for p.pos < len(src) {
		if err := p.step(); err != nil {
			return richText{}, err
		}
	}
	if n := len(p.open); n > 0 {
		return richText{}, htmlErrorf("Can't find end tag corresponding to start tag %q", p.open[n-1].name)
	}
	if p.halfPair {
		return richText{}, htmlErrorf("Text contains invalid Unicode characters after decoding HTML entities, check for unmatched surrogate code units")
	}
	for i := range p.entities {
		if p.entities[i].Type == entityCode {
			p.entities[i].Language = "" // only a block has one
		}
	}
	sortEntities(p.entities)
	return richText{p.text.String(), p.entities}, nil
}

func (p *htmlParser) step() error {
	switch p.src[p.pos] {
	case '&':
		if c, size := decodeHTMLEntity(p.src[p.pos:]); size > 0 {
			p.halfPair = p.halfPair || c >= 0xd800 && c <= 0xdfff
			p.pos += size
			p.write(c)
			return nil
		}
	case '<':
		if p.peek(1) == '/' {
			return p.endTag()
		}
		return p.startTag()
	}
	c, size := utf8.DecodeRuneInString(p.src[p.pos:])
	p.pos += size
	p.write(c)
	return nil
}

func (p *htmlParser) write(c rune) {
	p.text.WriteRune(c)
	p.units += runeUnits(c)
}

// peek is the byte that far ahead, or 0 at the end.
func (p *htmlParser) peek(ahead int) byte {
	if p.pos+ahead < len(p.src) {
		return p.src[p.pos+ahead]
	}
	return 0
}

func (p *htmlParser) skipSpace() {
	for p.pos < len(p.src) && isSpace(p.src[p.pos]) {
		p.pos++
	}
}

// word reads up to white space, the end or one of the stops.
func (p *htmlParser) word(stops string) string {
	begin := p.pos
	for p.pos < len(p.src) && !isSpace(p.src[p.pos]) && strings.IndexByte(stops, p.src[p.pos]) < 0 {
		p.pos++
	}
	return p.src[begin:p.pos]
}

func (p *htmlParser) startTag() error {
	begin := p.pos
	p.pos++
	name := strings.ToLower(p.word(">"))
	if p.pos == len(p.src) {
		return htmlErrorf("Unclosed start tag at byte offset %d", begin)
	}
	if _, known := htmlTags[name]; !known {
		return htmlErrorf("Unsupported start tag %s at byte offset %d", quoted(name), begin)
	}
	tag := openTag{name: name, offset: p.units, begin: p.text.Len()}
	for {
		p.skipSpace()
		if p.pos == len(p.src) {
			return htmlErrorf("Unclosed start tag %s at byte offset %d", quoted(name), begin)
		}
		if p.src[p.pos] == '>' {
			p.pos++
			break
		}
		attribute, value, err := p.attribute(name, begin)
		if err != nil {
			return err
		}
		if argument, ok := tagArgument(name, attribute, value); ok {
			tag.argument = argument
		}
	}
	if name == "span" && tag.argument != "tg-spoiler" {
		return htmlErrorf("Tag \"span\" must have class \"tg-spoiler\" at byte offset %d", begin)
	}
	p.open = append(p.open, tag)
	return nil
}

// tagArgument picks the attributes that mean something; others are ignored, as
// Telegram does.
func tagArgument(tag, attribute, value string) (string, bool) {
	switch {
	case tag == "a" && attribute == "href":
		return value, true
	case tag == "code" && attribute == "class":
		return strings.CutPrefix(value, "language-")
	case tag == "span" && attribute == "class" && strings.HasPrefix(value, "tg-"):
		return value, true
	case tag == "tg-emoji" && attribute == "emoji-id":
		return value, true
	case tag == "blockquote" && attribute == "expandable":
		return attribute, true
	}
	return "", false
}

func (p *htmlParser) attribute(tag string, begin int) (name, value string, err error) {
	name = p.word("=>")
	if name == "" {
		return "", "", htmlErrorf("Empty attribute name in the tag %s at byte offset %d", quoted(tag), begin)
	}
	p.skipSpace()
	if p.peek(0) != '=' {
		return name, "", nil
	}
	p.pos++
	p.skipSpace()
	switch c := p.peek(0); {
	case p.pos == len(p.src):
		return "", "", htmlErrorf("Unclosed start tag %s at byte offset %d", quoted(tag), begin)
	case c == '"' || c == '\'':
		p.pos++
		value, err = p.stringLiteral(c, begin)
	default:
		value, err = p.nameToken(begin)
	}
	return name, value, err
}

func (p *htmlParser) nameToken(begin int) (string, error) {
	start := p.pos
	for p.pos < len(p.src) && isNameByte(p.src[p.pos]) {
		p.pos++
	}
	if p.pos == len(p.src) {
		return "", htmlErrorf("Unclosed start tag at byte offset %d", begin)
	}
	if c := p.src[p.pos]; !isSpace(c) && c != '>' {
		return "", htmlErrorf("Unexpected end of name token at byte offset %d", start)
	}
	return strings.ToLower(p.src[start:p.pos]), nil
}

func (p *htmlParser) stringLiteral(end byte, begin int) (string, error) {
	var value strings.Builder
	for p.pos < len(p.src) && p.src[p.pos] != end {
		if p.src[p.pos] == '&' {
			if c, size := decodeHTMLEntity(p.src[p.pos:]); size > 0 {
				value.WriteRune(c)
				p.pos += size
				continue
			}
		}
		value.WriteByte(p.src[p.pos])
		p.pos++
	}
	p.pos++
	if p.pos >= len(p.src) {
		return "", htmlErrorf("Unclosed start tag at byte offset %d", begin)
	}
	return value.String(), nil
}

func (p *htmlParser) endTag() error {
	begin := p.pos
	if len(p.open) == 0 {
		return htmlErrorf("Unexpected end tag at byte offset %d", begin)
	}
	p.pos += 2
	name := strings.ToLower(p.word(">"))
	p.skipSpace()
	if p.peek(0) != '>' {
		return htmlErrorf("Unclosed end tag at byte offset %d", begin)
	}
	p.pos++
	tag := p.open[len(p.open)-1]
	if name != "" && name != tag.name {
		return htmlErrorf("Unmatched end tag at byte offset %d, expected \"</%s>\", found \"</%s>\"", begin, tag.name, name)
	}
	p.open = p.open[:len(p.open)-1]
	if p.units == tag.offset {
		return nil
	}
	return p.addEntity(tag)
}

func (p *htmlParser) addEntity(tag openTag) error {
	e := Entity{Type: htmlTags[tag.name], Offset: tag.offset, Length: p.units - tag.offset}
	switch tag.name {
	case "a":
		target := tag.argument
		if target == "" {
			target = p.text.String()[tag.begin:]
		}
		if e.URL = checkedLink(target); e.URL == "" {
			return nil // a link that leads nowhere stays text
		}
	case "tg-emoji":
		id, err := strconv.ParseInt(tag.argument, 10, 64)
		if err != nil || id == 0 {
			return htmlErrorf("Invalid custom emoji identifier specified")
		}
		e.CustomEmojiID = strconv.FormatInt(id, 10)
	case "blockquote":
		if tag.argument != "" {
			e.Type = entityExpandable
		}
	case "code":
		e.Language = tag.argument
	}
	if !p.mergedCode(e) {
		p.entities = append(p.entities, e)
	}
	return nil
}

// mergedCode makes one block with a language of <pre><code class="language-…">
// (in either order) when both cover the same text.
func (p *htmlParser) mergedCode(e Entity) bool {
	if len(p.entities) == 0 {
		return false
	}
	last := &p.entities[len(p.entities)-1]
	if last.Offset != e.Offset || last.Length != e.Length {
		return false
	}
	switch {
	case e.Type == entityPre && last.Type == entityCode && last.Language != "":
	case e.Type == entityCode && last.Type == entityPre && last.Language == "" && e.Language != "":
		last.Language = e.Language
	default:
		return false
	}
	last.Type = entityPre
	return true
}

// checkedLink is a link in the form in which Telegram keeps it, or "" when it
// would not: only http, https and Telegram's own schemes, and hosts with a dot
// (so a link to localhost stays text).
func checkedLink(raw string) string {
	raw = strings.TrimSpace(raw)
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil {
		return ""
	}
	switch u.Scheme {
	case "tg", "ton", "tonsite":
		return u.String()
	case "http", "https":
	default:
		return ""
	}
	if host := u.Hostname(); !strings.Contains(strings.Trim(host, "."), ".") || strings.ContainsAny(host, " \n\t<>\"'") {
		return ""
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}

// decodeHTMLEntity reads one of the four named entities that Telegram knows or
// a numeric one. Anything else is text: size 0. The semicolon may be missing.
func decodeHTMLEntity(s string) (c rune, size int) {
	end := 1
	if strings.HasPrefix(s, "&#") {
		base := 10
		end = 2
		if strings.HasPrefix(s, "&#x") {
			base, end = 16, 3
		}
		begin := end
		for end < len(s) && end < 11 && isDigit(s[end], base) {
			end++
		}
		n, err := strconv.ParseInt(s[begin:end], base, 32)
		if err != nil || n == 0 || n >= 0x10ffff || end >= 10 {
			return 0, 0
		}
		c = rune(n)
	} else {
		for end < len(s) && isLetter(s[end]) {
			end++
		}
		named, ok := map[string]rune{"lt": '<', "gt": '>', "amp": '&', "quot": '"'}[s[1:end]]
		if !ok {
			return 0, 0
		}
		c = named
	}
	if end < len(s) && s[end] == ';' {
		end++
	}
	return c, end
}

// quoted is %q without escapes: Telegram echoes what it got.
func quoted(s string) string { return `"` + s + `"` }

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == 0
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isDigit(c byte, base int) bool {
	return c >= '0' && c <= '9' || base == 16 && c|0x20 >= 'a' && c|0x20 <= 'f'
}

func isNameByte(c byte) bool {
	return isLetter(c) || isDigit(c, 10) || c == '.' || c == '-'
}
