// Package reason says why something isn't as it should be, and what to do about it: as a code with its values, which the
// service that finds it out gives, and whoever shows it puts into words in the reader's language.
//
// The words stand here, and not with the messages of a service, because two services show each of these texts (the
// collector where no validator runs, the validator else), and a record holds its English form besides: it is one contract,
// and so one catalogue a language.
//
// It refuses to translate what others say: the words of a server, of a library, of the application are a quote, and stay as
// they are.
package reason

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Code names a text. The codes and the names of their values are those of the English catalogue; a code that is out is
// never given another meaning.
type Code string

// Text is a text by its code, with what it is about, or somebody's own words, or both. The zero value says nothing.
type Text struct {
	Code   Code              `json:"code,omitempty"`
	Values map[string]string `json:"values,omitempty"`
	Texts  map[string]Text   `json:"texts,omitempty"`  // values that are texts themselves
	Phrase string            `json:"phrase,omitempty"` // what a compiler of ours found wrong, in place of a code
	Quote  string            `json:"quote,omitempty"`  // what a server, a library or an application says
	// Because is what it comes of, where that is a text itself.
	Because *Text `json:"because,omitempty"`
}

// With gives the values of a code, in the order in which its English form names them.
func (c Code) With(values ...any) Text {
	t := Text{Code: c}
	for i, name := range c.Names() {
		if i >= len(values) {
			break
		}
		if text, ok := values[i].(Text); ok {
			if t.Texts == nil {
				t.Texts = map[string]Text{}
			}
			t.Texts[name] = text
			continue
		}
		if t.Values == nil {
			t.Values = map[string]string{}
		}
		t.Values[name] = fmt.Sprint(values[i])
	}
	return t
}

// Quoting adds somebody's own words: an error's, or a text.
func (t Text) Quoting(words any) Text {
	t.Quote = fmt.Sprint(words)
	return t
}

// Quote is a text that is nobody's of ours.
func Quote(text string) Text { return Text{Quote: text} }

// IsZero tells whether it says nothing.
func (t Text) IsZero() bool { return t.Code == "" && t.Quote == "" && t.Phrase == "" }

// Known tells whether there are words for it: a later version of datawatch may have written a code that this one doesn't
// know.
func (t Text) Known() bool {
	for _, inner := range t.Texts {
		if !inner.Known() {
			return false
		}
	}
	if t.Because != nil && !t.Because.Known() {
		return false
	}
	_, known := english[t.Code]
	return known || t.Code == ""
}

var place = regexp.MustCompile(`\{([a-z]+)(:count)?\}`)

// Names are the names of a code's values.
func (c Code) Names() []string {
	var names []string
	for _, m := range place.FindAllStringSubmatch(english[c], -1) {
		if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

// Codes are all that there are words for, in the order of their names.
func Codes() []Code {
	codes := make([]Code, 0, len(english))
	for c := range english {
		codes = append(codes, c)
	}
	slices.Sort(codes)
	return codes
}

// In puts it into words in a language: "en", "vi".
func (t Text) In(language string) string {
	of := catalogues[language]
	if of == nil {
		of = catalogues["en"]
	}
	if t.Phrase != "" {
		return phraseIn(language, t.Phrase)
	}
	if t.Code == "" {
		return t.Quote
	}
	form, known := of.texts[t.Code]
	if !known {
		form = string(t.Code)
	}
	said := place.ReplaceAllStringFunc(form, func(p string) string {
		m := place.FindStringSubmatch(p)
		if text, nested := t.Texts[m[1]]; nested {
			return text.In(language)
		}
		value := t.Values[m[1]]
		if m[2] != "" {
			return group(value, of.thousands)
		}
		return value
	})
	switch {
	case t.Because != nil:
		return strings.TrimSuffix(said, ".") + ": " + t.Because.In(language)
	case t.Quote != "":
		return strings.TrimSuffix(said, ".") + ": " + t.Quote
	}
	return said
}

// Sentence is the text as a line of its own.
func (t Text) Sentence(language string) string {
	said := t.In(language)
	first, size := utf8.DecodeRuneInString(said)
	if t.Code == "" || strings.HasPrefix(said, string(first)+"_") {
		return said
	}
	return string(unicode.ToUpper(first)) + said[size:]
}

// String is the English form.
func (t Text) String() string { return t.In("en") }

// Pointer is the text as records hold it: nil where it says nothing.
func (t Text) Pointer() *Text {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Say is what a record says, in a language: by its code, or, where an earlier version of datawatch wrote it or a later one
// whose code isn't known here, as the record has it.
func Say(language string, t *Text, written string) string {
	if t == nil || !t.Known() {
		return written
	}
	return t.In(language)
}

// group sets the thousands of a number apart.
func group(digits, by string) string {
	if _, err := strconv.ParseInt(digits, 10, 64); err != nil {
		return digits
	}
	sign, digits := "", digits
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + by + digits[i:]
	}
	return sign + digits
}

// OfLetter is the kind of a dead letter, by its class.
func OfLetter(class string) Text {
	if code := Code("letter_" + class); english[code] != "" {
		return Text{Code: code}
	}
	return LetterOther.With(class)
}

// OfPart is what a part of a service is called: those that are named for a system, as the broker is, have its name.
func OfPart(name string) Text {
	if code := Code("part_" + strings.ReplaceAll(name, " ", "_")); english[code] != "" {
		return Text{Code: code}
	}
	return Quote(name)
}

// Error is an error that says what it is by code.
type Error struct {
	Why Text
	Do  Text  // what to do about it; may say nothing
	Err error // what it comes of; may be nil
}

// New is an error without another behind it.
func New(why Text) *Error { return &Error{Why: why} }

// Wrap says what an error means.
func Wrap(err error, why Text) *Error { return &Error{Why: why, Err: err} }

// Advise is the error, with what to do about it.
func (e *Error) Advise(do Text) *Error {
	e.Do = do
	return e
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Why.In("en")
	}
	return e.Why.Quoting(e.Err).In("en")
}

// Is tells whether another error says the same, whatever it is about.
func (e *Error) Is(other error) bool {
	same, ok := other.(*Error)
	return ok && (same == e || e.Why.Code != "" && same.Why.Code == e.Why.Code)
}

// Unwrap gives what it comes of.
func (e *Error) Unwrap() error { return e.Err }

// Remedy is what to do about it, in English.
func (e *Error) Remedy() string { return e.Do.In("en") }

// Of is what an error says, and what to do about it: by code where one of the errors in it has one, else as a quote.
func Of(err error) (why, do Text) {
	var known *Error
	if !errors.As(err, &known) {
		return Quote(err.Error()), Text{}
	}
	why, do = known.Why, known.Do
	if known.Err == nil {
		return why, do
	}
	because, further := Of(known.Err)
	if because.Code == "" {
		why.Quote = because.Quote
	} else {
		why.Because = &because
	}
	if do.IsZero() {
		do = further
	}
	return why, do
}

// Why is what an error says, by code or as a quote.
func Why(err error) Text {
	why, _ := Of(err)
	return why
}

// FirstLine is the text without the further lines of its quote: a stack, a list of problems.
func (t Text) FirstLine() Text {
	t.Quote, _, _ = strings.Cut(t.Quote, "\n")
	if t.Because != nil {
		because := t.Because.FirstLine()
		t.Because = &because
	}
	return t
}

// OfCause is the cause of a gap, which is a code, and behind a colon the server's words.
func OfCause(cause string) Text {
	code, quote, _ := strings.Cut(cause, ": ")
	if _, known := english[Code(code)]; !known {
		return Quote(cause)
	}
	return Text{Code: Code(code), Quote: quote}
}
