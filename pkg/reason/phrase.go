package reason

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Phrase is what a compiler of ours finds wrong: with a rule or a filter, a schema file, an event, the configuration. It is
// told as an English text in many places (terminals, CI, editors, /readyz, the records of violations), and so its form is
// its code here, as with gettext: what the English form has for %s stands for a value, which may be a phrase itself.
// A text whose form isn't known says itself.
func Phrase(english string) Text { return Text{Phrase: english} }

// phraseIn puts a phrase into a language.
func phraseIn(language, english string) string {
	if language != "vi" {
		return english
	}
	return vietnameseBook().said(english)
}

// book is the forms of a language.
type book struct {
	exact map[string]string
	more  string // how many more there are, at the end of a list
	forms []form // those with values, the most definite first
}

type form struct {
	matches *regexp.Regexp
	literal int // how many of its bytes are no value's
	said    string
}

// vietnameseBook is made when the first phrase is to be said: who speaks English needs none of it.
var vietnameseBook = sync.OnceValue(func() *book {
	b := &book{exact: map[string]string{}}
	for _, phrases := range []map[string]string{kindPhrases, rulePhrases, schemaPhrases, lintPhrases, verdictPhrases, configurationPhrases, letterPhrases} {
		for english, said := range phrases {
			parts := strings.Split(english, "%s")
			switch {
			case len(parts) == 1:
				b.exact[english] = said
				continue
			case english == "%s more":
				b.more = said
				continue
			}
			for i := range parts {
				parts[i] = regexp.QuoteMeta(parts[i])
			}
			b.forms = append(b.forms, form{
				regexp.MustCompile("(?s)^" + strings.Join(parts, "(.+?)") + "$"), len(english) - 2*(len(parts)-1), said,
			})
		}
	}
	slices.SortFunc(b.forms, func(x, y form) int {
		return cmp.Or(y.literal-x.literal, cmp.Compare(x.matches.String(), y.matches.String()))
	})
	return b
})

// said is the text in the book's language.
func (b *book) said(english string) string {
	if said, ok := b.find(english); ok {
		return said
	}
	return english
}

func (b *book) find(english string) (string, bool) {
	if said, ok := b.exact[english]; ok {
		return said, true
	}
	if said, ok := b.kinds(english); ok {
		return said, true
	}
	if said, ok := b.hinted(english); ok {
		return said, true
	}
	if said, ok := b.listed(english); ok {
		return said, true
	}
	for _, f := range b.forms {
		values := f.matches.FindStringSubmatch(english)
		if values == nil {
			continue
		}
		said := make([]any, len(values)-1)
		for i, value := range values[1:] {
			said[i] = value
			if inner, ok := b.find(value); ok {
				said[i] = inner
			}
		}
		return fmt.Sprintf(f.said, said...), true
	}
	return b.placed(english)
}

// placed says a phrase behind the place that it is of: "orders.json:14: …", "/total: …".
func (b *book) placed(english string) (string, bool) {
	place, what, ok := strings.Cut(english, ": ")
	if !ok {
		return "", false
	}
	said, ok := b.find(what)
	if !ok {
		return "", false
	}
	if where, known := b.find(place); known {
		place = where
	}
	return place + ": " + said, true
}

var further = regexp.MustCompile(`^(?s)(.*(?:,| \|) )?(\d+) more$`)

// listed says the end of a list that is cut: "new, paid, 3 more".
func (b *book) listed(english string) (string, bool) {
	m := further.FindStringSubmatch(english)
	if m == nil {
		return "", false
	}
	return m[1] + fmt.Sprintf(b.more, m[2]), true
}

// hinted says a phrase with a hint in brackets behind it.
func (b *book) hinted(english string) (string, bool) {
	for at := range english {
		if !strings.HasSuffix(english, ")") || !strings.HasPrefix(english[at:], " (") {
			continue
		}
		message, ok := b.find(english[:at])
		hint, known := b.find(english[at+2 : len(english)-1])
		if ok && known {
			return message + " (" + hint + ")", true
		}
	}
	return "", false
}

// kinds says several kinds of values: "a number or null".
func (b *book) kinds(english string) (string, bool) {
	parts := strings.Split(english, " or ")
	if len(parts) < 2 {
		return "", false
	}
	for i, part := range parts {
		said, ok := kindPhrases[part]
		if !ok {
			return "", false
		}
		parts[i] = said
	}
	return strings.Join(parts, " hoặc "), true
}
