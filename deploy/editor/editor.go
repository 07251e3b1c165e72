// Package editor writes the JSON Schema of datawatch.yaml, so that editors complete and check it.
//
// Everything in it is asked of what the programs themselves read: keys and kinds of values of the configuration's types,
// allowed words and missing keys of the problems that their own checks report, descriptions of the example file. It knows
// no setting by itself, so it can't drift from them.
package editor

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"datawatch/pkg/config"
)

// object is a JSON object.
type object map[string]any

// Config is the JSON Schema, draft 7 as editors know it best, of the configuration that fresh returns pointers to.
// The comments of the example file are its descriptions.
func Config(fresh func() any, example []byte) map[string]any {
	g := &generator{fresh: fresh, comments: comments(example)}
	schema := g.object(nil, reflect.TypeOf(fresh()).Elem())
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	schema["title"] = "datawatch.yaml"
	schema["definitions"] = object{
		"variable": object{"type": "string", "pattern": `\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}`},
	}
	return schema
}

type generator struct {
	fresh    func() any
	comments map[string]string
}

// step is a key on the way to a setting; list tells that the setting is in the elements of a list there.
type step struct {
	key  string
	list bool
}

// kinds are the types with a text form of their own.
var kinds = map[reflect.Type]object{
	reflect.TypeFor[config.Bytes]():    {"anyOf": []any{object{"type": "integer", "minimum": 0}, pattern(`^[0-9]+ *(B|KiB|MiB|GiB|TiB)?$`), variable}},
	reflect.TypeFor[config.Duration](): {"anyOf": []any{object{"const": 0}, pattern(`^([0-9]+d|0|([0-9]*\.?[0-9]+(ns|us|µs|ms|s|m|h))+)$`), variable}},
	reflect.TypeFor[config.Clock]():    {"anyOf": []any{pattern(`^([01]?[0-9]|2[0-3]):[0-5][0-9]$`), variable}},
	reflect.TypeFor[config.Zone]():     {"type": "string", "examples": []any{"Asia/Ho_Chi_Minh", "UTC"}},
	reflect.TypeFor[config.Secret]():   {"type": []any{"string", "number"}},
}

var variable = object{"$ref": "#/definitions/variable"}

func pattern(p string) object { return object{"type": "string", "pattern": p} }

// value is the schema of what stands at a path.
func (g *generator) value(path []step, t reflect.Type) object {
	if t.Kind() == reflect.Pointer {
		return g.value(path, t.Elem())
	}
	if known, ok := kinds[t]; ok {
		clone := object{}
		for name, v := range known {
			clone[name] = v
		}
		return clone
	}
	switch t.Kind() {
	case reflect.Struct:
		return g.object(path, t)
	case reflect.Slice:
		inner := slices.Clone(path)
		inner[len(inner)-1].list = true
		return object{"type": []any{"array", "null"}, "items": g.value(inner, t.Elem())}
	case reflect.Map:
		return object{"type": []any{"object", "null"}, "additionalProperties": g.value(append(slices.Clone(path), step{key: "name"}), t.Elem())}
	case reflect.Bool:
		return object{"anyOf": []any{object{"type": "boolean"}, variable}}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return object{"anyOf": []any{object{"type": "integer"}, variable}}
	case reflect.String:
		if words := g.words(path); len(words) > 0 {
			return object{"anyOf": []any{object{"enum": words}, variable}}
		}
		return object{"type": []any{"string", "number"}}
	}
	panic(fmt.Sprintf("%v: a kind of setting that editors can't be told of yet: %v", path, t))
}

// object is the schema of a section.
func (g *generator) object(path []step, t reflect.Type) object {
	properties := object{}
	g.fields(path, t, properties)
	schema := object{"type": []any{"object", "null"}, "properties": properties, "additionalProperties": false}
	if len(path) == 0 {
		schema["type"] = "object"
	}
	if n := len(path); n > 0 && path[n-1].list {
		if missing := g.missing(path, properties); len(missing) > 0 {
			schema["required"] = missing
		}
	}
	return schema
}

func (g *generator) fields(path []step, t reflect.Type, into object) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported():
		case option == "inline":
			g.fields(path, f.Type, into)
		default:
			at := append(slices.Clone(path), step{key: key})
			property := g.value(at, f.Type)
			if text := g.comments[pathOf(at, "")]; text != "" {
				property["description"] = text
			}
			into[key] = property
			if f.Type == reflect.TypeFor[config.Secret]() {
				into[key+"_file"] = object{"type": "string", "description": "the path of a file that holds " + key}
			}
		}
	}
}

// pathOf is a path as problems name it, with what stands for each list's index.
func pathOf(path []step, index string) string {
	var b strings.Builder
	for i, s := range path {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.key)
		if s.list {
			b.WriteString(index)
		}
	}
	return b.String()
}

// words are those that a setting allows: what its own check names when there is another one. Empty: any.
func (g *generator) words(path []step) []any {
	for _, p := range g.problems(path, "no such word") {
		if p.Path == pathOf(path, "[0]") && strings.HasSuffix(p.Message, "is not allowed") {
			var all []any
			for word := range strings.SplitSeq(p.Hint, " | ") {
				all = append(all, word)
			}
			if !slices.ContainsFunc(g.problems(path, ""), func(o config.Problem) bool { return o.Path == p.Path }) {
				all = append(all, "")
			}
			return all
		}
	}
	return nil
}

// missing are the keys that an element of a list can't be without: an empty one is told of them.
func (g *generator) missing(path []step, properties object) []any {
	var all []any
	for _, p := range g.problems(append(slices.Clone(path), step{}), "") {
		key, below := strings.CutPrefix(p.Path, pathOf(path, "[0]")+".")
		if below && properties[key] != nil && !slices.Contains(all, any(key)) {
			all = append(all, key)
		}
	}
	return all
}

// problems are those of a configuration that has one setting only.
func (g *generator) problems(path []step, value string) []config.Problem {
	var b strings.Builder
	closing := ""
	for _, s := range path {
		if s.key == "" {
			b.WriteString("{}")
			break
		}
		b.WriteString("{" + s.key + ": ")
		closing = "}" + closing
		if s.list {
			b.WriteString("[")
			closing = "]" + closing
		}
	}
	if path[len(path)-1].key != "" {
		fmt.Fprintf(&b, "%q", value)
	}
	nothing := func(string) (string, bool) { return "", false }
	var wrong *config.Error
	if err := config.Parse("datawatch.yaml", []byte(b.String()+closing), nothing, g.fresh()); errors.As(err, &wrong) {
		return wrong.Problems
	}
	return nil
}

// comments are what the example file says behind the first key of a line, by the key's path.
func comments(example []byte) map[string]string {
	type open struct {
		indent int
		key    string
	}
	all, stack, column, last := map[string]string{}, []open{}, -1, ""
	for line := range strings.Lines(string(example)) {
		line = strings.TrimRight(line, "\n")
		code, comment, found := strings.Cut(line, " # ")
		if text := strings.TrimLeft(line, " "); strings.HasPrefix(text, "#") { // it goes on, below where it began
			if len(line)-len(text) == column {
				all[last] += " " + strings.TrimSpace(strings.TrimPrefix(text, "#"))
			}
			continue
		}
		column = -1
		body := strings.TrimLeft(code, " -")
		key, _, isKey := strings.Cut(body, ":")
		if !isKey {
			continue
		}
		indent := len(code) - len(body)
		for len(stack) > 0 && stack[len(stack)-1].indent >= indent {
			stack = stack[:len(stack)-1]
		}
		stack = append(stack, open{indent, key})
		if found {
			keys := make([]string, len(stack))
			for i, o := range stack {
				keys[i] = o.key
			}
			last, column = strings.Join(keys, "."), len(code)+1
			all[last] = strings.TrimSpace(comment)
		}
	}
	return all
}
