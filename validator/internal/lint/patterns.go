package lint

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
)

// classes are escapes that other regular expressions have, and the nearest that RE2 has.
var classes = []struct{ theirs, ours string }{
	{`\h`, `[ \t]`}, {`\R`, `(?:\r\n|\n|\r)`}, {`\Z`, `\z`}, {`\e`, `\x1b`}, {`\cJ`, `\n`}, {`\p{Alpha}`, `\pL`}, {`\p{Digit}`, `\d`},
	{`\p{Alnum}`, `[[:alnum:]]`}, {`\p{L}`, `\pL`},
}

var (
	onlyAhead   = regexp.MustCompile(`^\^\(\?!([^()]*)\)(.*)$`)
	unicodeCode = regexp.MustCompile(`\\u([0-9a-fA-F]{4})`)
	possessive  = regexp.MustCompile(`([*+?}])\+`)
	largeRepeat = regexp.MustCompile(`\{(\d+)(,\d*)?\}`)
)

// wrongPattern says why RE2 refuses a pattern, and what would do instead.
func wrongPattern(pattern string) (message, hint string) {
	switch {
	case strings.Contains(pattern, "(?=") || strings.Contains(pattern, "(?!"):
		message = "RE2 has no lookahead"
		if m := onlyAhead.FindStringSubmatch(pattern); m != nil {
			if rest := "^" + m[2]; compiles("^"+m[1]) && compiles(rest) {
				hint = `write "not": {"pattern": "^` + m[1] + `"}`
				if m[2] != "" && m[2] != ".*" && m[2] != ".*$" {
					hint += ` beside "pattern": "` + rest + `"`
				}
				return message, hint
			}
		}
		return message, `several patterns in allOf, and "not": {"pattern": …} for what must not come`
	case strings.Contains(pattern, "(?<=") || strings.Contains(pattern, "(?<!"):
		return "RE2 has no lookbehind", "match what stands before as well"
	case strings.Contains(pattern, "(?>"):
		return "RE2 has no atomic groups", try(strings.ReplaceAll(pattern, "(?>", "(?:"))
	}
	if m := regexp.MustCompile(`\\[1-9]|\\k<`).FindString(pattern); m != "" {
		return "RE2 has no references back to groups", "a rule in x-rules can compare two parts"
	}
	better := unicodeCode.ReplaceAllString(pattern, `\x{$1}`)
	for _, c := range classes {
		better = strings.ReplaceAll(better, c.theirs, c.ours)
	}
	if !compiles(better) {
		better = possessive.ReplaceAllString(better, "$1")
	}
	_, err := regexp.Compile(pattern)
	var wrong *syntax.Error
	if errors.As(err, &wrong) {
		message = wrong.Code.String() + ": " + wrong.Expr
		if wrong.Code == syntax.ErrInvalidRepeatSize && largeRepeat.MatchString(pattern) {
			return message, "RE2 repeats at most 1,000 times; minLength and maxLength bound the length"
		}
	}
	return message, try(better)
}

// try offers a pattern, where it is one.
func try(pattern string) string {
	if compiles(pattern) {
		return pattern + " works"
	}
	return "patterns are RE2: https://github.com/google/re2/wiki/Syntax"
}

func compiles(pattern string) bool {
	_, err := regexp.Compile(pattern)
	return err == nil
}
