package wal

import (
	"errors"
	"slices"
)

// columnError names the column whose value can't be read.
type columnError struct {
	column int
	err    error
}

func (e *columnError) Error() string { return e.err.Error() }
func (e *columnError) Unwrap() error { return e.err }

// images are the rows of a change as to_json prints them.
type images struct {
	before, after []byte
	// exact: before is the whole row. Otherwise it holds the columns of the replica identity, or is nil.
	exact   bool
	missing []string // columns that the source left out
}

// images reads the rows of a message.
func (r *relation) images(m *rowMessage) (im images, err error) {
	if len(m.old) > len(r.columns) || len(m.new) > len(r.columns) {
		return im, errMessage
	}
	im.exact = m.oldKind == oldRow && r.full
	if m.oldKind != oldNone {
		if im.before, im.missing, err = r.appendRow(nil, m.old, nil, !im.exact); err != nil {
			return im, err
		}
	}
	if m.op == 'D' {
		if im.exact {
			im.missing = append(im.missing, r.computed...)
		}
		return im, nil
	}
	var unchanged []string
	if im.after, unchanged, err = r.appendRow(nil, m.new, r.known(m), false); err != nil {
		return im, err
	}
	for _, name := range unchanged {
		if !slices.Contains(im.missing, name) {
			im.missing = append(im.missing, name)
		}
	}
	im.missing = append(im.missing, r.computed...)
	return im, nil
}

// known are the old values that stand for unchanged ones: all of a whole row, those of the replica identity else.
func (r *relation) known(m *rowMessage) []value {
	if m.oldKind == oldNone || len(m.old) != len(m.new) {
		return nil
	}
	return m.old
}

// appendRow prints a tuple. An unchanged value is taken from old, where it is known, else it is missing.
func (r *relation) appendRow(dst []byte, tuple, old []value, identityOnly bool) (_ []byte, missing []string, err error) {
	dst = append(dst, '{')
	some := false
	for i, v := range tuple {
		c := &r.columns[i]
		if identityOnly && !c.identity {
			continue
		}
		if v.kind == valueUnchanged && old != nil && old[i].kind == valueText && (r.full || c.identity) {
			v = old[i]
		}
		if v.kind == valueUnchanged {
			missing = append(missing, c.name)
			continue
		}
		if some {
			dst = append(dst, ',')
		}
		some = true
		dst = append(dst, c.head...)
		if v.kind == valueNull {
			dst = append(dst, "null"...)
			continue
		}
		if dst, err = c.codec.append(dst, v.data); err != nil {
			return nil, nil, &columnError{i, err}
		}
	}
	return append(dst, '}'), missing, nil
}

// readImages reads a message's rows; a column whose values aren't of its present type is text from here on.
func (r *relation) readImages(source string, m *rowMessage) (images, error) {
	for {
		im, err := r.images(m)
		var bad *columnError
		if !errors.As(err, &bad) || !errors.Is(err, errLiteral) {
			return im, err
		}
		if err := r.asText(source, bad.column); err != nil {
			return im, err
		}
	}
}
