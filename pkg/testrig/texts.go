package testrig

import (
	"html"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unsafe"
)

var (
	textVerb = regexp.MustCompile(`%[-+0-9.]*[a-z]`)
	textTag  = regexp.MustCompile(`</?[a-z][^>]*>`)
)

// EveryTextIsShown fails for each text of a catalogue that stands nowhere in what is shown: in the golden files of its
// language. A catalogue is a struct of texts, and of functions that make one of values, with lists and maps of them; what
// stands for a value in a text may be anything within a line. Fields named in except aren't texts that people read.
func EveryTextIsShown(t *testing.T, catalogue any, shown string, except ...string) {
	t.Helper()
	unshown(catalogue, shown, except, func(path, text string) { t.Errorf("no golden file shows %s: %q", path, text) })
}

func unshown(catalogue any, shown string, except []string, found func(path, text string)) {
	shown = html.UnescapeString(textTag.ReplaceAllString(shown, ""))
	eachText(reflect.ValueOf(catalogue), "", except, func(path, text string) {
		if !strings.ContainsFunc(textVerb.ReplaceAllString(strings.ReplaceAll(text, anything, ""), ""), unicode.IsLetter) {
			return
		}
		var form strings.Builder
		end := 0
		text = strings.ReplaceAll(text, anything, "%s")
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
		if !v.CanAddr() {
			whole := reflect.New(v.Type()).Elem()
			whole.Set(v)
			v = whole
		}
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; !slices.Contains(except, name) {
				field := v.Field(i) // catalogues' fields aren't exported, and so their functions can't be called as they are
				eachText(reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem(), path+"."+name, except, each)
			}
		}
	case reflect.Func:
		for _, text := range made(v) {
			each(path, text)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			eachText(v.Index(i), path, except, each)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			eachText(v.MapIndex(key), path+"."+key.String(), except, each)
		}
	}
}

// anything stands for a value in what a function made.
const anything = "\uE000"

// made are the texts that a function makes: of one, of several, of what isn't known. A function that makes no text has none.
func made(f reflect.Value) []string {
	t := f.Type()
	if f.IsNil() || t.NumOut() != 1 || t.Out(0).Kind() != reflect.String {
		return nil
	}
	var texts []string
	for _, number := range []int64{0, 1, 7} {
		for _, yes := range []bool{false, true} {
			arguments := make([]reflect.Value, t.NumIn())
			for i := range arguments {
				arguments[i] = reflect.New(t.In(i)).Elem()
				probe(arguments[i], number, yes)
			}
			text := f.Call(arguments)[0].String()
			if t.NumIn() > 0 {
				text = textNumber.ReplaceAllString(text, anything)
			}
			if !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

var textNumber = regexp.MustCompile(`\b[017]\b`)

func probe(v reflect.Value, number int64, yes bool) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(anything)
	case reflect.Bool:
		v.SetBool(yes)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(number)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				probe(v.Field(i), number, yes)
			}
		}
	}
}
