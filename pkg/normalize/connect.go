package normalize

import (
	"bytes"
	"encoding/base64"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// connectSchema is a schema as Kafka Connect's JSON converter writes it. Name says what a primitive means: of Connect's own
// (org.apache.kafka.connect.data) and of Debezium's.
type connectSchema struct {
	Type       string            `json:"type"`
	Name       string            `json:"name"`
	Field      string            `json:"field"`
	Parameters map[string]string `json:"parameters"`
	Fields     []*connectSchema  `json:"fields"`
	Items      *connectSchema    `json:"items"`
}

// field is the schema of a struct's field; nil where there is none.
func (s *connectSchema) field(name string) *connectSchema {
	if s == nil {
		return nil
	}
	for _, f := range s.Fields {
		if f != nil && f.Field == name {
			return f
		}
	}
	return nil
}

// append appends the clean form of the value that comes next. What has no schema, or none that is known here, is copied.
func (s *connectSchema) append(dst []byte, r *reader) ([]byte, *Error) {
	first := r.peek()
	if s == nil || first == 'n' {
		value, spaced, err := r.value()
		return appendCompact(dst, value, spaced), err
	}
	if s.Name != "" && first == '"' && isHidden(r.b[r.i:]) {
		return (*connectSchema)(nil).append(dst, r)
	}
	const connect, debezium = "org.apache.kafka.connect.data.", "io.debezium."
	switch s.Name {
	case connect + "Decimal":
		return s.appendDecimal(dst, r)
	case debezium + "data.VariableScaleDecimal":
		return appendVariableDecimal(dst, r)
	case debezium + "time.Date", connect + "Date":
		return appendTicks(dst, r, 24*time.Hour, formatDate)
	case debezium + "time.Time", connect + "Time":
		return appendTicks(dst, r, time.Millisecond, formatClock)
	case debezium + "time.MicroTime":
		return appendTicks(dst, r, time.Microsecond, formatClock)
	case debezium + "time.NanoTime":
		return appendTicks(dst, r, time.Nanosecond, formatClock)
	case debezium + "time.Timestamp", connect + "Timestamp":
		return appendTicks(dst, r, time.Millisecond, formatTimestamp)
	case debezium + "time.MicroTimestamp":
		return appendTicks(dst, r, time.Microsecond, formatTimestamp)
	case debezium + "time.NanoTimestamp":
		return appendTicks(dst, r, time.Nanosecond, formatTimestamp)
	case debezium + "time.ZonedTimestamp":
		return appendTime(dst, r, true)
	case debezium + "time.IsoDate", debezium + "time.IsoTime", debezium + "time.IsoTimestamp":
		return appendZone(dst, r, "")
	case debezium + "time.ZonedTime":
		return appendZone(dst, r, "+00")
	case debezium + "data.Json":
		return appendJSONText(dst, r)
	}
	switch {
	case s.Type == "struct" && first == '{':
		return s.appendStruct(dst, r)
	case s.Type == "array" && first == '[':
		return s.appendArray(dst, r)
	default:
		return (*connectSchema)(nil).append(dst, r)
	}
}

func (s *connectSchema) appendStruct(dst []byte, r *reader) ([]byte, *Error) {
	dst = append(dst, '{')
	some := false
	err := r.members(func(name []byte) (err *Error) {
		if some {
			dst = append(dst, ',')
		}
		some = true
		dst = append(append(dst, name...), ':')
		field := s.field(string(unquote(name)))
		if dst, err = field.append(dst, r); err != nil {
			return in("field "+string(name), err)
		}
		return nil
	})
	return append(dst, '}'), err
}

func (s *connectSchema) appendArray(dst []byte, r *reader) ([]byte, *Error) {
	dst = append(dst, '[')
	some := false
	err := r.elements(func() (err *Error) {
		if some {
			dst = append(dst, ',')
		}
		some = true
		dst, err = s.Items.append(dst, r)
		return err
	})
	return append(dst, ']'), err
}

// appendTicks reads a count of units from 1970 (of a clock: from midnight).
func appendTicks(dst []byte, r *reader, unit time.Duration, format func(seconds int64, nanos int64) string) ([]byte, *Error) {
	value, err := r.scalar()
	if err != nil {
		return nil, err
	}
	n, failed := strconv.ParseInt(string(value), 10, 64)
	if failed != nil {
		return nil, wrong(Type, "not a count of time")
	}
	seconds, nanos, ok := split(n, unit)
	if !ok {
		return nil, wrong(Type, "a time out of any range")
	}
	dst = append(dst, '"')
	dst = append(dst, format(seconds, nanos)...)
	return append(dst, '"'), nil
}

// split gives n units as seconds and the rest, which is never negative.
func split(n int64, unit time.Duration) (seconds, nanos int64, ok bool) {
	if unit >= time.Second {
		const most = 1 << 40 // days: far behind any calendar, far from overflow
		return n * int64(unit/time.Second), 0, -most < n && n < most
	}
	perSecond := int64(time.Second / unit)
	seconds, nanos = n/perSecond, n%perSecond*int64(unit)
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+int64(time.Second)
	}
	return seconds, nanos, true
}

// appendZone appends a time in ISO 8601 with the zone of its form in place of a Z: none for what is without a zone (Debezium
// puts a Z there all the same), PostgreSQL's +00 for a time of day with one.
func appendZone(dst []byte, r *reader, zone string) ([]byte, *Error) {
	value, err := r.scalar()
	if err != nil {
		return nil, err
	}
	if text, ok := bytes.CutSuffix(value, []byte(`Z"`)); ok {
		return append(append(append(dst, text...), zone...), '"'), nil
	}
	return append(dst, value...), nil
}

func formatDate(seconds, _ int64) string {
	t := time.Unix(seconds, 0).UTC()
	return ofEra(t, "-01-02", "")
}

func formatTimestamp(seconds, nanos int64) string {
	t := time.Unix(seconds, nanos).UTC()
	if t.Year() >= 1 && t.Year() <= 9999 {
		return t.Format("2006-01-02T15:04:05.999999999")
	}
	return ofEra(t, "-01-02", " 15:04:05.999999999")
}

// ofEra formats a day as PostgreSQL does, years before 1 with BC.
func ofEra(t time.Time, day, clock string) string {
	year, era := t.Year(), ""
	if year < 1 {
		year, era = 1-year, " BC"
	}
	digits := strconv.Itoa(year)
	return strings.Repeat("0", max(0, 4-len(digits))) + digits + t.Format(day+clock) + era
}

// formatClock gives 24:00:00 for the end of a day, as PostgreSQL does.
func formatClock(seconds, nanos int64) string {
	if seconds == 24*60*60 && nanos == 0 {
		return "24:00:00"
	}
	return time.Unix(seconds, nanos).UTC().Format("15:04:05.999999999")
}

// maxScale is larger than any database's.
const maxScale = 100_000

// appendDecimal reads an unscaled number as base64 of its big-endian two's complement.
func (s *connectSchema) appendDecimal(dst []byte, r *reader) ([]byte, *Error) {
	value, err := r.scalar()
	if err != nil {
		return nil, err
	}
	if value[0] != '"' { // the converter was told to write decimals as numbers
		return append(dst, value...), nil
	}
	scale, failed := strconv.Atoi(s.Parameters["scale"])
	if failed != nil {
		return nil, wrong(Type, "a decimal whose schema has no scale")
	}
	return appendUnscaled(dst, value, scale)
}

func appendVariableDecimal(dst []byte, r *reader) ([]byte, *Error) {
	value, _, err := r.value()
	if err != nil {
		return nil, err
	}
	unscaled := memberOf(value, `"value"`)
	scale, failed := strconv.Atoi(string(memberOf(value, `"scale"`)))
	if failed != nil || len(unscaled) == 0 || unscaled[0] != '"' {
		return nil, wrong(Type, "a decimal without scale or value")
	}
	return appendUnscaled(dst, unscaled, scale)
}

func appendUnscaled(dst, quoted []byte, scale int) ([]byte, *Error) {
	b, err := base64.StdEncoding.DecodeString(string(unquote(quoted)))
	if err != nil || len(b) == 0 {
		return nil, wrong(Type, "a decimal that isn't base64")
	}
	if scale > maxScale || scale < -maxScale {
		return nil, wrong(Limit, "a decimal of scale %d", scale)
	}
	n := new(big.Int).SetBytes(b)
	if b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	if n.Sign() < 0 {
		dst = append(dst, '-')
		n.Neg(n)
	}
	digits := n.String()
	if scale <= 0 {
		dst = append(dst, digits...)
		if n.Sign() != 0 {
			dst = append(dst, bytes.Repeat([]byte{'0'}, -scale)...)
		}
		return dst, nil
	}
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	dst = append(append(dst, digits[:len(digits)-scale]...), '.')
	return append(dst, digits[len(digits)-scale:]...), nil
}

// appendJSONText turns JSON in a string into itself.
func appendJSONText(dst []byte, r *reader) ([]byte, *Error) {
	value, err := r.scalar()
	if err != nil {
		return nil, err
	}
	return append(dst, jsonIn(value)...), nil
}

// jsonIn is the JSON that a string holds, or the value as it is where it holds none.
func jsonIn(value []byte) []byte {
	if value[0] != '"' || hasLoneSurrogate(value) {
		return value
	}
	if inner, err := oneValue(unquote(value)); err == nil {
		return inner
	}
	return value
}
