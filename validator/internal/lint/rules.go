package lint

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/cel"
	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
)

// rules finds rules that are never asked, and those whose answer is always the same.
func (l *linter) rules(set *schemas.Set) {
	asked := map[string]bool{}
	for _, file := range set.Files() {
		file.EachRule(func(s *jsonschema.Schema, r *schemas.Rule) {
			asked[placeName(r.WrittenIn, r.Line, r.Column)] = true
			for _, p := range checkRule(file, s, r) {
				l.add("rule", p)
			}
		})
	}
	broken := slices.ContainsFunc(set.Problems(), func(p schemas.Problem) bool { return p.Severity == cel.Error })
	if broken { // a file that can't be loaded may be the one that leads to a rule
		return
	}
	for _, source := range l.folder.Sources {
		eachRule(source, func(rule schemas.Node) {
			p := source.Problem(cel.Warning, rule, "no event ever comes to this rule", "rules are asked where properties, items and $ref lead to, not in not, contains or unused $defs")
			if !asked[placeName(p.File, p.Line, p.Column)] {
				l.add("rule", p)
			}
		})
	}
}

func placeName(file string, line, column int) string {
	return fmt.Sprintf("%s:%d:%d", file, line, column)
}

func eachRule(source *schemas.Source, each func(schemas.Node)) {
	source.Schemas(func(n schemas.Node) {
		for _, rule := range n.Get("x-rules").Items() {
			each(rule)
		}
	})
}

// checkRule finds what a rule's author can't have meant.
func checkRule(file *schemas.File, s *jsonschema.Schema, r *schemas.Rule) []schemas.Problem {
	var found []schemas.Problem
	add := func(message, hint string) {
		found = append(found, schemas.Problem{
			File: r.WrittenIn, Line: r.Line, Column: r.Column, Severity: cel.Warning, Message: fmt.Sprintf("rule %q %s", r.ID, message), Hint: hint,
		})
	}
	runsOn := func(ops ...event.Op) bool { return slices.ContainsFunc(ops, r.RunsOn) }
	switch {
	case r.NamesOld && !runsOn(event.Update, event.Delete):
		add("names old, and none of its ops has a before", `update and delete have one: "on": ["update"]`)
	case !r.NamesOld && r.Program.Names("self") && !runsOn(event.Insert, event.Update, event.Read, event.Message):
		add("reads self, which is null after a delete or truncate", "old is the row that was deleted")
	}
	for _, c := range comparisons(file, s, r.Program.Source()) {
		add(fmt.Sprintf("compares %s with %q, which its enum doesn't have", c.field, c.value), near(c.value, c.allowed))
	}
	switch holds, fails, known := outcomes(file, s, r); {
	case !known:
	case !holds:
		add("can't be true", "every event would violate it")
	case !fails:
		add("can't fail", "no event would violate it")
	}
	return found
}

// comparison is a field with an enum, compared with a value that the enum doesn't have.
type comparison struct {
	field, value string
	allowed      []string
}

var compared = regexp.MustCompile(`\b((?:self|old|root)(?:\.[A-Za-z_]\w*)+)\s*[!=]=\s*(?:'([^'\\]*)'|"([^"\\]*)")`)

var (
	listed  = regexp.MustCompile(`\b((?:self|old|root)(?:\.[A-Za-z_]\w*)+)\s+in\s*\[([^\]]*)\]`)
	literal = regexp.MustCompile(`'([^'\\]*)'|"([^"\\]*)"`)
)

func comparisons(file *schemas.File, s *jsonschema.Schema, source string) []comparison {
	var found []comparison
	check := func(field, value string) {
		allowed, ok := texts(domain(file, s, strings.Split(field, ".")))
		if ok && !slices.Contains(allowed, value) {
			found = append(found, comparison{field, value, allowed})
		}
	}
	for _, m := range compared.FindAllStringSubmatch(source, -1) {
		check(m[1], cmp.Or(m[2], m[3]))
	}
	for _, m := range listed.FindAllStringSubmatch(source, -1) {
		for _, value := range literal.FindAllStringSubmatch(m[2], -1) {
			check(m[1], cmp.Or(value[1], value[2]))
		}
	}
	return found
}

// texts are the values of a domain that are texts; false where it isn't known.
func texts(values []any) ([]string, bool) {
	var all []string
	for _, v := range values {
		if s, ok := v.(string); ok {
			all = append(all, s)
		}
	}
	return all, len(all) > 0
}

// domain are all values that a path of a rule can have, nil where they aren't few and known.
func domain(file *schemas.File, s *jsonschema.Schema, path []string) []any {
	return values(memberAt(file, s, path), 0)
}

// memberAt is the schema of what a path of a rule names, nil where there is none.
func memberAt(file *schemas.File, s *jsonschema.Schema, path []string) *jsonschema.Schema {
	at := s
	if path[0] == "root" {
		at = file.Schema
	}
	for _, name := range path[1:] {
		if at = member(at, name, 0); at == nil {
			return nil
		}
	}
	return at
}

// maxRefs bounds $refs that lead to each other.
const maxRefs = 20

func member(s *jsonschema.Schema, name string, depth int) *jsonschema.Schema {
	if s == nil || depth > maxRefs {
		return nil
	}
	if named := s.Properties[name]; named != nil {
		return named
	}
	for _, also := range schemas.InPlace(s) {
		if also.Always {
			if found := member(also.Schema, name, depth+1); found != nil {
				return found
			}
		}
	}
	return nil
}

func values(s *jsonschema.Schema, depth int) []any {
	switch {
	case s == nil || depth > maxRefs:
		return nil
	case len(s.Constant) > 0:
		return s.Constant
	case len(s.Enum) > 0:
		return s.Enum
	case slices.Equal(s.Types, []string{"boolean"}):
		return []any{true, false}
	}
	for _, also := range schemas.InPlace(s) {
		if also.Always {
			if found := values(also.Schema, depth+1); found != nil {
				return found
			}
		}
	}
	return nil
}

// maxTries bounds the combinations of values that are tried.
const maxTries = 2000

// outcomes tries a rule with all combinations of values that what it reads can have, where these are few and known, and
// tells whether it can hold and can fail. An absent field is tried too.
func outcomes(file *schemas.File, s *jsonschema.Schema, r *schemas.Rule) (holds, fails, known bool) {
	for _, name := range []string{"time", "key", "actor", "tag", "stream"} {
		if r.Program.Names(name) {
			return false, false, false
		}
	}
	ops := opsOf(r)
	if len(ops) == 0 {
		return false, false, false
	}
	paths := slices.DeleteFunc(slices.Clone(r.Program.Paths()), func(path []string) bool { return path[0] == "op" })
	domains, tries := make([][]any, len(paths)), 1
	for i, path := range paths {
		if len(path) < 2 || slices.Contains(path, "*") {
			return false, false, false
		}
		values := domain(file, s, path)
		if values == nil {
			values = numbers(file, s, r.Program.Source(), path)
		}
		if values == nil {
			return false, false, false
		}
		domains[i] = append([]any{absent{}}, values...)
		if tries *= len(domains[i]); tries > maxTries {
			return false, false, false
		}
	}
	for try := range tries * len(ops) {
		variables := map[string]any{"self": map[string]any{}, "old": map[string]any{}, "root": map[string]any{}}
		for i, path := range paths {
			value := domains[i][try%len(domains[i])]
			try /= len(domains[i])
			put(variables, path, value)
		}
		bindings := cel.Bindings{}
		for name, value := range variables {
			bindings[name] = cel.FromAny(value)
		}
		bindings["op"] = cel.FromAny(string(ops[try%len(ops)]))
		ok, err := r.Program.Eval(context.Background(), bindings)
		holds = holds || ok && err == nil
		fails = fails || !ok || err != nil
	}
	return holds, fails, true
}

// opsOf are the ops that a rule has to be tried with: where it names op, all that it is asked of; none where one leaves no
// row that it could read.
func opsOf(r *schemas.Rule) []event.Op {
	if !r.Program.Names("op") {
		return []event.Op{event.Update}
	}
	if r.RunsOn(event.Delete) || r.RunsOn(event.Truncate) {
		return nil
	}
	return slices.DeleteFunc([]event.Op{event.Insert, event.Update, event.Read, event.Message}, func(op event.Op) bool { return !r.RunsOn(op) })
}

// absent stands for a field that a row doesn't have.
type absent struct{}

func put(object map[string]any, path []string, value any) {
	for _, name := range path[:len(path)-1] {
		inner, ok := object[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			object[name] = inner
		}
		object = inner
	}
	if _, none := value.(absent); !none {
		object[path[len(path)-1]] = value
	}
}
