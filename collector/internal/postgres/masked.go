package postgres

import (
	_ "embed"
	"fmt"
	"path"
	"strings"

	"datawatch/pkg/config"
)

//go:embed sql/masked.sql
var maskedTemplate string

// maskedSQL is the body of datawatch.masked: what the mask's entries keep from the outbox, by their globs of streams.
func maskedSQL(source string, mask []config.Mask) (string, error) {
	var entries []string
	for _, m := range mask {
		if m.How != "drop" {
			continue
		}
		streams, err := globSQL(m.Stream)
		if err != nil {
			return "", fmt.Errorf("mask of %q: %w", m.Stream, err)
		}
		for _, f := range m.Fields {
			entries = append(entries, "("+literal(streams)+", "+literal(f)+")")
		}
	}
	if len(entries) == 0 {
		return "return '{}';", nil
	}
	return strings.NewReplacer("{{entries}}", strings.Join(entries, ", "), "{{source}}", literal(source)).Replace(strings.TrimSpace(maskedTemplate)), nil
}

// literal is a text within a function's, which a dollar would end.
func literal(text string) string {
	return "E'" + strings.NewReplacer(`'`, `''`, `\`, `\\`, `$`, `\x24`).Replace(text) + "'"
}

// globSQL is PostgreSQL's regular expression for what path.Match matches.
func globSQL(glob string) (string, error) {
	if _, err := path.Match(glob, ""); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteByte('^')
	class := false
	for at, runes := 0, []rune(glob); at < len(runes); at++ {
		c := runes[at]
		switch {
		case c == '\\':
			at++
			b.WriteString(itself(runes[at]))
		case class && c == ']':
			class = false
			b.WriteByte(']')
		case class && c == '-':
			b.WriteByte('-') // of a range: a bound has a backslash
		case !class && c == '[':
			class = true
			b.WriteByte('[')
			if runes[at+1] == '^' {
				at++
				b.WriteByte('^')
			}
		case !class && c == '*':
			b.WriteString("[^/]*")
		case !class && c == '?':
			b.WriteString("[^/]")
		default:
			b.WriteString(itself(c))
		}
	}
	b.WriteByte('$')
	return b.String(), nil
}

// itself is a character of a regular expression that means no other.
func itself(c rune) string {
	if c < 128 && strings.ContainsRune(`!"#$%&'()*+,-./:;<=>?@[\]^_`+"`{|}~ ", c) {
		return `\` + string(c)
	}
	return string(c)
}
