package telegram

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// formatted is a message as a chat shows it: the text, and what of it is formatted.
type formatted struct {
	text  string
	parts []part
}

type part struct{ tag, text, href string }

// parseHTML reads the subset of Telegram's HTML that this package writes, as strictly as
// https://core.telegram.org/bots/api#html-style demands: known tags, properly nested, four named entities.
func parseHTML(html string) (formatted, error) {
	var f formatted
	var text strings.Builder
	type opened struct {
		tag, href string
		begin     int
	}
	var stack []opened
	for i := 0; i < len(html); {
		switch html[i] {
		case '<':
			end := strings.IndexByte(html[i:], '>')
			if end < 0 {
				return f, fmt.Errorf("unclosed tag at %d", i)
			}
			tag := html[i+1 : i+end]
			i += end + 1
			if name, closing := strings.CutPrefix(tag, "/"); closing {
				if len(stack) == 0 || stack[len(stack)-1].tag != name {
					return f, fmt.Errorf("unexpected end tag %q", name)
				}
				o := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				f.parts = append(f.parts, part{o.tag, text.String()[o.begin:], o.href})
				continue
			}
			name, attributes, _ := strings.Cut(tag, " ")
			href := ""
			switch name {
			case "b", "i", "code", "pre":
				if attributes != "" {
					return f, fmt.Errorf("unexpected attributes in %q", tag)
				}
			case "a":
				quoted, ok := strings.CutPrefix(attributes, `href="`)
				if !ok || !strings.HasSuffix(quoted, `"`) || strings.Count(quoted, `"`) != 1 {
					return f, fmt.Errorf("wrong link %q", tag)
				}
				var err error
				if href, err = unescape(strings.TrimSuffix(quoted, `"`)); err != nil {
					return f, err
				}
			default:
				return f, fmt.Errorf("unsupported tag %q", tag)
			}
			stack = append(stack, opened{name, href, text.Len()})
		case '&':
			end := strings.IndexByte(html[i:], ';')
			if end < 0 {
				return f, fmt.Errorf("lone & at %d", i)
			}
			r, err := unescape(html[i : i+end+1])
			if err != nil {
				return f, err
			}
			text.WriteString(r)
			i += end + 1
		default:
			r, size := utf8.DecodeRuneInString(html[i:])
			if r == utf8.RuneError && size == 1 {
				return f, fmt.Errorf("not UTF-8 at %d", i)
			}
			text.WriteRune(r)
			i += size
		}
	}
	if len(stack) > 0 {
		return f, fmt.Errorf("can't find end tag corresponding to start tag %q", stack[len(stack)-1].tag)
	}
	f.text = text.String()
	return f, nil
}

func unescape(s string) (string, error) {
	out := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&amp;", "&").Replace(s)
	if strings.Count(s, "&") != strings.Count(s, "&lt;")+strings.Count(s, "&gt;")+strings.Count(s, "&quot;")+strings.Count(s, "&amp;") {
		return "", fmt.Errorf("unknown entity in %s", strconv.Quote(s))
	}
	return out, nil
}
