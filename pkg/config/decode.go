package config

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

type decoder struct {
	lookup   func(string) (string, bool)
	problems *Problems
	skip     map[string]bool // top-level keys that aren't ours
}

// scalar is implemented by types with a text form of their own.
type scalar interface {
	parse(text string) error
	expects() string
}

func (d *decoder) value(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	d.problems.lines[path] = n.Line
	if isNull(n) {
		return
	}
	if s, ok := v.Addr().Interface().(scalar); ok {
		d.scalar(path, n, s.expects(), s.parse)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(newWithDefaults(v.Type().Elem()))
		}
		d.value(path, n, v.Elem())
	case reflect.Struct:
		d.object(path, n, v)
	case reflect.Slice:
		d.list(path, n, v)
	case reflect.Map:
		d.mapping(path, n, v)
	case reflect.String:
		d.scalar(path, n, "a text", func(text string) error { v.SetString(text); return nil })
	case reflect.Bool:
		d.scalar(path, n, "true or false", func(text string) error {
			switch text {
			case "true":
				v.SetBool(true)
			case "false":
				v.SetBool(false)
			default:
				return fmt.Errorf("%q is neither", text)
			}
			return nil
		})
	case reflect.Int, reflect.Int32, reflect.Int64:
		d.scalar(path, n, "a whole number", func(text string) error {
			i, err := strconv.ParseInt(text, 10, v.Type().Bits())
			if err != nil {
				return fmt.Errorf("%q is none", text)
			}
			v.SetInt(i)
			return nil
		})
	default:
		panic("config: unsupported type " + v.Type().String())
	}
}

// Defaults is implemented by structs behind pointers and in lists: SetDefaults fills a new one before the file does.
type Defaults interface{ SetDefaults() }

func newWithDefaults(t reflect.Type) reflect.Value {
	p := reflect.New(t)
	if d, ok := p.Interface().(Defaults); ok {
		d.SetDefaults()
	}
	return p
}

func (d *decoder) object(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.wrong(path, n, "a mapping is expected here", "keys: "+strings.Join(keys(v.Type()), ", "))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if path == "" && d.skip[key.Value] {
			continue
		}
		at := join(path, key.Value)
		if seen[key.Value] {
			d.wrong(at, key, "the key stands twice", "keep one")
			continue
		}
		seen[key.Value] = true
		field, file := fieldFor(v, key.Value)
		var given string // by the other of a secret's two keys
		other := key.Value + fileSuffix
		if file {
			other = strings.TrimSuffix(key.Value, fileSuffix)
		}
		if seen[other] && field.IsValid() && field.Type() == reflect.TypeFor[Secret]() {
			given = field.String()
			field.SetString("")
		}
		switch {
		case !field.IsValid():
			d.problems.lines[at] = key.Line
			d.wrong(at, key, fmt.Sprintf("unknown key %q", key.Value), suggestion(key.Value, d.known(path, v.Type())))
		case file:
			d.secretFile(at, value, field)
		default:
			d.value(at, value, field)
		}
		switch {
		case given == "":
		case field.String() == "":
			field.SetString(given)
		default:
			d.wrong(at, key, fmt.Sprintf("the secret is given by %s too", other), "keep one")
		}
	}
}

// known are the keys that may stand in a mapping; at the top also those of other programs, which are passed over.
func (d *decoder) known(path string, t reflect.Type) []string {
	if path != "" {
		return keys(t)
	}
	return append(keys(t), slices.DeleteFunc(slices.Clone(Sections), func(name string) bool { return !d.skip[name] })...)
}

func (d *decoder) list(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.wrong(path, n, "a list is expected here", "- or [ ]")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, len(n.Content)))
	for i, item := range n.Content {
		element := newWithDefaults(v.Type().Elem()).Elem()
		d.value(fmt.Sprintf("%s[%d]", path, i), item, element)
		v.Set(reflect.Append(v, element))
	}
}

func (d *decoder) mapping(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.wrong(path, n, "a mapping is expected here", "name: value")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i+1 < len(n.Content); i += 2 {
		element := newWithDefaults(v.Type().Elem()).Elem()
		d.value(join(path, n.Content[i].Value), n.Content[i+1], element)
		v.SetMapIndex(reflect.ValueOf(n.Content[i].Value), element)
	}
}

func (d *decoder) scalar(path string, n *yaml.Node, expects string, set func(string) error) {
	if n.Kind != yaml.ScalarNode {
		d.wrong(path, n, expects+" is expected here", "")
		return
	}
	text, err := d.expand(n.Value)
	if err == nil {
		err = set(text)
	}
	if err != nil {
		d.wrong(path, n, err.Error(), "expected: "+expects)
	}
}

func (d *decoder) secretFile(path string, n *yaml.Node, field reflect.Value) {
	d.problems.lines[path] = n.Line
	name, err := d.expand(n.Value)
	if err == nil && name == "" {
		return
	}
	if err == nil {
		var content []byte
		if content, err = os.ReadFile(name); err == nil {
			field.SetString(strings.TrimRight(string(content), "\r\n"))
			return
		}
		err = fmt.Errorf("can't read %s: %s", name, unwrapPath(err))
	}
	d.wrong(path, n, err.Error(), "expected: the path of a file that holds the secret")
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}`)

// expand replaces ${NAME} and ${NAME:-default}; as in a shell, the default also stands for an empty variable.
func (d *decoder) expand(text string) (string, error) {
	var missing []string
	out := variable.ReplaceAllStringFunc(text, func(match string) string {
		m := variable.FindStringSubmatch(match)
		value, ok := d.lookup(m[1])
		if m[2] != "" && value == "" {
			return m[3]
		}
		if !ok {
			missing = append(missing, m[1])
		}
		return value
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("the environment has no %s: set it, or give a default as ${%s:-…}", strings.Join(missing, ", "), missing[0])
	}
	return out, nil
}

func (d *decoder) wrong(path string, n *yaml.Node, message, hint string) {
	d.problems.found = append(d.problems.found, Problem{Path: path, Line: n.Line, Message: message, Hint: hint})
}

// validate calls Validate on every struct, inner ones first.
func (d *decoder) validate(path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			d.validate(path, v.Elem())
		}
		return
	case reflect.Slice:
		for i := range v.Len() {
			d.validate(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
		return
	case reflect.Map:
		for _, key := range v.MapKeys() {
			element := reflect.New(v.Type().Elem()).Elem()
			element.Set(v.MapIndex(key))
			d.validate(join(path, key.String()), element)
		}
		return
	case reflect.Struct:
	default:
		return
	}
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() {
			name, inline := fieldKey(f)
			if inline {
				d.validate(path, v.Field(i))
			} else {
				d.validate(join(path, name), v.Field(i))
			}
		}
	}
	if !v.CanAddr() {
		return
	}
	if validator, ok := v.Addr().Interface().(Validator); ok {
		d.problems.prefix = path
		validator.Validate(d.problems)
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }
