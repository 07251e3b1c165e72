package infer

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"datawatch/pkg/event"
)

// edit puts text in the place of what stands between two bytes of a file.
type edit struct {
	begin, end int
	text       string
}

// editor adds to a file in the way in which it is written: its line ends, its indentation, its way of breaking lines.
type editor struct {
	text    []byte
	newline string
	unit    string // of indentation
	edits   []edit
}

func newEditor(text []byte, root *written) *editor {
	e := &editor{text: text, newline: "\n", unit: "  "}
	if bytes.Contains(text, []byte("\r\n")) {
		e.newline = "\r\n"
	}
	if len(root.members) > 0 {
		if indent, own := e.indent(root.members[0].begin); own && indent != "" {
			e.unit = indent
		}
	}
	return e
}

// indent is the white space before a byte; own tells that nothing else stands before it in its line.
func (e *editor) indent(at int) (indent string, own bool) {
	line := bytes.LastIndexByte(e.text[:at], '\n') + 1
	before := string(e.text[line:at])
	return before, strings.TrimLeft(before, " \t") == "" && line > 0
}

// member adds a member to an object, behind the one of the index before (-1: behind the last).
func (e *editor) member(w *written, before int, name string, value any) {
	quoted := string(event.AppendString(nil, name)) + ": "
	if len(w.members) == 0 {
		e.first(w, quoted+inline(value))
		return
	}
	if before < 0 {
		before = len(w.members) - 1
	}
	at := w.members[before].value.end
	indent, own := e.indent(w.members[0].begin)
	if !own {
		line, used := e.line(at)
		e.add(at, ", "+quoted+e.block(value, line, used-len(line)+len(quoted)+len(", ")))
		return
	}
	e.add(at, ","+e.newline+indent+quoted+e.block(value, indent, len(quoted)))
}

// first adds to an object or a list that is empty, or to which something was added already.
func (e *editor) first(w *written, text string) {
	at := w.begin + 1
	for _, done := range e.edits {
		if done.begin == at && done.end == at {
			text = ", " + text
			break
		}
	}
	e.add(at, text)
}

// item adds a text to the end of a list.
func (e *editor) item(w *written, text string) {
	quoted := string(event.AppendString(nil, text))
	if len(w.items) == 0 {
		e.first(w, quoted)
		return
	}
	last := w.items[len(w.items)-1]
	if indent, own := e.indent(last.begin); own && (len(w.items) == 1 || e.alone(w.items[len(w.items)-2].begin)) {
		e.add(last.end, ","+e.newline+indent+quoted)
		return
	}
	e.add(last.end, ", "+quoted)
}

// line is the indentation of the line of a byte, and how long the line is. A file of one line stays one.
func (e *editor) line(at int) (indent string, length int) {
	begin := bytes.LastIndexByte(e.text[:at], '\n') + 1
	end := bytes.IndexByte(e.text[at:], '\n')
	if end < 0 {
		end = len(e.text) - at
	}
	text := string(e.text[begin : at+end])
	if begin == 0 && at+end == len(e.text) {
		return "", -oneLine
	}
	return text[:len(text)-len(strings.TrimLeft(text, " \t"))], len(text)
}

// oneLine is room for all that is added to a line.
const oneLine = 1 << 30

func (e *editor) alone(at int) bool {
	_, own := e.indent(at)
	return own
}

// replace writes a value in the place of another.
func (e *editor) replace(w *written, value any) {
	indent, _ := e.indent(w.begin)
	indent = indent[:len(indent)-len(strings.TrimLeft(indent, " \t"))]
	e.edits = append(e.edits, edit{w.begin, w.end, e.block(value, indent, w.begin-bytes.LastIndexByte(e.text[:w.begin], '\n')-1-len(indent))})
}

// block is a value whose lines after the first are indented as the file is.
func (e *editor) block(value any, indent string, used int) string {
	var b strings.Builder
	write(&b, value, 0, len(indent)+used+1)
	lines := strings.Split(b.String(), "\n")
	for i, line := range lines[1:] {
		rest := strings.TrimLeft(line, " ")
		lines[i+1] = indent + strings.Repeat(e.unit, (len(line)-len(rest))/2) + rest
	}
	return strings.Join(lines, e.newline)
}

func (e *editor) add(at int, text string) { e.edits = append(e.edits, edit{at, at, text}) }

// done is the file's new text. Edits at one place stand in their order.
func (e *editor) done() []byte {
	slices.SortStableFunc(e.edits, func(a, b edit) int { return cmp.Compare(a.begin, b.begin) })
	return apply(e.text, e.edits, 0, len(e.text))
}

// apply gives what stands between two bytes, edited.
func apply(text []byte, edits []edit, from, to int) []byte {
	var b bytes.Buffer
	for _, e := range edits {
		if e.begin < from || e.end > to {
			continue
		}
		b.Write(text[from:e.begin])
		b.WriteString(e.text)
		from = e.end
	}
	b.Write(text[from:to])
	return b.Bytes()
}
