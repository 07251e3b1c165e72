package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errMessage is a message of pgoutput that can't be read
// (https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html).
var errMessage = errors.New("a message of pgoutput can't be read")

// Kinds of tuples before an update or delete: the old row, or the columns of the replica identity.
const (
	oldNone = 0
	oldKey  = 'K'
	oldRow  = 'O'
)

// Kinds of values in a tuple.
const (
	valueNull      = 'n'
	valueUnchanged = 'u' // a TOASTed value that the update left as it was
	valueText      = 't'
)

// value is one column of a tuple; data shares the message's bytes.
type value struct {
	kind byte
	data []byte
}

// rowMessage is an insert, update or delete. Its tuples are reused for the next one.
type rowMessage struct {
	op       byte // I, U or D
	relation uint32
	oldKind  byte
	old, new []value
}

// read reads a message of one of these kinds. pglogrepl does it too, at an allocation a column.
func (m *rowMessage) read(b []byte) error {
	if len(b) < 6 {
		return errMessage
	}
	m.op, m.relation, m.oldKind = b[0], binary.BigEndian.Uint32(b[1:]), oldNone
	m.old, m.new = m.old[:0], m.new[:0]
	rest := b[5:]
	var err error
	if kind := rest[0]; m.op != 'I' && (kind == oldKey || kind == oldRow) {
		m.oldKind = kind
		if m.old, rest, err = readTuple(m.old, rest[1:]); err != nil {
			return err
		}
	}
	if m.op == 'D' {
		if m.oldKind == oldNone || len(rest) > 0 {
			return fmt.Errorf("delete: %w", errMessage)
		}
		return nil
	}
	if len(rest) == 0 || rest[0] != 'N' {
		return fmt.Errorf("%c without a new row: %w", m.op, errMessage)
	}
	if m.new, rest, err = readTuple(m.new, rest[1:]); err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes too many: %w", len(rest), errMessage)
	}
	return err
}

func readTuple(into []value, b []byte) (tuple []value, rest []byte, err error) {
	if len(b) < 2 {
		return into, nil, errMessage
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	for range n {
		if len(b) == 0 {
			return into, nil, errMessage
		}
		v := value{kind: b[0]}
		b = b[1:]
		switch v.kind {
		case valueNull, valueUnchanged:
		case valueText:
			if len(b) < 4 {
				return into, nil, errMessage
			}
			size := binary.BigEndian.Uint32(b)
			b = b[4:]
			if uint64(size) > uint64(len(b)) {
				return into, nil, errMessage
			}
			v.data, b = b[:size:size], b[size:]
		default:
			return into, nil, fmt.Errorf("value of kind %q: %w", v.kind, errMessage)
		}
		into = append(into, v)
	}
	return into, b, nil
}
