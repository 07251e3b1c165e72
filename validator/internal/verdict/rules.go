package verdict

import (
	"cmp"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/cel"
	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
)

// rules asks the rules of every place of the value, wherever the schema says that they apply.
func (j *judgement) rules() {
	if !j.file.Reaches(j.file.Schema) {
		return
	}
	w := &ruleWalk{judgement: j, shared: j.bindings(), asked: map[string]bool{}, met: map[string]bool{}}
	w.visit(j.file.Schema, j.value, nil, nil, nil)
	// A place that wasn't met may lie in what was left out, or in what is broken.
	if in := j.change.Incomplete; in != nil && len(in.Fields) > 0 || len(j.wrongAt) > 0 {
		j.unjudge(func(r *schemas.Rule) bool { return r.RunsOn(j.change.Op) && !w.met[r.ID] })
	}
}

// ruleWalk goes through schema and value together.
type ruleWalk struct {
	*judgement
	shared cel.Bindings
	asked  map[string]bool // by rule and place: two branches may lead to one
	met    map[string]bool // rules that were met anywhere
	depth  int
}

// bindings are the variables that are the same at every place.
func (j *judgement) bindings() cel.Bindings {
	b := cel.Bindings{
		"op": cel.StringValue(string(j.change.Op)), "stream": cel.StringValue(string(j.clean.Stream)),
		"root": cel.NullValue, "key": cel.NullValue, "actor": cel.NullValue, "tag": cel.NullValue,
	}
	if !j.gone() {
		b["root"] = cel.FromAny(j.value)
	}
	if key, err := cel.ParseJSON(j.change.Key); j.change.Key != nil && err == nil {
		b["key"] = key
	}
	if a := j.change.Origin.Actor; a != nil {
		b["actor"] = cel.FromAny(map[string]any{"application": orNull(a.Application), "user": orNull(a.User), "client": orNull(a.Client)})
	}
	if tag := j.change.Origin.Tag; tag != "" {
		b["tag"] = cel.StringValue(tag)
	}
	if t, err := time.Parse(time.RFC3339Nano, j.clean.Time); err == nil {
		b["time"] = cel.TimeValue(t)
	}
	return b
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// maxWalk bounds the schemas within each other: circles of $ref end where the value ends, but for those that don't descend.
const maxWalk = 1000

func (w *ruleWalk) visit(s *jsonschema.Schema, value any, place, pattern, keywords []string) {
	if s == nil || !w.file.Reaches(s) || w.depth > maxWalk || w.interrupted != nil {
		return
	}
	w.depth++
	defer func() { w.depth-- }()
	for _, rule := range w.file.RulesAt(s) {
		w.ask(rule, value, place, pattern, with(keywords, "x-rules", strconv.Itoa(rule.Index)))
	}
	w.inPlace(s, value, place, pattern, keywords)
	switch v := value.(type) {
	case map[string]any:
		w.members(s, v, place, pattern, keywords)
		w.unevaluatedMembers(s, v, place, pattern, keywords)
	case []any:
		w.elements(s, v, place, pattern, keywords)
		w.unevaluatedElements(s, v, place, pattern, keywords)
	}
}

// with is a copy of a path, made longer.
func with(path []string, tokens ...string) []string {
	return append(append(make([]string, 0, len(path)+len(tokens)), path...), tokens...)
}

// inPlace goes on with the schemas that speak of the same value, of conditional ones with those that hold.
func (w *ruleWalk) inPlace(s *jsonschema.Schema, value any, place, pattern, keywords []string) {
	enter := func(s *jsonschema.Schema, tokens ...string) {
		w.visit(s, value, place, pattern, with(keywords, tokens...))
	}
	holds := func(s *jsonschema.Schema) bool { return s.Validate(value) == nil }
	enter(s.Ref, "$ref")
	enter(s.RecursiveRef, "$recursiveRef")
	enter(s.DynamicRef, "$dynamicRef")
	for i, all := range s.AllOf {
		enter(all, "allOf", strconv.Itoa(i))
	}
	for i, branch := range s.AnyOf {
		if w.file.Reaches(branch) && holds(branch) {
			enter(branch, "anyOf", strconv.Itoa(i))
		}
	}
	for i, branch := range s.OneOf {
		if w.file.Reaches(branch) && holds(branch) {
			enter(branch, "oneOf", strconv.Itoa(i))
		}
	}
	if s.If != nil && (w.file.Reaches(s.If) || w.file.Reaches(s.Then) || w.file.Reaches(s.Else)) {
		if holds(s.If) {
			enter(s.If, "if")
			enter(s.Then, "then")
		} else {
			enter(s.Else, "else")
		}
	}
	object, _ := value.(map[string]any)
	for _, name := range inTurn(s.DependentSchemas) {
		if _, there := object[name]; there {
			enter(s.DependentSchemas[name], "dependentSchemas", name)
		}
	}
	for _, name := range inTurn(s.Dependencies) {
		if schema, ok := s.Dependencies[name].(*jsonschema.Schema); ok {
			if _, there := object[name]; there {
				enter(schema, "dependencies", name)
			}
		}
	}
}

// inTurn are the names of a map in their order: which of two ways to one place is taken, and what is left out of a long list,
// is then the same each time.
func inTurn[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (w *ruleWalk) members(s *jsonschema.Schema, object map[string]any, place, pattern, keywords []string) {
	for _, name := range inTurn(s.Properties) {
		if value, there := object[name]; there {
			w.visit(s.Properties[name], value, with(place, name), with(pattern, name), with(keywords, "properties", name))
		}
	}
	others, _ := s.AdditionalProperties.(*jsonschema.Schema)
	if len(s.PatternProperties) == 0 && !w.file.Reaches(others) {
		return
	}
	patterns := slices.SortedFunc(maps.Keys(s.PatternProperties), func(a, b *regexp.Regexp) int { return cmp.Compare(a.String(), b.String()) })
	for _, name := range inTurn(object) {
		named := s.Properties[name] != nil
		for _, expression := range patterns {
			if expression.MatchString(name) {
				named = true
				w.visit(s.PatternProperties[expression], object[name], with(place, name), with(pattern, anyToken),
					with(keywords, "patternProperties", expression.String()))
			}
		}
		if !named {
			w.visit(others, object[name], with(place, name), with(pattern, anyToken), with(keywords, "additionalProperties"))
		}
	}
}

func (w *ruleWalk) elements(s *jsonschema.Schema, list []any, place, pattern, keywords []string) {
	for i, value := range list {
		schema, tokens := element(s, i), []string{"items"}
		switch _, many := s.Items.([]*jsonschema.Schema); {
		case many && i >= len(s.Items.([]*jsonschema.Schema)):
			tokens = []string{"additionalItems"}
		case many:
			tokens = append(tokens, strconv.Itoa(i))
		case i < len(s.PrefixItems):
			tokens = []string{"prefixItems", strconv.Itoa(i)}
		}
		w.visit(schema, value, with(place, strconv.Itoa(i)), with(pattern, anyToken), with(keywords, tokens...))
	}
}

// ask runs one rule at one place, where it applies.
func (w *ruleWalk) ask(rule *schemas.Rule, value any, place, pattern, keywords []string) {
	id := rule.ID + "\x00" + pointer(place)
	if w.asked[id] || !rule.RunsOn(w.change.Op) {
		return
	}
	if w.brokenAt(place) {
		w.verdict.Unjudged[rule.ID] = true
		return
	}
	w.asked[id], w.met[rule.ID] = true, true
	bindings := cel.Bindings{"self": cel.FromAny(value), "old": cel.NullValue}
	for name, v := range w.shared {
		bindings[name] = v
	}
	if w.gone() {
		bindings["self"] = cel.NullValue
	}
	if rule.NamesOld {
		before, there := at(w.before, place)
		if !there || !w.change.HasBefore() {
			if op := w.change.Op; !w.change.HasBefore() && op != event.Insert && op != event.Read {
				w.verdict.Unrunnable = append(w.verdict.Unrunnable, rule.ID)
			}
			return
		}
		bindings["old"] = cel.FromAny(before)
	}
	if w.readsLeftOut(rule.Program, place) {
		w.verdict.Unjudged[rule.ID] = true
		return
	}
	f := finding{
		kind: event.RuleViolation, rule: rule.ID, namesOld: rule.NamesOld, severity: rule.Severity,
		keywordLocation: pointer(keywords), place: place, pattern: pattern, message: rule.Message,
	}
	holds, err := rule.Program.Eval(w.ctx, bindings)
	var failed *cel.EvalError
	switch {
	case errors.As(err, &failed) && failed.Kind == cel.InterruptError:
		w.interrupted = w.ctx.Err()
		return
	case err != nil:
		f.kind, f.message = event.RuleError, ruleError(err)
	case holds:
		return
	default:
		w.explain(&f, rule, bindings, place)
	}
	w.findings = append(w.findings, f)
}

// brokenAt tells whether the schema found something at the place or below it.
func (j *judgement) brokenAt(place []string) bool { return j.wrongAt[pointer(place)] }

// readsLeftOut tells whether a rule reads what the source didn't give.
func (j *judgement) readsLeftOut(program *cel.Program, place []string) bool {
	if j.change.Incomplete == nil || len(j.change.Incomplete.Fields) == 0 || j.gone() {
		return false
	}
	for _, read := range program.Paths() {
		if full, ok := absolute(read, place); ok && (len(full) == 0 || full[0] == anyToken || j.leftOut(full[0])) {
			return true
		}
	}
	return false
}

// absolute is where a path that a rule at the place reads lies in the row; false for what isn't of the row.
func absolute(read, place []string) ([]string, bool) {
	if len(read) == 0 {
		return nil, false
	}
	switch read[0] {
	case "self", "old":
		return with(place, read[1:]...), true
	case "root":
		return read[1:], true
	}
	return nil, false
}

// ruleError says why a rule gave no verdict; it names fields and types, never values.
func ruleError(err error) string {
	var e *cel.EvalError
	if !errors.As(err, &e) {
		return "it gave no verdict"
	}
	if e.Hint != "" {
		return e.Message + " (" + e.Hint + ")"
	}
	return e.Message
}

// explain says what was expected and what there was: what the rule shows, or the sides of the comparison that failed.
func (w *ruleWalk) explain(f *finding, rule *schemas.Rule, bindings cel.Bindings, place []string) {
	if len(rule.Show) > 0 {
		f.actual = w.shown(rule, bindings, place)
		return
	}
	c, ok := rule.Program.Explain(w.ctx, bindings)
	if !ok {
		return
	}
	left, right, op := c.Left, c.Right, c.Op
	if len(left.Paths) == 0 && len(right.Paths) > 0 { // 0 <= self.n is about self.n
		left, right, op = right, left, turned[op]
	}
	if reads := w.reads(left.Paths, place); len(reads) == 1 {
		f.place = subject(reads[0], len(place), c.Index)
	}
	f.actual = w.mask.side(left.Value, w.reads(left.Paths, place))
	f.expected = w.mask.side(right.Value, w.reads(right.Paths, place))
	if op != "==" && f.expected != "" {
		f.expected = op + " " + f.expected
	}
}

// subject is the place that a comparison is about, so that people see the field and not the row; where a path goes
// through elements of lists that aren't known, it ends before them. The fingerprint keeps the place of the rule: which
// comparison failed depends on values.
func subject(read []string, from int, index []int) []string {
	found := slices.Clone(read)
	for i := min(from, len(found)); i < len(found); i++ {
		if found[i] != anyToken {
			continue
		}
		if len(index) == 0 {
			return found[:i]
		}
		found[i], index = strconv.Itoa(index[0]), index[1:]
	}
	return found
}

var turned = map[string]string{
	"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<=", "in": "contains", "not in": "doesn't contain",
}

// reads are the places in the row that a side reads.
func (w *ruleWalk) reads(paths [][]string, place []string) [][]string {
	var all [][]string
	for _, path := range paths {
		if full, ok := absolute(path, place); ok {
			all = append(all, full)
		} else if path[0] == "key" {
			all = append(all, path[1:])
		}
	}
	return all
}

// shown are the values that the rule wants to be shown, by their expressions where there are several.
func (w *ruleWalk) shown(rule *schemas.Rule, bindings cel.Bindings, place []string) string {
	var texts []string
	for _, program := range rule.Show {
		text := "?"
		if v, err := program.Value(w.ctx, bindings); err == nil {
			text = w.mask.side(v, w.reads(program.Paths(), place))
		}
		if len(rule.Show) > 1 {
			text = strings.TrimPrefix(program.Source(), "self.") + " = " + text
		}
		texts = append(texts, text)
	}
	return shorten(strings.Join(texts, ", "))
}
