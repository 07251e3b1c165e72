package postgres

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// errSent says that bytes aren't what PostgreSQL's send functions write.
var errSent = errors.New("not the binary form of its type")

// sendableList is SQL's list of the types that are captured in binary form, beside enums.
func sendableList() string {
	var oids []uint32
	for oid := range sendable {
		oids = append(oids, oid)
	}
	for oid := range sendableArrays {
		oids = append(oids, oid)
	}
	slices.Sort(oids)
	texts := make([]string, len(oids))
	for i, oid := range oids {
		texts[i] = strconv.FormatUint(uint64(oid), 10)
	}
	return strings.Join(texts, ",")
}

// sendableShape tells whether all types of a shape are captured in binary form, as datawatch.sendable does.
func sendableShape(shape []byte) bool {
	var d described
	return json.Unmarshal(shape, &d) == nil && len(d.Drop) == 0 && (d.sent() != nil || len(d.Columns) == 0)
}

// sentColumn is a column of rows in binary form.
type sentColumn struct {
	oid    uint32
	head   []byte // its name and a colon
	append appendSent
}

// sent are the columns of a shape in binary form; nil where that of a type isn't known here.
func (d *described) sent() []sentColumn {
	columns := make([]sentColumn, len(d.Columns))
	for i, c := range d.Columns {
		oid, err := strconv.ParseUint(c.OID, 10, 32)
		if err != nil {
			return nil
		}
		form := sendable[uint32(oid)]
		switch {
		case d.Types[c.OID].Kind == "e":
			form = appendSentText
		case sendableArrays[uint32(oid)]:
			form = appendSentArray
		}
		if form == nil {
			return nil
		}
		columns[i] = sentColumn{uint32(oid), append(AppendJSONText(nil, []byte(c.Name)), ':'), form}
	}
	return columns
}

// sent tells whether the pack's rows are in binary form.
func (p *pack) sent() bool { return p.olds != nil || p.news != nil }

// fitsTypes tells whether rows of these types have this shape.
func (s *shape) fitsTypes(types []uint32) bool {
	return s.sent != nil && slices.EqualFunc(s.sent, types, func(c sentColumn, oid uint32) bool { return c.oid == oid })
}

// sentRows are the rows of an array of rows as to_json prints them; those outside of from and to are left out, and have
// their place.
func (s *shape) sentRows(array []byte, from, to int64) ([]json.RawMessage, error) {
	rows, err := elementsOf(array)
	if err != nil {
		return nil, err
	}
	images := make([]json.RawMessage, len(rows))
	var b []byte
	for i := max(0, int(from)); i < min(len(rows), int(to)); i++ {
		begin := len(b)
		if b, err = s.appendSentRow(b, rows[i]); err != nil {
			return nil, err
		}
		images[i] = b[begin:len(b):len(b)]
	}
	return images, nil
}

// appendSentRow turns what record_send gave (src/backend/utils/adt/rowtypes.c) into what to_json gives.
func (s *shape) appendSentRow(dst, row []byte) ([]byte, error) {
	r := sentReader{row}
	if n := int(r.int32()); n != len(s.sent) {
		return dst, fmt.Errorf("row of %d columns, not %d: %w", n, len(s.sent), errSent)
	}
	dst = append(dst, '{')
	for i := range s.sent {
		c := &s.sent[i]
		if oid := uint32(r.int32()); oid != c.oid {
			return dst, fmt.Errorf("column %s of type %d: %w", c.head, oid, errSent)
		}
		value, null, err := r.value()
		if err != nil {
			return dst, err
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, c.head...)
		if null {
			dst = append(dst, "null"...)
			continue
		}
		if dst, err = c.append(dst, value); err != nil {
			return dst, fmt.Errorf("column %s: %w", c.head, err)
		}
	}
	return append(dst, '}'), nil
}

// typesOf are the types of the first row of a pack.
func typesOf(p *pack) ([]uint32, error) {
	array := p.news
	if p.op == packDelete {
		array = p.olds
	}
	rows, err := elementsOf(array)
	if err != nil || len(rows) == 0 {
		return nil, errSent
	}
	r := sentReader{rows[0]}
	types := []uint32{}
	for range r.int32() {
		types = append(types, uint32(r.int32()))
		if _, _, err := r.value(); err != nil {
			return nil, err
		}
	}
	return types, nil
}

// elementsOf are the elements of an array of one dimension, as array_send gives them. Nulls are left out.
func elementsOf(array []byte) ([][]byte, error) {
	if array == nil {
		return nil, nil
	}
	r := sentReader{array}
	dimensions := r.int32()
	r.int32() // whether it has nulls
	r.int32() // the elements' type
	if dimensions != 1 {
		return nil, fmt.Errorf("array of %d dimensions: %w", dimensions, errSent)
	}
	n := r.int32()
	r.int32() // the lower bound
	var elements [][]byte
	for range n {
		value, null, err := r.value()
		if err != nil {
			return nil, err
		}
		if !null {
			elements = append(elements, value)
		}
	}
	return elements, nil
}

// sentReader reads numbers in the order of the network. Behind the end it reads zeros, but for values.
type sentReader struct{ rest []byte }

func (r *sentReader) int32() int32 {
	if len(r.rest) < 4 {
		r.rest = nil
		return 0
	}
	n := int32(binary.BigEndian.Uint32(r.rest))
	r.rest = r.rest[4:]
	return n
}

// value is what has its length before it; -1 is null.
func (r *sentReader) value() (value []byte, null bool, err error) {
	if len(r.rest) < 4 {
		return nil, false, errSent
	}
	switch n := r.int32(); {
	case n == -1:
		return nil, true, nil
	case n < 0 || int(n) > len(r.rest):
		return nil, false, errSent
	default:
		value, r.rest = r.rest[:n:n], r.rest[n:]
		return value, false, nil
	}
}

// sendableArrays are arrays whose elements are in sendable.
var sendableArrays = map[uint32]bool{
	pgtype.BoolArrayOID: true, pgtype.Int2ArrayOID: true, pgtype.Int4ArrayOID: true, pgtype.Int8ArrayOID: true, pgtype.NumericArrayOID: true,
	pgtype.TextArrayOID: true, pgtype.VarcharArrayOID: true, pgtype.UUIDArrayOID: true, pgtype.DateArrayOID: true, pgtype.TimestampArrayOID: true,
	pgtype.TimestamptzArrayOID: true, pgtype.JSONBArrayOID: true,
}

// maxDimensions is PostgreSQL's MAXDIM.
const maxDimensions = 6

// appendSentArray turns an array (array_send in src/backend/utils/adt/arrayfuncs.c) into a JSON array, nested for more
// dimensions.
func appendSentArray(dst, value []byte) ([]byte, error) {
	r := sentReader{value}
	n := int(r.int32())
	r.int32() // whether it has nulls
	form := sendable[uint32(r.int32())]
	if n < 0 || n > maxDimensions || form == nil {
		return dst, fmt.Errorf("array: %w", errSent)
	}
	if n == 0 {
		return append(dst, "[]"...), nil
	}
	dimensions := make([]int, n)
	for i := range dimensions {
		dimensions[i] = int(r.int32())
		r.int32() // the lower bound
		if dimensions[i] < 1 || dimensions[i] > len(value) {
			return dst, fmt.Errorf("array: %w", errSent)
		}
	}
	return appendSentDimension(dst, &r, dimensions, form)
}

func appendSentDimension(dst []byte, r *sentReader, dimensions []int, form appendSent) ([]byte, error) {
	dst = append(dst, '[')
	for i := range dimensions[0] {
		if i > 0 {
			dst = append(dst, ',')
		}
		if len(dimensions) > 1 {
			var err error
			if dst, err = appendSentDimension(dst, r, dimensions[1:], form); err != nil {
				return dst, err
			}
			continue
		}
		value, null, err := r.value()
		switch {
		case err != nil:
			return dst, err
		case null:
			dst = append(dst, "null"...)
		default:
			if dst, err = form(dst, value); err != nil {
				return dst, err
			}
		}
	}
	return append(dst, ']'), nil
}
