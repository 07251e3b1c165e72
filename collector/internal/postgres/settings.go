package postgres

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// settings are bits, one for each setting in pinned.
type settings int

const (
	setTimezone settings = 1 << iota
	setDateStyle
	setIntervalStyle
	setByteaOutput
	setFloatDigits
	setMonetary
	setXMLBinary
	setQuoting // of the names that regclass and its kin print

	allSettings settings = 1<<iota - 1
)

// pinned are the settings of a session that the text of values depends on, as a capture function sets them.
var pinned = []struct{ name, value string }{
	{"timezone", "UTC"}, {"datestyle", "ISO, YMD"}, {"intervalstyle", "postgres"}, {"bytea_output", "hex"},
	{"extra_float_digits", "1"}, {"lc_monetary", "C"}, {"xmlbinary", "base64"}, {"quote_all_identifiers", "off"},
}

// readBy are the settings that JSON of a type depends on. To set one costs each statement of the application some
// microseconds, so a function sets what its columns need, and none where rows are sent in binary form: see
// datawatch.pin_settings. Of types that aren't here, all.
var readBy = map[uint32]settings{
	pgtype.BoolOID: 0, pgtype.Int2OID: 0, pgtype.Int4OID: 0, pgtype.Int8OID: 0, pgtype.NumericOID: 0, pgtype.OIDOID: 0,
	pgtype.TextOID: 0, pgtype.VarcharOID: 0, pgtype.BPCharOID: 0, pgtype.NameOID: 0, pgtype.UUIDOID: 0, pgtype.InetOID: 0,
	pgtype.JSONOID: 0, pgtype.JSONBOID: 0, pgtype.TimeOID: 0,
	pgtype.BoolArrayOID: 0, pgtype.Int2ArrayOID: 0, pgtype.Int4ArrayOID: 0, pgtype.Int8ArrayOID: 0, pgtype.NumericArrayOID: 0,
	pgtype.TextArrayOID: 0, pgtype.VarcharArrayOID: 0, pgtype.UUIDArrayOID: 0,
	// Of these, JSON has ISO 8601 whatever the style of dates.
	pgtype.DateOID: 0, pgtype.TimestampOID: 0, pgtype.TimestamptzOID: setTimezone,
	pgtype.IntervalOID: setIntervalStyle, pgtype.ByteaOID: setByteaOutput,
	pgtype.Float4OID: setFloatDigits, pgtype.Float8OID: setFloatDigits,
}

// settingsOf is what a capture function sets for rows of a shape.
func settingsOf(shape []byte) (settings, error) {
	var d described
	if err := json.Unmarshal(shape, &d); err != nil {
		return 0, fmt.Errorf("read shape: %w", err)
	}
	var needed settings
	for _, c := range d.Columns {
		if d.Types[c.OID].Kind == "e" {
			continue
		}
		oid, err := strconv.ParseUint(c.OID, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("read shape: type of column %q: %w", c.Name, err)
		}
		one, known := readBy[uint32(oid)]
		if !known {
			return allSettings, nil
		}
		needed |= one
	}
	return needed, nil
}

// String is the clauses of CREATE FUNCTION.
func (s settings) String() string {
	var b strings.Builder
	for i, p := range pinned {
		if s&(1<<i) != 0 {
			b.WriteString("\nset " + p.name + " = '" + p.value + "'")
		}
	}
	return b.String()
}

// settingsSQL is what datawatch.pin_settings and datawatch.restore_settings do to all of them.
func settingsSQL() (were, pin, restore string) {
	var reads, sets, restores []string
	for i, p := range pinned {
		reads = append(reads, fmt.Sprintf("current_setting('%s')", p.name))
		sets = append(sets, fmt.Sprintf("set_config('%s', '%s', true)", p.name, p.value))
		restores = append(restores, fmt.Sprintf("set_config('%s', were[%d], true)", p.name, i+1))
	}
	return strings.Join(reads, ", "), strings.Join(sets, ", "), strings.Join(restores, ", ")
}
