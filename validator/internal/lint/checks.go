package lint

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"

	"datawatch/pkg/cel"
	"datawatch/pkg/config"
	"datawatch/validator/internal/schemas"
)

// source asks the checks that look at one schema at a time.
func (l *linter) source(s *schemas.Source) {
	elsewhere := namedElsewhere(s)
	s.Schemas(func(n schemas.Node) {
		l.required(s, n, elsewhere)
		l.enum(s, n)
		l.bounds(s, n)
		l.patterns(s, n)
		l.ref(s, n)
	})
}

// parts are keywords by which several schemas speak of one value: what one requires may stand in another's properties.
var parts = []string{"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas", "patternProperties"}

func hasParts(n schemas.Node) bool {
	return slices.ContainsFunc(parts, func(keyword string) bool { return n.Get(keyword).Exists() })
}

// namedElsewhere are the names in any properties of a file in which schemas have parts.
func namedElsewhere(s *schemas.Source) map[string]bool {
	names, parted := map[string]bool{}, false
	s.Schemas(func(n schemas.Node) {
		parted = parted || hasParts(n)
		n.Get("properties").Members(func(name string, _ schemas.Node) { names[name] = true })
	})
	if !parted {
		return nil
	}
	return names
}

// required finds names that properties doesn't have. Where the schema allows no others it can never hold.
func (l *linter) required(s *schemas.Source, n schemas.Node, elsewhere map[string]bool) {
	properties := n.Get("properties")
	if !properties.Exists() {
		return
	}
	var names []string
	properties.Members(func(name string, _ schemas.Node) { names = append(names, name) })
	seen := map[string]bool{}
	for _, item := range n.Get("required").Items() {
		name, ok := item.Text()
		switch {
		case !ok:
		case seen[name]:
			l.add("required", s.Problem(cel.Warning, item, fmt.Sprintf("required names %q twice", name), "keep one"))
		case slices.Contains(names, name):
		case n.Get("additionalProperties").IsFalse() && !n.Get("patternProperties").Exists():
			l.add("required", s.Problem(cel.Error, item, fmt.Sprintf("required %q isn't in properties, and additionalProperties forbids it: nothing fits", name), near(name, names)))
		case elsewhere[name] || hasParts(n):
		default:
			l.add("required", s.Problem(cel.Warning, item, fmt.Sprintf("required %q isn't in properties", name), near(name, names)))
		}
		seen[name] = true
	}
}

func near(name string, known []string) string {
	if n := config.Nearest(name, known); n != "" {
		return n + "?"
	}
	return ""
}

// enum finds lists that accept nothing.
func (l *linter) enum(s *schemas.Source, n schemas.Node) {
	enum := n.Get("enum")
	if enum.IsArray() && len(enum.Items()) == 0 {
		l.add("enum", s.Problem(cel.Error, enum, "an empty enum accepts nothing", "name the values, or leave enum out"))
	}
}

// bounds are pairs of keywords of which the first can't be beyond the second.
var bounds = [][2]string{
	{"minimum", "maximum"}, {"minLength", "maxLength"}, {"minItems", "maxItems"}, {"minProperties", "maxProperties"}, {"minContains", "maxContains"},
}

func (l *linter) bounds(s *schemas.Source, n schemas.Node) {
	for _, pair := range bounds {
		lowest, ok1 := number(n.Get(pair[0]))
		highest, ok2 := number(n.Get(pair[1]))
		if ok1 && ok2 && lowest.Cmp(highest) > 0 {
			l.add("bounds", s.Problem(cel.Error, n.Get(pair[0]), fmt.Sprintf("%s is beyond %s: nothing fits", pair[0], pair[1]), "swap them?"))
		}
	}
}

func number(n schemas.Node) (*big.Rat, bool) {
	text, ok := n.Number()
	if !ok {
		return nil, false
	}
	if _, err := cel.NumberValue(string(text)); err != nil {
		return nil, false
	}
	return new(big.Rat).SetString(text.String())
}

// patterns finds what Go's regular expressions, RE2, don't know.
func (l *linter) patterns(s *schemas.Source, n schemas.Node) {
	if pattern := n.Get("pattern"); pattern.Exists() {
		if text, ok := pattern.Text(); ok {
			l.pattern(s, pattern, text)
		}
	}
	n.Get("patternProperties").Members(func(name string, value schemas.Node) {
		if _, err := regexp.Compile(name); err != nil {
			message, hint := wrongPattern(name)
			l.add("pattern", s.Problem(cel.Error, value, fmt.Sprintf("patternProperties %q: %s", name, message), hint))
		}
	})
}

func (l *linter) pattern(s *schemas.Source, at schemas.Node, text string) {
	if _, err := regexp.Compile(text); err == nil {
		return
	}
	message, hint := wrongPattern(text)
	l.add("pattern", s.Problem(cel.Error, at, "pattern: "+message, hint))
}

// ref finds references that lead to nothing, in files that nothing refers to as well.
func (l *linter) ref(s *schemas.Source, n schemas.Node) {
	ref := n.Get("$ref")
	text, ok := ref.Text()
	if ok && !l.folder.Leads(s, text) {
		hint := "a path relative to this file and a place in it, as in ../_common/money.json#/$defs/amount"
		if len(text) > 0 && text[0] == '#' {
			hint = "a place in this file, as in #/$defs/amount"
			if n := nearestDefinition(s, text); n != "" {
				hint = n + "?"
			}
		}
		l.add("ref", s.Problem(cel.Error, ref, fmt.Sprintf("$ref %q leads to nothing", text), hint))
	}
}

// nearestDefinition is the definition of the file that a reference nearly names.
func nearestDefinition(s *schemas.Source, ref string) string {
	var known []string
	for _, keyword := range []string{"$defs", "definitions"} {
		s.Root.Get(keyword).Members(func(name string, _ schemas.Node) { known = append(known, "#/"+keyword+"/"+name) })
	}
	return config.Nearest(ref, known)
}
