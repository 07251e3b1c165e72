package schemas

import (
	"regexp"
	"strings"

	"datawatch/pkg/cel"
)

// textFormats are the formats that JSON Schema lacks and our field needs.
var textFormats = map[string]func(string) bool{
	"decimal": isDecimal, "money": isMoney, "currency": isCurrency, "iban": isIBAN, "luhn": isLuhn, "objectid": isObjectID, "phone": isPhone,
}

// formats are the same as the library asks them. Values that are no strings pass, as with all formats.
var formats = func() map[string]func(any) bool {
	all := map[string]func(any) bool{}
	for name, valid := range textFormats {
		all[name] = text(valid)
	}
	return all
}()

// TextFormat is what a format of ours, and not of JSON Schema's, says of a string; nil: it is none.
func TextFormat(name string) func(string) bool { return textFormats[name] }

func text(valid func(string) bool) func(any) bool {
	return func(v any) bool {
		s, ok := v.(string)
		return !ok || valid(s)
	}
}

// isDecimal accepts a number as JSON writes it.
func isDecimal(s string) bool {
	_, err := cel.NumberValue(s)
	return err == nil
}

var money = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]{1,4})?( [A-Z]{3})?$`)

// isMoney accepts an amount without an exponent, of at most four digits after the point (the most that ISO 4217 gives a
// currency), or with a currency behind it of at most the digits that it has: "149.98", "149.98 USD", "150000 VND".
func isMoney(s string) bool {
	if len(s) > cel.MaxNumberLength || !money.MatchString(s) {
		return false
	}
	amount, code, named := strings.Cut(s, " ")
	if !named {
		return true
	}
	units, known := cel.MinorUnits(code)
	_, digits, _ := strings.Cut(amount, ".")
	return known && len(digits) <= units
}

// isCurrency accepts the alphabetic codes of ISO 4217.
func isCurrency(s string) bool {
	_, ok := cel.MinorUnits(s)
	return ok
}

// isObjectID accepts MongoDB's ObjectId as hex.
func isObjectID(s string) bool {
	return len(s) == 24 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

var phone = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// isPhone accepts an international number as E.164 writes it: a plus, the country code, at most 15 digits.
func isPhone(s string) bool { return phone.MatchString(s) }

// isLuhn accepts digits whose last one is right by Luhn's formula (ISO/IEC 7812-1), as card numbers and IMEIs have it.
func isLuhn(s string) bool {
	if len(s) < 2 || len(s) > 32 {
		return false
	}
	sum := 0
	for i := range len(s) {
		c := s[len(s)-1-i]
		if c < '0' || c > '9' {
			return false
		}
		d := int(c - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// ibanLengths are the lengths of the countries in the IBAN registry of SWIFT.
var ibanLengths = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28, "CH": 21, "CR": 22,
	"CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22,
	"GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30,
	"KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20,
	"MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22,
	"RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26,
	"UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}

// isIBAN accepts an IBAN (ISO 13616) with the length of its country and right check digits, in capitals, without blanks or in
// groups of four.
func isIBAN(s string) bool {
	if strings.Contains(s, " ") {
		for i := range len(s) {
			if (s[i] == ' ') != (i%5 == 4) {
				return false
			}
		}
		s = strings.ReplaceAll(s, " ", "")
	}
	if len(s) < 15 || ibanLengths[s[:2]] != len(s) || s[2:4] < "02" || s[2:4] > "98" || s[3] > '9' { // 00, 01 and 99 leave the same rest as 97, 98 and 02
		return false
	}
	rest := 0
	for _, c := range []byte(s[4:] + s[:4]) {
		switch {
		case c >= '0' && c <= '9':
			rest = (rest*10 + int(c-'0')) % 97
		case c >= 'A' && c <= 'Z':
			rest = (rest*100 + int(c-'A') + 10) % 97
		default:
			return false
		}
	}
	return rest == 1
}
