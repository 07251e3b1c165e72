package normalize

import (
	"bytes"
	"unicode/utf16"
)

// unambiguous reads a value and fails where a name stands twice in an object, or a string holds half of a surrogate
// pair: readers of JSON differ in what they make of these.
func (r *reader) unambiguous() *Error {
	switch r.peek() {
	case '{':
		seen := map[string]bool{}
		return r.members(func(quoted []byte) *Error {
			if hasLoneSurrogate(quoted) {
				return wrong(Malformed, "half of a surrogate pair")
			}
			name := string(unquote(quoted))
			if seen[name] {
				return wrong(Malformed, "a name stands twice")
			}
			seen[name] = true
			return r.unambiguous()
		})
	case '[':
		return r.elements(r.unambiguous)
	default:
		value, err := r.scalar()
		if err == nil && value[0] == '"' && hasLoneSurrogate(value) {
			return wrong(Malformed, "half of a surrogate pair")
		}
		return err
	}
}

// hasLoneSurrogate looks for an escape such as \ud800 that isn't followed, or preceded, by its other half.
func hasLoneSurrogate(quoted []byte) bool {
	for i := bytes.IndexByte(quoted, '\\'); i >= 0 && i+1 < len(quoted); i++ {
		if quoted[i] != '\\' {
			continue
		}
		i++ // on the escape's letter
		if quoted[i] != 'u' {
			continue
		}
		high := rune(hexValue(quoted[i+1 : i+5]))
		i += 4
		if !utf16.IsSurrogate(high) {
			continue
		}
		if !bytes.HasPrefix(quoted[i+1:], []byte(`\u`)) {
			return true
		}
		if utf16.DecodeRune(high, rune(hexValue(quoted[i+3:i+7]))) == '\ufffd' {
			return true
		}
		i += 6
	}
	return false
}

func hexValue(digits []byte) int {
	n := 0
	for _, c := range digits {
		switch {
		case c <= '9':
			n = n<<4 | int(c-'0')
		default:
			n = n<<4 | int(c|0x20-'a'+10)
		}
	}
	return n
}
