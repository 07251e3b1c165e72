package schemas

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/cel"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
)

// SchemaRule is the name that errors of the schema itself have where rules have their id.
const SchemaRule = "schema"

var (
	ruleID   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
	ruleKeys = []string{"id", "rule", "message", "severity", "on", "show"}
	ops      = []string{string(event.Insert), string(event.Update), string(event.Delete), string(event.Truncate), string(event.Read), string(event.Message)}
	always   = []event.Op{event.Insert, event.Update, event.Read, event.Message}
)

var ruleEnv = func() *cel.Env {
	variables := append(cel.Variables("self", "old", "root", "key", "actor"),
		cel.Variable{Name: "op", Type: cel.String}, cel.Variable{Name: "stream", Type: cel.String},
		cel.Variable{Name: "time", Type: cel.Timestamp}, cel.Variable{Name: "tag", Type: cel.String | cel.Null})
	env, err := cel.NewEnv(variables...)
	if err != nil {
		panic(err) // the names above are constants
	}
	return env
}()

// ruleReader compiles the rules of every place that can be reached from a file's root.
type ruleReader struct {
	file     *File
	find     func(location string) (*document, *node) // what stands at a compiled schema's location
	shapes   *shapes
	ids      map[string]*node
	problems []Problem
	reported map[Problem]bool
}

func (r *ruleReader) read(s *jsonschema.Schema) {
	d, n := r.find(s.Location)
	if n == nil {
		return
	}
	list := n.get(keyRules)
	if list == nil {
		return
	}
	if !list.isArray() {
		r.wrong(d, list, keyRules+" has to be a list", `[{"id", "rule", "message"}]`)
		return
	}
	for i, item := range list.items {
		if rule := r.rule(d, item, s); rule != nil {
			if len(r.file.rules[s]) == 0 {
				r.file.ruled = append(r.file.ruled, s)
			}
			rule.Index = i
			r.file.rules[s] = append(r.file.rules[s], rule)
		}
	}
}

func (r *ruleReader) add(p Problem) {
	if !r.reported[p] { // a place that is referred to twice has its rules read once for each
		r.reported[p] = true
		r.problems = append(r.problems, p)
	}
}

func (r *ruleReader) wrong(d *document, n *node, message, hint string) {
	r.add(d.problem(cel.Error, n.offset, message, hint))
}

func (r *ruleReader) rule(d *document, n *node, s *jsonschema.Schema) *Rule {
	before := len(r.problems)
	if !n.isObject() {
		r.wrong(d, n, "a rule has to be an object", `{"id", "rule", "message"}`)
		return nil
	}
	for _, m := range n.members {
		r.known(d, m)
	}
	at := placeOf(d.text, n.offset)
	rule := &Rule{Severity: r.file.Severity, on: map[event.Op]bool{}, WrittenIn: d.name, Line: at.line, Column: at.column}
	rule.ID = r.text(d, n, "id", "a short name such as total-adds-up")
	rule.Message = r.text(d, n, "message", "what people read when it fails")
	source := r.text(d, n, "rule", "a CEL expression over self, as in self.total >= 0")
	if id := n.get("id"); id != nil && rule.ID != "" {
		r.id(d, id, rule.ID)
	}
	if severity := n.get("severity"); severity != nil {
		reader := rootReader{document: d}
		rule.Severity = reader.severity(severity)
		for _, p := range reader.problems {
			r.add(p)
		}
	}
	r.on(d, n.get("on"), rule)
	if source != "" {
		rule.Program = r.compile(d, n.get("rule"), source, s, cel.Bool)
	}
	r.show(d, n.get("show"), s, rule)
	if len(r.problems) > before && hasErrors(r.problems[before:]) || rule.Program == nil {
		return nil
	}
	rule.NamesOld = rule.Program.Names("old")
	return rule
}

func (r *ruleReader) known(d *document, m member) {
	for _, key := range ruleKeys {
		if m.name == key {
			return
		}
	}
	hint := "known: " + strings.Join(ruleKeys, ", ")
	if near := config.Nearest(m.name, ruleKeys); near != "" {
		hint = near + "?"
	}
	r.add(d.problem(cel.Error, m.offset, fmt.Sprintf("%q", m.name), hint))
}

func (r *ruleReader) text(d *document, n *node, key, hint string) string {
	value := n.get(key)
	if value == nil {
		r.wrong(d, n, fmt.Sprintf("the rule has no %q", key), hint)
		return ""
	}
	text, _ := value.text()
	if strings.TrimSpace(text) == "" {
		r.wrong(d, value, fmt.Sprintf("%q has to be a text", key), hint)
		return ""
	}
	return text
}

func (r *ruleReader) id(d *document, n *node, id string) {
	switch other, taken := r.ids[id]; {
	case !ruleID.MatchString(id):
		r.wrong(d, n, fmt.Sprintf("%q can't be a rule's id", id), "letters, digits, dots, dashes and underscores, at most 64")
	case id == SchemaRule:
		r.wrong(d, n, fmt.Sprintf("the id %q stands for the schema itself", id), "another id")
	case taken && other != n:
		r.wrong(d, n, fmt.Sprintf("two rules have the id %q", id), "each needs its own")
	default:
		r.ids[id] = n
	}
}

func (r *ruleReader) on(d *document, n *node, rule *Rule) {
	if n == nil {
		for _, op := range always {
			rule.on[op] = true
		}
		return
	}
	items := n.items
	if !n.isArray() {
		items = []*node{n}
	}
	for _, item := range items {
		text, _ := item.text()
		known := false
		for _, op := range ops {
			known = known || op == text
		}
		if !known {
			hint := "known: " + strings.Join(ops, ", ")
			if near := config.Nearest(text, ops); near != "" {
				hint = near + "?"
			}
			r.wrong(d, item, fmt.Sprintf("unknown op %q", text), hint)
			continue
		}
		rule.on[event.Op(text)] = true
	}
	if len(rule.on) == 0 {
		r.wrong(d, n, "the rule runs on no op", "leave \"on\" out, or name one")
	}
}

func (r *ruleReader) show(d *document, n *node, s *jsonschema.Schema, rule *Rule) {
	if n == nil {
		return
	}
	items := n.items
	if !n.isArray() {
		items = []*node{n}
	}
	for _, item := range items {
		source, ok := item.text()
		if !ok {
			r.wrong(d, item, "not an expression", `CEL in a text, as in "self.total"`)
			continue
		}
		if program := r.compile(d, item, source, s, cel.Any|cel.Timestamp|cel.Duration); program != nil {
			rule.Show = append(rule.Show, program)
		}
	}
}

func (r *ruleReader) compile(d *document, n *node, source string, s *jsonschema.Schema, result cel.Type) *cel.Program {
	here := r.shapes.of(s)
	program, issues := ruleEnv.Compile(source, cel.Options{
		Shapes: map[string]*cel.Shape{"self": here, "old": here, "root": r.shapes.of(r.file.Schema)}, Result: result,
	})
	for _, issue := range issues {
		message := issue.Message
		offset, exact := insideText(d.text, n.offset, source, issue.Line, issue.Column)
		if !exact {
			message = fmt.Sprintf("at %d:%d of the rule: %s", issue.Line, issue.Column, message)
		}
		r.add(d.problem(issue.Severity, offset, message, issue.Hint))
	}
	return program
}

// insideText is the offset in a file of a place inside a text value; exact is false where the text is written with escapes,
// and the offset then is that of the value.
func insideText(text []byte, offset int, value string, line, column int) (int, bool) {
	begin := offset + 1
	if line != 1 || begin+len(value) > len(text) || string(text[begin:begin+len(value)]) != value {
		return offset, false
	}
	at := 0
	for range column - 1 {
		if at >= len(value) {
			break
		}
		at++
		for at < len(value) && value[at]&0xc0 == 0x80 {
			at++
		}
	}
	return begin + at, true
}

func hasErrors(problems []Problem) bool {
	for _, p := range problems {
		if p.Severity == cel.Error {
			return true
		}
	}
	return false
}
