package config

import (
	"reflect"
	"strings"
)

const fileSuffix = "_file"

// fieldKey is the key of a struct's field: its yaml tag. Inline fields lend their own keys to the struct around them.
func fieldKey(f reflect.StructField) (key string, inline bool) {
	key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return key, option == "inline"
}

// fieldFor finds the field of a key; file is true where the key is a secret's with _file behind it.
func fieldFor(v reflect.Value, key string) (field reflect.Value, file bool) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		name, inline := fieldKey(f)
		if inline {
			if found, file := fieldFor(v.Field(i), key); found.IsValid() {
				return found, file
			}
			continue
		}
		if name == key {
			return v.Field(i), false
		}
		if f.Type == reflect.TypeFor[Secret]() && name+fileSuffix == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func keys(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name, inline := fieldKey(f)
		if inline {
			names = append(names, keys(f.Type)...)
			continue
		}
		names = append(names, name)
		if f.Type == reflect.TypeFor[Secret]() {
			names = append(names, name+fileSuffix)
		}
	}
	return names
}

func hasKey(t reflect.Type, key string) bool {
	for _, name := range keys(t) {
		if name == key {
			return true
		}
	}
	return false
}

func suggestion(word string, known []string) string {
	if near := Nearest(word, known); near != "" {
		return "did you mean " + near + "?"
	}
	return "known: " + strings.Join(known, ", ")
}

// Nearest is the known word that word most likely meant, or "": at most two letters (of short words one) are changed,
// added, left out or swapped.
func Nearest(word string, known []string) string {
	best, nearest := 3, ""
	if len(word) < 4 {
		best = 2
	}
	for _, k := range known {
		if d := distance(word, k); d < best {
			best, nearest = d, k
		}
	}
	return nearest
}

// distance is the optimal string alignment distance.
func distance(a, b string) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last = last, row
		row = make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
