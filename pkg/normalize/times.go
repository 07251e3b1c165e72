package normalize

import (
	"bytes"
	"time"
)

// appendTime gives a timestamp its ISO 8601 form, one with a zone RFC 3339 in UTC. What has neither (infinity, years
// before 1 and after 9999) is PostgreSQL's own text, which to_json differs from.
func appendTime(dst []byte, r *reader, zoned bool) ([]byte, *Error) {
	value, err := r.scalar()
	if err != nil {
		return nil, err
	}
	if value[0] != '"' {
		return nil, wrong(Type, "not a time")
	}
	text := value[1 : len(value)-1]
	if string(text) == "infinity" || string(text) == "-infinity" {
		return append(dst, value...), nil
	}
	t, ok := splitTime(text, zoned)
	if !ok {
		return nil, wrong(Type, "not a time as PostgreSQL writes it (DateStyle is to be ISO)")
	}
	dst = append(dst, '"')
	switch {
	case t.bc || len(t.year) > 4:
		dst = t.appendPostgres(dst, zoned)
	case !zoned:
		dst = append(append(append(dst, t.date...), 'T'), t.clock...)
	case t.isUTC():
		dst = append(append(append(append(dst, t.date...), 'T'), t.clock...), 'Z')
	default:
		dst = t.appendUTC(dst)
	}
	return append(dst, '"'), nil
}

// timeText is a timestamp's text in its parts.
type timeText struct {
	date  []byte // 2006-01-02
	year  []byte
	clock []byte // 15:04:05.999999
	zone  []byte // +07, +05:30, +07:06:40, Z; empty without a zone
	bc    bool
}

// splitTime takes both "2006-01-02T15:04:05.9+00:00" (to_json) and "2006-01-02 15:04:05.9+00" (the type's output).
func splitTime(text []byte, zoned bool) (t timeText, ok bool) {
	text, t.bc = bytes.CutSuffix(text, []byte(" BC"))
	at := bytes.IndexAny(text, "T ")
	if at < 0 {
		return t, false
	}
	t.date, t.clock = text[:at], text[at+1:]
	if zoned {
		from := bytes.IndexAny(t.clock, "+-Z")
		if from < 0 {
			return t, false
		}
		t.clock, t.zone = t.clock[:from], t.clock[from:]
	}
	n := digits(t.date)
	if n < 4 || n > 6 || !matches(t.date[n:], "-00-00") || len(t.clock) < 8 || !matches(t.clock[:8], "00:00:00") {
		return t, false
	}
	t.year = t.date[:n]
	if fraction := t.clock[8:]; len(fraction) > 0 && (fraction[0] != '.' || len(fraction) == 1 || digits(fraction[1:]) != len(fraction)-1) {
		return t, false
	}
	return t, !zoned || string(t.zone) == "Z" || matchesAny(t.zone[1:], "00", "00:00", "00:00:00")
}

// matches compares with a pattern in which 0 stands for any digit.
func matches(text []byte, pattern string) bool {
	if len(text) != len(pattern) {
		return false
	}
	for i, c := range text {
		if pattern[i] == '0' && (c < '0' || c > '9') || pattern[i] != '0' && c != pattern[i] {
			return false
		}
	}
	return true
}

func matchesAny(text []byte, patterns ...string) bool {
	for _, p := range patterns {
		if matches(text, p) {
			return true
		}
	}
	return false
}

func (t *timeText) isUTC() bool {
	for _, c := range t.zone {
		if c >= '1' && c <= '9' {
			return false
		}
	}
	return true
}

// appendPostgres appends what the type's output function prints.
func (t *timeText) appendPostgres(dst []byte, zoned bool) []byte {
	dst = append(append(append(dst, t.date...), ' '), t.clock...)
	switch zone := t.zone; {
	case !zoned:
	case string(zone) == "Z":
		dst = append(dst, "+00"...)
	default:
		for len(zone) > 3 && bytes.HasSuffix(zone, []byte(":00")) {
			zone = zone[:len(zone)-3]
		}
		dst = append(dst, zone...)
	}
	if t.bc {
		dst = append(dst, " BC"...)
	}
	return dst
}

// appendUTC moves a time of another zone to UTC; its fraction stays digit for digit.
func (t *timeText) appendUTC(dst []byte) []byte {
	day, err := time.Parse("2006-01-02 15:04:05", string(t.date)+" "+string(t.clock[:8]))
	if err != nil {
		return t.appendPostgres(dst, true)
	}
	offset := time.Duration(0)
	for i, unit := 1, time.Hour; i+1 < len(t.zone); i, unit = i+3, unit/60 {
		offset += time.Duration(int(t.zone[i]-'0')*10+int(t.zone[i+1]-'0')) * unit
	}
	if t.zone[0] == '-' {
		offset = -offset
	}
	utc := day.Add(-offset)
	if utc.Year() < 1 || utc.Year() > 9999 {
		return t.appendPostgres(dst, true)
	}
	dst = utc.AppendFormat(dst, "2006-01-02T15:04:05")
	return append(append(dst, t.clock[8:]...), 'Z')
}
