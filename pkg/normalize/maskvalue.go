package normalize

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"datawatch/pkg/event"
)

// rulesOf gives how a member is masked as a whole ("" for not at all), and the rules for what is inside it.
func rulesOf(rules []maskRule, name string) (how string, nested []maskRule) {
	for _, rule := range rules {
		if rule.path == name {
			return rule.how, nil
		}
		if rest, ok := strings.CutPrefix(rule.path, name); ok && strings.HasPrefix(rest, ".") {
			nested = append(nested, maskRule{rest[1:], rule.how})
		}
	}
	return "", nested
}

// maskValue masks one JSON text.
func maskValue(text []byte, rules []maskRule) ([]byte, *Error) {
	r := &reader{b: text}
	masked, err := appendMasked(make([]byte, 0, len(text)), r, rules)
	if err != nil {
		return nil, err
	}
	return masked, r.end()
}

// appendMasked appends the value that comes next with its members masked; an array's elements each are.
func appendMasked(dst []byte, r *reader, rules []maskRule) ([]byte, *Error) {
	some := false
	comma := func() {
		if some {
			dst = append(dst, ',')
		}
		some = true
	}
	first := r.peek()
	switch {
	case len(rules) > 0 && first == '{':
		dst = append(dst, '{')
		err := r.members(func(quoted []byte) (err *Error) {
			how, nested := rulesOf(rules, string(unquote(quoted)))
			if how != "" {
				value, spaced, err := r.value()
				if err != nil || how == maskDrop {
					return err
				}
				comma()
				dst = append(append(dst, quoted...), ':')
				dst = appendHidden(dst, appendCompact(nil, value, spaced), how)
				return nil
			}
			comma()
			dst = append(append(dst, quoted...), ':')
			dst, err = appendMasked(dst, r, nested)
			return err
		})
		return append(dst, '}'), err
	case len(rules) > 0 && first == '[':
		dst = append(dst, '[')
		err := r.elements(func() (err *Error) {
			comma()
			dst, err = appendMasked(dst, r, rules)
			return err
		})
		return append(dst, ']'), err
	case len(rules) > 0 && first == '"':
		value, err := r.scalar()
		if err != nil {
			return nil, err
		}
		return appendMaskedText(dst, value, rules)
	default:
		value, spaced, err := r.value()
		return appendCompact(dst, value, spaced), err
	}
}

// appendMaskedText masks an object that stands in a text; a text in which there is nothing to hide stays as it is written.
func appendMaskedText(dst, quoted []byte, rules []maskRule) ([]byte, *Error) {
	text := unquote(quoted)
	inner, err := oneValue(text)
	switch {
	case err != nil && err.Class == Limit:
		return nil, err
	case err != nil || !isObject(inner):
		return append(dst, quoted...), nil //nolint:nilerr // the error says that it isn't JSON: there are no fields in it
	}
	masked, err := maskValue(text, rules)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(masked, inner) {
		return append(dst, quoted...), nil
	}
	return event.AppendString(dst, string(masked)), nil
}

// What begins the texts that stand for hidden values.
const (
	hashed  = "sha256:"
	starred = "****"
)

// isHidden tells whether a string, as it is written, stands for a value that was hidden: it isn't of the type that a schema
// beside it says.
func isHidden(quoted []byte) bool {
	return bytes.HasPrefix(quoted, []byte(`"`+hashed)) || bytes.HasPrefix(quoted, []byte(`"`+starred))
}

// appendHidden appends what stands for a value.
func appendHidden(dst, value []byte, how string) []byte {
	if string(value) == "null" {
		return append(dst, value...)
	}
	text := textOf(value)
	if how == maskHash {
		sum := sha256.Sum256([]byte(text))
		dst = append(dst, `"`+hashed...)
		dst = hex.AppendEncode(dst, sum[:16])
		return append(dst, '"')
	}
	const shown, least = 4, 8
	hidden := starred
	if runes := []rune(text); how != maskAll && len(runes) >= least && value[0] != '{' && value[0] != '[' && utf8.ValidString(text) {
		hidden += string(runes[len(runes)-shown:])
	}
	return event.AppendString(dst, hidden)
}
