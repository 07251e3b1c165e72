package cel

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// stringFunctions are those of cel-go and its strings extension. Places are
// counted in characters.
var stringFunctions = map[string]function{
	"contains":    {method: true, args: []Type{String, String}, result: Bool, call: over(func(s, t string) bool { return strings.Contains(s, t) })},
	"startsWith":  {method: true, args: []Type{String, String}, result: Bool, call: over(strings.HasPrefix)},
	"endsWith":    {method: true, args: []Type{String, String}, result: Bool, call: over(strings.HasSuffix)},
	"matches":     {global: true, method: true, args: []Type{String, String}, result: Bool, call: matches, check: checkPattern},
	"lowerAscii":  {method: true, args: []Type{String}, result: String, call: mapped(lowerASCII)},
	"upperAscii":  {method: true, args: []Type{String}, result: String, call: mapped(upperASCII)},
	"trim":        {method: true, args: []Type{String}, result: String, call: mapped(strings.TrimSpace)},
	"reverse":     {method: true, args: []Type{String}, result: String, call: mapped(reversed)},
	"split":       {method: true, args: []Type{String, String, Number}, optional: 1, result: List, call: split},
	"replace":     {method: true, args: []Type{String, String, String, Number}, optional: 1, result: String, call: replace},
	"join":        {method: true, args: []Type{List, String}, optional: 1, result: String, call: join},
	"substring":   {method: true, args: []Type{String, Number, Number}, optional: 1, result: String, call: substring},
	"charAt":      {method: true, args: []Type{String, Number}, result: String, call: charAt},
	"indexOf":     {method: true, args: []Type{String, String}, result: Number, call: found(strings.Index)},
	"lastIndexOf": {method: true, args: []Type{String, String}, result: Number, call: found(strings.LastIndex)},
}

// scanned charges for reading a text.
func (f *frame) scanned(s string) *EvalError { return f.charge(len(s) / 16) }

func over(test func(s, t string) bool) func(*frame, *node, [4]Value) Value {
	return func(f *frame, _ *node, a [4]Value) Value {
		if err := f.scanned(a[0].text); err != nil {
			return failureOf(err)
		}
		return BoolValue(test(a[0].text, a[1].text))
	}
}

func mapped(change func(string) string) func(*frame, *node, [4]Value) Value {
	return func(f *frame, _ *node, a [4]Value) Value {
		if err := f.scanned(a[0].text); err != nil {
			return failureOf(err)
		}
		return StringValue(change(a[0].text))
	}
}

func found(index func(s, t string) int) func(*frame, *node, [4]Value) Value {
	return func(f *frame, _ *node, a [4]Value) Value {
		if err := f.scanned(a[0].text); err != nil {
			return failureOf(err)
		}
		at := index(a[0].text, a[1].text)
		if at > 0 {
			at = utf8.RuneCountInString(a[0].text[:at])
		}
		return IntValue(int64(at))
	}
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}

func upperASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - ('a' - 'A')
		}
		return r
	}, s)
}

func reversed(s string) string {
	runes := []rune(s)
	for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
		runes[i], runes[j] = runes[j], runes[i]
	}
	return string(runes)
}

// maxPattern bounds a pattern that comes from the data; RE2 takes time in
// proportion to pattern and text.
const maxPattern = 256

func checkPattern(args []*node) string {
	l := args[1].literal
	if l == nil {
		return ""
	}
	re, err := regexp.Compile(l.text)
	if err != nil {
		return "the pattern is wrong: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	}
	l.ref = re // a String's ref is otherwise empty: the pattern is compiled once
	v := *l
	args[1].eval = func(*frame) Value { return v }
	return ""
}

func matches(f *frame, n *node, a [4]Value) Value {
	re, ok := a[1].ref.(*regexp.Regexp)
	if !ok {
		if len(a[1].text) > maxPattern {
			return failureOf(n.errorf(LimitError, "a pattern of more than %d characters that isn't a literal", maxPattern))
		}
		if err := f.charge(10 * len(a[1].text)); err != nil {
			return failureOf(err)
		}
		var err error
		if re, err = regexp.Compile(a[1].text); err != nil {
			return failureOf(n.errorf(ValueError, "matches() with a pattern that is wrong"))
		}
	}
	if err := f.charge(len(a[0].text)); err != nil {
		return failureOf(err)
	}
	return BoolValue(re.MatchString(a[0].text))
}

// count reads a number of pieces or a place; a missing one is the default.
func count(n *node, v Value, otherwise int) (int, *EvalError) {
	if v.kind == 0 {
		return otherwise, nil
	}
	i, ok := v.number().asInt()
	if !ok || i > 1<<31 || i < -1<<31 {
		return 0, n.errorf(ValueError, "a whole number is needed here")
	}
	return int(i), nil
}

func split(f *frame, n *node, a [4]Value) Value {
	pieces, err := count(n, a[2], -1)
	if err == nil {
		err = f.charge(len(a[0].text))
	}
	if err != nil {
		return failureOf(err)
	}
	parts := strings.SplitN(a[0].text, a[1].text, pieces)
	made := make([]Value, len(parts))
	for i, part := range parts {
		made[i] = StringValue(part)
	}
	return newList(made)
}

// replace knows the size of its result before it makes it: a text can grow by
// the square of itself.
func replace(f *frame, n *node, a [4]Value) Value {
	times, err := count(n, a[3], -1)
	if err != nil {
		return failureOf(err)
	}
	places := strings.Count(a[0].text, a[1].text)
	if times >= 0 {
		places = min(places, times)
	}
	if err := f.charge((len(a[0].text) + places*len(a[2].text)) / 16); err != nil {
		return failureOf(err)
	}
	return StringValue(strings.Replace(a[0].text, a[1].text, a[2].text, times))
}

func join(f *frame, n *node, a [4]Value) Value {
	l := a[0].list()
	parts := make([]string, l.Size())
	for i := range parts {
		v := l.At(i)
		switch {
		case v.kind == failure:
			return v
		case v.kind != String:
			return failureOf(n.errorf(TypeError, "join() of a list with %s in it", v.kind.one()))
		}
		parts[i] = v.text
		if err := f.charge(1 + (len(v.text)+len(a[1].text))/16); err != nil {
			return failureOf(err)
		}
	}
	return StringValue(strings.Join(parts, a[1].text))
}

func substring(f *frame, n *node, a [4]Value) Value {
	if err := f.scanned(a[0].text); err != nil {
		return failureOf(err)
	}
	runes := []rune(a[0].text)
	from, err := count(n, a[1], 0)
	if err != nil {
		return failureOf(err)
	}
	to, err := count(n, a[2], len(runes))
	if err != nil {
		return failureOf(err)
	}
	if from < 0 || to > len(runes) || from > to {
		return failureOf(n.errorf(ValueError, "substring() beyond the text"))
	}
	return StringValue(string(runes[from:to]))
}

func charAt(f *frame, n *node, a [4]Value) Value {
	if err := f.scanned(a[0].text); err != nil {
		return failureOf(err)
	}
	runes := []rune(a[0].text)
	at, err := count(n, a[1], 0)
	if err != nil {
		return failureOf(err)
	}
	if at < 0 || at > len(runes) {
		return failureOf(n.errorf(ValueError, "charAt() beyond the text"))
	}
	if at == len(runes) {
		return StringValue("")
	}
	return StringValue(string(runes[at]))
}
