package testrig

import (
	"html"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	textVerb = regexp.MustCompile(`%[-+0-9.]*[a-z]`)
	textTag  = regexp.MustCompile(`</?[a-z][^>]*>`)
)

// EveryTextIsShown fails for each text of a catalogue that stands nowhere in what is shown: in the golden files of its
// language. A catalogue is a struct of texts, with lists and maps of them; what stands for a value in a text may be anything
// within a line. Fields named in except aren't texts that people read.
func EveryTextIsShown(t *testing.T, catalogue any, shown string, except ...string) {
	t.Helper()
	unshown(catalogue, shown, except, func(path, text string) { t.Errorf("no golden file shows %s: %q", path, text) })
}

func unshown(catalogue any, shown string, except []string, found func(path, text string)) {
	shown = html.UnescapeString(textTag.ReplaceAllString(shown, ""))
	eachText(reflect.ValueOf(catalogue), "", except, func(path, text string) {
		if !strings.ContainsFunc(textVerb.ReplaceAllString(text, ""), unicode.IsLetter) {
			return
		}
		var form strings.Builder
		end := 0
		for _, at := range textVerb.FindAllStringIndex(text, -1) {
			form.WriteString(regexp.QuoteMeta(text[end:at[0]]) + `[^\n]*`)
			end = at[1]
		}
		form.WriteString(regexp.QuoteMeta(text[end:]))
		if !regexp.MustCompile(form.String()).MatchString(shown) {
			found(path, text)
		}
	})
}

func eachText(v reflect.Value, path string, except []string, each func(path, text string)) {
	switch v.Kind() {
	case reflect.String:
		each(path, v.String())
	case reflect.Pointer:
		eachText(v.Elem(), path, except, each)
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; !slices.Contains(except, name) {
				eachText(v.Field(i), path+"."+name, except, each)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachText(v.Index(i), path, except, each)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			eachText(v.MapIndex(key), path+"."+key.String(), except, each)
		}
	}
}
