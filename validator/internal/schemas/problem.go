package schemas

import (
	"fmt"
	"strings"

	"datawatch/pkg/cel"
	"datawatch/pkg/reason"
)

// Problem is something wrong with a file of the folder.
type Problem struct {
	File     string // relative to the folder, with slashes; "." for the folder itself
	Line     int    // from 1; 0 where it is the file as a whole
	Column   int
	Severity cel.Severity // with an Error the file isn't loaded
	Message  string
	Hint     string // what would be right, or empty
	// Because is another file, whose own problem is the reason for this one.
	Because string
}

// String is "file:line:column: message (hint)".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Place() + ": ")
	if p.Severity == cel.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// Place is where it is: "shop-db/public.orders.json:14:3".
func (p Problem) Place() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Said is the problem without its place.
func (p Problem) Said() reason.Text {
	if p.Hint == "" {
		return reason.Phrase(p.Message)
	}
	return reason.Phrase(p.Message + " (" + p.Hint + ")")
}

// document is a file of the folder, parsed.
type document struct {
	name string // relative to the folder, with slashes
	text []byte
	sha  string // SHA-256 of text, in hex
	root *node  // nil where the text can't be parsed
	id   string // the root's $id (draft 4: id), where it is absolute

	findings []Problem // what is wrong with the file by itself
}

// wrong tells that the file can't be used, nor what refers to it.
func (d *document) wrong() bool { return hasErrors(d.findings) }

func (d *document) problem(severity cel.Severity, offset int, message, hint string) Problem {
	at := placeOf(d.text, offset)
	return Problem{File: d.name, Line: at.line, Column: at.column, Severity: severity, Message: message, Hint: hint}
}

// read parses the text and looks for what is wrong with the file by itself.
func (d *document) read() {
	root, broken := parse(d.text)
	if broken != nil {
		d.findings = []Problem{d.problem(cel.Error, broken.offset, broken.message, broken.hint)}
		return
	}
	if !root.isObject() && root.value != true && root.value != false {
		d.findings = []Problem{d.problem(cel.Error, 0, "a schema has to be an object", "{ … }")}
		return
	}
	d.root, d.id = root, absoluteID(root)
	d.findings = checkKeywords(d)
}
