package accept

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/validator/internal/schemas"
)

// format asks the function that the library asks.
type format struct {
	check  func(any) bool
	surely func(string) bool // nil, or true only where check is: for the common forms, at less cost
	own    bool              // it may judge values that are no texts
}

// newFormat is nil for a format that nobody knows: it accepts everything.
func newFormat(name string) *format {
	check := schemas.Format(name)
	if check == nil {
		return nil
	}
	f := &format{check: check}
	if theirs := jsonschema.Formats[name]; theirs == nil || reflect.ValueOf(theirs).Pointer() != reflect.ValueOf(check).Pointer() {
		f.own, f.surely = true, schemas.TextFormat(name)
	} else {
		f.surely = common[name]
	}
	return f
}

// common are forms that most values of these formats have.
var common = map[string]func(string) bool{
	"date-time": func(s string) bool { return len(s) > 11 && s[10] == 'T' && isDate(s[:10]) && isUTCTime(s[11:]) },
	"date":      isDate, "time": isUTCTime, "uuid": isUUID, "email": isEmail,
}

func (f *format) text(s string) answer {
	if f.surely != nil && f.surely(s) || f.check(s) {
		return yes
	}
	return no
}

// other judges a value that isn't a text. The library's own formats accept all of these.
func (f *format) other(t *tape, i int32) answer {
	if !f.own {
		return yes
	}
	var value any
	switch k := &t.tokens[i]; k.kind {
	case null:
	case boolean:
		value = k.flags&truth != 0
	case number:
		value = json.Number(t.span(i))
	default:
		return unknown
	}
	if f.check(value) {
		return yes
	}
	return no
}

// two reads two digits, and is 99 or more for anything else.
func two(s string, i int) int {
	a, b := s[i]-'0', s[i+1]-'0'
	if a > 9 || b > 9 {
		return 100
	}
	return int(a)*10 + int(b)
}

var monthDays = [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

func isDate(s string) bool {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return false
	}
	century, year, month, day := two(s, 0), two(s, 2), two(s, 5), two(s, 8)
	if century > 99 || year > 99 || month < 1 || month > 12 || day < 1 {
		return false
	}
	days := monthDays[month-1]
	if y := 100*century + year; month == 2 && y%4 == 0 && (y%100 != 0 || y%400 == 0) {
		days = 29
	}
	return day <= days
}

// isUTCTime accepts hh:mm:ss with a fraction or without, and Z.
func isUTCTime(s string) bool {
	if len(s) < 9 || s[2] != ':' || s[5] != ':' || s[len(s)-1] != 'Z' {
		return false
	}
	if two(s, 0) > 23 || two(s, 3) > 59 || two(s, 6) > 59 {
		return false
	}
	if len(s) == 9 {
		return true
	}
	for i := 9; i < len(s)-1; i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s[8] == '.' && len(s) > 10
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// isEmail accepts plain addresses: words of letters and digits, joined by dots, underscores or dashes.
func isEmail(s string) bool {
	at := strings.IndexByte(s, '@')
	if at < 1 || at > 64 || len(s) > 254 {
		return false
	}
	return isWords(s[:at], true) && isWords(s[at+1:], false)
}

// isWords accepts words joined by single characters, in a domain of at most 63 characters from dot to dot.
func isWords(s string, local bool) bool {
	joined, label := true, 0
	for i := range len(s) {
		c := s[i]
		switch {
		case isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z':
			joined = false
			label++
		case joined:
			return false
		case c == '.':
			joined, label = true, 0
		case c == '-' || local && (c == '_' || c == '+'):
			joined = true
			label++
		default:
			return false
		}
		if label > 63 && !local {
			return false
		}
	}
	return !joined
}
