package normalize

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"datawatch/pkg/event"
)

func (a *avro) decode(payload []byte, most int) ([]byte, *Error) {
	r := &avroReader{b: payload, most: most}
	value, err := r.append(make([]byte, 0, 2*len(payload)+64), a.root)
	if err != nil {
		return nil, err
	}
	if len(r.b) > 0 {
		return nil, wrong(Malformed, "%d bytes behind what the schema describes", len(r.b))
	}
	return value, nil
}

// appendName appends a name as JSON.
func appendName(dst []byte, name string) []byte { return event.AppendString(dst, name) }

// avroReader reads Avro's binary encoding; b is what is left.
type avroReader struct {
	b     []byte
	depth int
	most  int // bytes of JSON
}

func truncated() *Error { return wrong(Malformed, "the data ends within a value") }

func (r *avroReader) long() (int64, *Error) {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		return 0, wrong(Malformed, "not a number where one is expected, or the data ends")
	}
	r.b = r.b[size:]
	return n, nil
}

func (r *avroReader) take(n int64) ([]byte, *Error) {
	if n < 0 || n > int64(len(r.b)) {
		return nil, truncated()
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b, nil
}

func (r *avroReader) sized() ([]byte, *Error) {
	n, err := r.long()
	if err != nil {
		return nil, err
	}
	return r.take(n)
}

// append appends the JSON of the value that comes next.
func (r *avroReader) append(dst []byte, t *avroType) ([]byte, *Error) {
	if len(dst) > r.most {
		return nil, tooLong(r.most)
	}
	if r.depth++; r.depth > maxNested {
		return nil, wrong(Limit, "nested more than %d deep", maxNested)
	}
	defer func() { r.depth-- }()
	if t.connect != nil {
		plain := *t
		plain.connect = nil
		if plain.logical != "decimal" {
			plain.logical = ""
		}
		value, err := r.append(nil, &plain)
		if err != nil {
			return nil, err
		}
		if plain.logical == "decimal" { // a number already
			return append(dst, value...), nil
		}
		return t.connect.append(dst, &reader{b: value})
	}
	switch t.kind {
	case "null":
		return append(dst, "null"...), nil
	case "record":
		return r.appendRecord(dst, t)
	case "array", "map":
		return r.appendBlocks(dst, t)
	case "union":
		n, err := r.long()
		if err != nil {
			return nil, err
		}
		if n < 0 || n >= int64(len(t.branches)) {
			return nil, wrong(Malformed, "branch %d of a union of %d", n, len(t.branches))
		}
		return r.append(dst, t.branches[n])
	case "enum":
		n, err := r.long()
		if err != nil {
			return nil, err
		}
		if n < 0 || n >= int64(len(t.symbols)) {
			return nil, wrong(Malformed, "symbol %d of an enum of %d", n, len(t.symbols))
		}
		return appendName(dst, t.symbols[n]), nil
	default:
		return r.appendPrimitive(dst, t)
	}
}

func (r *avroReader) appendRecord(dst []byte, t *avroType) (_ []byte, err *Error) {
	dst = append(dst, '{')
	for i, f := range t.fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, f.name...), ':')
		if dst, err = r.append(dst, f.of); err != nil {
			return nil, in("field "+f.name, err)
		}
	}
	return append(dst, '}'), nil
}

// appendBlocks appends an array or a map, which come in blocks of counted items; the count 0 ends it.
func (r *avroReader) appendBlocks(dst []byte, t *avroType) ([]byte, *Error) {
	brackets := "[]"
	if t.kind == "map" {
		brackets = "{}"
	}
	dst = append(dst, brackets[0])
	some := false
	for {
		n, err := r.long()
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return append(dst, brackets[1]), nil
		}
		if n < 0 { // the size in bytes follows, for whoever wants to skip
			if _, err := r.long(); err != nil {
				return nil, err
			}
			if n = -n; n < 0 {
				return nil, wrong(Malformed, "a block without a count")
			}
		}
		for ; n > 0; n-- {
			if some {
				dst = append(dst, ',')
			}
			some = true
			if t.kind == "map" {
				if dst, err = r.appendString(dst); err != nil {
					return nil, err
				}
				dst = append(dst, ':')
			}
			if dst, err = r.append(dst, t.items); err != nil {
				return nil, err
			}
		}
	}
}

func (r *avroReader) appendString(dst []byte) ([]byte, *Error) {
	b, err := r.sized()
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(b) {
		return nil, wrong(Malformed, "a string that isn't UTF-8")
	}
	return event.AppendString(dst, string(b)), nil
}

func (r *avroReader) appendPrimitive(dst []byte, t *avroType) ([]byte, *Error) {
	switch t.kind {
	case "boolean":
		b, err := r.take(1)
		if err != nil {
			return nil, err
		}
		if b[0] > 1 {
			return nil, wrong(Malformed, "neither true nor false")
		}
		return strconv.AppendBool(dst, b[0] == 1), nil
	case "int", "long":
		n, err := r.long()
		if err != nil {
			return nil, err
		}
		return appendLong(dst, n, t.logical)
	case "float":
		b, err := r.take(4)
		if err != nil {
			return nil, err
		}
		return appendFloat(dst, math.Float32frombits(binary.LittleEndian.Uint32(b))), nil
	case "double":
		b, err := r.take(8)
		if err != nil {
			return nil, err
		}
		return appendFloat(dst, math.Float64frombits(binary.LittleEndian.Uint64(b))), nil
	case "string":
		return r.appendString(dst)
	case "bytes":
		b, err := r.sized()
		if err != nil {
			return nil, err
		}
		return appendAvroBytes(dst, b, t)
	case "fixed":
		b, err := r.take(int64(t.size))
		if err != nil {
			return nil, err
		}
		return appendAvroBytes(dst, b, t)
	default:
		return nil, wrong(Unsupported, "the type %q", t.kind)
	}
}

// appendAvroBytes appends bytes as base64, a decimal as a number with the digits of its scale.
func appendAvroBytes(dst, b []byte, t *avroType) ([]byte, *Error) {
	if t.logical != "decimal" {
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, b)
		return append(dst, '"'), nil
	}
	return appendUnscaled(dst, quoteBase64(b), t.scale)
}

// appendLong appends an int or a long; a logical type says which time it counts.
func appendLong(dst []byte, n int64, logical string) ([]byte, *Error) {
	var unit time.Duration
	format := formatTimestamp
	switch logical {
	case "date":
		unit, format = 24*time.Hour, formatDate
	case "time-millis":
		unit, format = time.Millisecond, formatClock
	case "time-micros":
		unit, format = time.Microsecond, formatClock
	case "timestamp-millis", "local-timestamp-millis":
		unit = time.Millisecond
	case "timestamp-micros", "local-timestamp-micros":
		unit = time.Microsecond
	case "timestamp-nanos", "local-timestamp-nanos":
		unit = time.Nanosecond
	default:
		return strconv.AppendInt(dst, n, 10), nil
	}
	seconds, nanos, ok := split(n, unit)
	if !ok {
		return nil, wrong(Type, "a time out of any range")
	}
	text := format(seconds, nanos)
	if logical[0] == 't' && len(logical) > len("timestamp") && logical[:9] == "timestamp" { // an instant
		text += "Z"
	}
	return append(append(append(dst, '"'), text...), '"'), nil
}
