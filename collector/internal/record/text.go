package record

import (
	"bufio"
	"fmt"
	"io"
)

// WriteText writes the recording for a terminal: a block a transaction, a line a change.
func (r *Recording) WriteText(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, t := range r.Transactions {
		fmt.Fprintf(out, "%s  %s", t.Source, t.Time)
		if t.ID != "" {
			fmt.Fprintf(out, "  tx %s", t.ID)
		}
		if t.Actor != nil && t.Actor.Application != "" {
			fmt.Fprintf(out, "  %s", t.Actor.Application)
		}
		if t.Tag != "" {
			fmt.Fprintf(out, "  tag %s", t.Tag)
		}
		fmt.Fprintln(out)
		for _, c := range t.Changes {
			fmt.Fprintf(out, "  %s\n", Describe(c))
		}
		for _, b := range t.Findings {
			fmt.Fprintf(out, "  ✗ %s\n", b.text())
		}
	}
	fmt.Fprintf(out, "%d changes in %d transactions and records, %d rules broken\n", r.Changes(), len(r.Transactions), r.Broken())
	if r.Beyond > 0 {
		fmt.Fprintf(out, "%d more changes didn't fit into %d MB\n", r.Beyond, MaxBytes>>20)
	}
	return out.Flush()
}

// text is "total-adds-up: Order total is not the sum of its items (149.98, expected 149.97)". What is wrong with the row as a
// whole names no place.
func (b Broken) text() string {
	text := b.Message
	if b.Rule != "" {
		text = b.Rule + ": " + text
	}
	switch {
	case b.Actual != "" && b.Expected != "":
		return fmt.Sprintf("%s (%s, expected %s)", text, b.Actual, b.Expected)
	case b.Actual != "":
		return fmt.Sprintf("%s (%s)", text, b.Actual)
	default:
		return text
	}
}

// WriteDifferences writes differences for a terminal: - what isn't there any more, + what is new, ~ what differs.
func WriteDifferences(w io.Writer, differences []Difference) error {
	out := bufio.NewWriter(w)
	stream := ""
	for _, d := range differences {
		if s := string(d.Stream); s != stream {
			stream = s
			fmt.Fprintf(out, "%s\n", s)
		}
		switch {
		case d.Now == nil:
			fmt.Fprintf(out, "  - %s %s%s\n", d.Line.Op, shown(d.Line.Key), rowOf(d.Line))
		case d.Line == nil:
			fmt.Fprintf(out, "  + %s %s%s\n", d.Now.Op, shown(d.Now.Key), rowOf(d.Now))
		default:
			fmt.Fprintf(out, "  ~ %s %s\n", d.Now.Op, shown(d.Now.Key))
			for _, f := range d.Fields {
				fmt.Fprintf(out, "      %s\n", f)
			}
		}
	}
	return out.Flush()
}

// rowOf is the row after a change, of a delete the one before it.
func rowOf(l *Line) string {
	row := l.After
	if row == nil {
		row = l.Before
	}
	if row == nil {
		return ""
	}
	return " " + text(row)
}
