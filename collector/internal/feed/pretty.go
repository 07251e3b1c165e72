package feed

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"datawatch/pkg/telegram"
)

const (
	// prettyWidth is how many characters of preformatted text a phone shows in a line.
	prettyWidth = 34
	// maxPretty is the size of the largest value that is laid out; of a larger one, both ends are shown.
	maxPretty = 64 << 10
	// maxLines and maxValue bound what is shown of a value.
	maxLines = 40
	maxValue = 1500
)

// pretty lays JSON out for a phone: what fits into a line stays in one, of the rest each member has its own.
// cut tells that it isn't all.
func pretty(value json.RawMessage) (text string, cut bool) {
	if all, ok := textOf(value); ok {
		text = telegram.Shorten(all, maxValue)
		return text, text != all
	}
	if len(value) > maxPretty {
		return telegram.Shorten(string(value[:maxValue])+string(value[len(value)-maxValue:]), maxValue), true
	}
	var out layout
	out.value(value, 0, 0, maxDepth)
	all := out.b.String()
	text = all
	if lines := strings.SplitAfterN(all, "\n", maxLines+1); len(lines) > maxLines {
		text = strings.Join(lines[:maxLines], "") + "…"
	}
	text = telegram.Shorten(text, maxValue)
	return text, text != all
}

type layout struct{ b strings.Builder }

// value writes a value that begins at a column; closing is how many characters stand behind it. What is nested deeper than
// depth stays in one line.
func (l *layout) value(value json.RawMessage, column, closing, depth int) {
	flat := inOneLine(value)
	if depth == 0 || column+utf8.RuneCountInString(flat)+closing <= prettyWidth {
		l.b.WriteString(flat)
		return
	}
	switch value[0] {
	case '{':
		members, err := membersOf(value)
		if err != nil || len(members) == 0 {
			l.b.WriteString(flat)
			return
		}
		l.b.WriteByte('{')
		for i, m := range members {
			l.between(i, column)
			name, _ := json.Marshal(m.name) // of a string, never an error
			l.b.Write(name)
			l.b.WriteByte(':')
			at, after := column+1+utf8.RuneCount(name)+2, behind(i, len(members), closing)
			if at+utf8.RuneCountInString(inOneLine(m.value))+after > prettyWidth && at > column+deep && nests(m.value) {
				l.line(column + 2)
				at = column + 2
			} else {
				l.b.WriteByte(' ')
			}
			l.value(m.value, at, after, depth-1)
		}
		l.b.WriteByte('}')
	case '[':
		var items []json.RawMessage
		if json.Unmarshal(value, &items) != nil || len(items) == 0 {
			l.b.WriteString(flat)
			return
		}
		l.b.WriteByte('[')
		for i, item := range items {
			l.between(i, column)
			l.value(item, column+1, behind(i, len(items), closing), depth-1)
		}
		l.b.WriteByte(']')
	default:
		l.b.WriteString(flat)
	}
}

// deep is how far behind the beginning of its object a nested value may begin; farther, it has lines of its own.
const deep = 6

func nests(value json.RawMessage) bool { return value[0] == '{' || value[0] == '[' }

// behind is how many characters follow member i: a comma, or the brackets that close.
func behind(i, n, closing int) int {
	if i < n-1 {
		return 1
	}
	return closing + 1
}

func (l *layout) between(i, column int) {
	if i > 0 {
		l.b.WriteByte(',')
		l.line(column + 1)
	}
}

func (l *layout) line(column int) {
	l.b.WriteByte('\n')
	l.b.WriteString(strings.Repeat(" ", min(column, prettyWidth/2)))
}

// inOneLine is a value with a space behind commas and colons.
func inOneLine(value json.RawMessage) string {
	var compact bytes.Buffer
	if json.Compact(&compact, value) != nil {
		return string(value)
	}
	var out strings.Builder
	inText, escaped := false, false
	for _, c := range compact.Bytes() {
		out.WriteByte(c)
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			inText = !inText
		case !inText && (c == ',' || c == ':'):
			out.WriteByte(' ')
		}
	}
	return out.String()
}
