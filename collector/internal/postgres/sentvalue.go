package postgres

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5/pgtype"
)

// appendSent turns the binary form of a value into what to_json makes of it.
type appendSent func(dst, value []byte) ([]byte, error)

// sendable are the types whose binary form is known here. Those of floating point aren't among them: the shortest text of
// such a number isn't the same everywhere. Of types that others brought along, the form isn't known.
var sendable = map[uint32]appendSent{
	pgtype.BoolOID: appendSentBool,
	pgtype.Int2OID: appendSentInt, pgtype.Int4OID: appendSentInt, pgtype.Int8OID: appendSentInt, pgtype.NumericOID: appendSentNumeric,
	pgtype.TextOID: appendSentText, pgtype.VarcharOID: appendSentText, pgtype.BPCharOID: appendSentText, pgtype.NameOID: appendSentText,
	pgtype.UUIDOID: appendSentUUID, pgtype.ByteaOID: appendSentBytea, pgtype.JSONOID: appendSentJSON, pgtype.JSONBOID: appendSentJSONB,
	pgtype.DateOID: appendSentDate, pgtype.TimeOID: appendSentTime,
	pgtype.TimestampOID: appendSentTimestamp, pgtype.TimestamptzOID: appendSentTimestamptz,
}

func appendSentBool(dst, value []byte) ([]byte, error) {
	if len(value) != 1 {
		return dst, errSent
	}
	return strconv.AppendBool(dst, value[0] != 0), nil
}

// sentInt reads a number of 2, 4 or 8 bytes.
func sentInt(value []byte) (int64, error) {
	switch len(value) {
	case 2:
		return int64(int16(binary.BigEndian.Uint16(value))), nil
	case 4:
		return int64(int32(binary.BigEndian.Uint32(value))), nil
	case 8:
		return int64(binary.BigEndian.Uint64(value)), nil
	}
	return 0, errSent
}

func appendSentInt(dst, value []byte) ([]byte, error) {
	n, err := sentInt(value)
	return strconv.AppendInt(dst, n, 10), err
}

func appendSentText(dst, value []byte) ([]byte, error) { return AppendJSONText(dst, value), nil }

func appendSentJSON(dst, value []byte) ([]byte, error) { return append(dst, value...), nil }

func appendSentJSONB(dst, value []byte) ([]byte, error) {
	if len(value) == 0 || value[0] != 1 { // the version of the form
		return dst, errSent
	}
	return append(dst, value[1:]...), nil
}

func appendSentBytea(dst, value []byte) ([]byte, error) {
	dst = append(dst, `"\\x`...)
	return append(hex.AppendEncode(dst, value), '"'), nil
}

func appendSentUUID(dst, value []byte) ([]byte, error) {
	if len(value) != 16 {
		return dst, errSent
	}
	dst = append(dst, '"')
	for i, end := range []int{4, 6, 8, 10, 16} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, value[[]int{0, 4, 6, 8, 10}[i]:end])
	}
	return append(dst, '"'), nil
}

// Signs of a numeric that are none.
const (
	numericNegative = 0x4000
	numericNaN      = 0xC000
	numericInfinity = 0xD000
	numericMinusInf = 0xF000
)

// appendSentNumeric reads numeric_send (src/backend/utils/adt/numeric.c): how many digits to the base of 10,000 there are, up to 36,864 and
// so without a sign, the weight of the first one, and how many decimal places are shown.
func appendSentNumeric(dst, value []byte) ([]byte, error) {
	if len(value) < 8 || len(value)%2 != 0 {
		return dst, errSent
	}
	field := func(i int) int { return int(int16(binary.BigEndian.Uint16(value[2*i:]))) }
	count, weight, sign, scale := int(binary.BigEndian.Uint16(value)), field(1), binary.BigEndian.Uint16(value[4:]), field(3)
	if count != len(value)/2-4 || scale < 0 {
		return dst, errSent
	}
	digit := func(i int) int {
		if i < 0 || i >= count {
			return 0
		}
		return field(4 + i)
	}
	switch sign {
	case numericNaN:
		return append(dst, `"NaN"`...), nil
	case numericInfinity:
		return append(dst, `"Infinity"`...), nil
	case numericMinusInf:
		return append(dst, `"-Infinity"`...), nil
	case numericNegative:
		dst = append(dst, '-')
	case 0:
	default:
		return dst, errSent
	}
	if weight < 0 {
		dst = append(dst, '0')
	}
	for i := 0; i <= weight; i++ {
		dst = appendPadded(dst, digit(i), min(1+3*i, 4))
	}
	if scale == 0 {
		return dst, nil
	}
	dst = append(dst, '.')
	end := len(dst) + scale
	for i := weight + 1; len(dst) < end; i++ {
		dst = appendPadded(dst, digit(i), 4)
	}
	return dst[:end], nil
}

// appendPadded writes a number with at least so many digits, up to 6.
func appendPadded(dst []byte, n, digits int) []byte {
	for limit := [...]int{1, 10, 100, 1000, 10_000, 100_000}[digits-1]; n < limit && limit > 1; limit /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(n), 10)
}

// Days and microseconds count from 2000-01-01.
const (
	daysTo2000   = 10957 // from 1970-01-01
	microsADay   = 86_400_000_000
	infinity     = `"infinity"`
	infinityLess = `"-infinity"`
)

func appendSentDate(dst, value []byte) ([]byte, error) {
	days, err := sentInt(value)
	switch {
	case err != nil || len(value) != 4:
		return dst, errSent
	case days == math.MaxInt32:
		return append(dst, infinity...), nil
	case days == math.MinInt32:
		return append(dst, infinityLess...), nil
	}
	dst = append(dst, '"')
	dst, common := appendDay(dst, days)
	return append(appendEra(dst, common), '"'), nil
}

func appendSentTime(dst, value []byte) ([]byte, error) {
	micros, err := sentInt(value)
	if err != nil || len(value) != 8 || micros < 0 || micros > microsADay {
		return dst, errSent
	}
	return append(appendClock(append(dst, '"'), micros), '"'), nil
}

func appendSentTimestamp(dst, value []byte) ([]byte, error) { return appendMoment(dst, value, "") }

func appendSentTimestamptz(dst, value []byte) ([]byte, error) {
	return appendMoment(dst, value, "+00:00")
}

func appendMoment(dst, value []byte, zone string) ([]byte, error) {
	micros, err := sentInt(value)
	switch {
	case err != nil || len(value) != 8:
		return dst, errSent
	case micros == math.MaxInt64:
		return append(dst, infinity...), nil
	case micros == math.MinInt64:
		return append(dst, infinityLess...), nil
	}
	days, clock := micros/microsADay, micros%microsADay
	if clock < 0 {
		days, clock = days-1, clock+microsADay
	}
	dst = append(dst, '"')
	dst, common := appendDay(dst, days)
	dst = append(appendClock(append(dst, 'T'), clock), zone...)
	return append(appendEra(dst, common), '"'), nil
}

// appendDay writes the day of the Gregorian calendar so many days behind 2000-01-01; common tells that it is of the common
// era. It counts in eras of 400 years that begin with a March.
func appendDay(dst []byte, days int64) (_ []byte, common bool) {
	const era, toMarch0 = 146097, 719468 // days of 400 years, and from 0000-03-01 to 1970-01-01
	n := days + daysTo2000 + toMarch0
	eras := n / era
	if n < 0 {
		eras = (n - era + 1) / era
	}
	n -= eras * era
	year := (n - n/1460 + n/36524 - n/146096) / 365
	n -= 365*year + year/4 - year/100
	month := (5*n + 2) / 153 // from March
	day := n - (153*month+2)/5 + 1
	year += eras * 400
	if month += 3; month > 12 {
		month, year = month-12, year+1
	}
	common = year > 0
	if !common {
		year = 1 - year
	}
	dst = appendPadded(dst, int(year), 4)
	dst = appendPadded(append(dst, '-'), int(month), 2)
	return appendPadded(append(dst, '-'), int(day), 2), common
}

func appendEra(dst []byte, common bool) []byte {
	if common {
		return dst
	}
	return append(dst, " BC"...)
}

// appendClock writes the time of the day, without zeros at the end of its fraction.
func appendClock(dst []byte, micros int64) []byte {
	seconds := micros / 1_000_000
	dst = appendPadded(dst, int(seconds/3600), 2)
	dst = appendPadded(append(dst, ':'), int(seconds/60%60), 2)
	dst = appendPadded(append(dst, ':'), int(seconds%60), 2)
	if micros %= 1_000_000; micros == 0 {
		return dst
	}
	dst = appendPadded(append(dst, '.'), int(micros), 6)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}
