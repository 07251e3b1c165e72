package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/cel"
	"datawatch/pkg/event"
	"datawatch/pkg/hide"
)

// File is one schema file, compiled. It never changes.
type File struct {
	Name     string // relative to the folder, with slashes: "shop-db/public.orders.json"
	SHA256   string // of its text, in hex
	Refs     string // a SHA-256 over the files that it refers to; empty where there are none
	LoadedAt time.Time
	Severity event.Severity // of what names none of its own
	Owner    string
	Runbook  string
	PII      []Pointer
	Schema   *jsonschema.Schema

	rules     map[*jsonschema.Schema][]*Rule
	ruled     []*jsonschema.Schema // the places of rules, in the order in which they are found
	reaches   map[*jsonschema.Schema]bool
	documents map[string]string // the SHA-256 of every other file that it refers to, by the URL asked for
}

// Named is the file as a violation names it.
func (f *File) Named() event.ViolationSchema {
	return event.ViolationSchema{File: f.Name, SHA256: f.SHA256, Refs: f.Refs}
}

// Version tells one state of the file and of what it refers to from another; it is the same after a restart.
func (f *File) Version() string { return f.Named().Version() }

// refsOf is what Refs holds of the other files.
func refsOf(documents map[string]string) string {
	if len(documents) == 0 {
		return ""
	}
	h := sha256.New()
	for _, location := range slices.Sorted(maps.Keys(documents)) {
		_, _ = fmt.Fprintf(h, "%s\n%s\n", location, documents[location]) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Loaded is when the file was loaded; zero of no file.
func (f *File) Loaded() time.Time {
	if f == nil {
		return time.Time{}
	}
	return f.LoadedAt
}

// RulesAt are the rules that stand at a place of the schema.
func (f *File) RulesAt(s *jsonschema.Schema) []*Rule { return f.rules[s] }

// Reaches tells whether there are rules at a place or below it.
func (f *File) Reaches(s *jsonschema.Schema) bool { return f.reaches[s] }

// Rules are all rules that can be reached from the root.
func (f *File) Rules() []*Rule {
	var all []*Rule
	f.EachRule(func(_ *jsonschema.Schema, r *Rule) { all = append(all, r) })
	return all
}

// OldRules are the ids of the rules that name old, sorted.
func (f *File) OldRules() []string {
	var ids []string
	for _, r := range f.Rules() {
		if r.NamesOld {
			ids = append(ids, r.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// EachRule calls each for every rule with its place in the schema.
func (f *File) EachRule(each func(*jsonschema.Schema, *Rule)) {
	for _, s := range f.ruled {
		for _, rule := range f.rules[s] {
			each(s, rule)
		}
	}
}

// Rule is one of x-rules, compiled.
type Rule struct {
	ID       string
	Message  string
	Severity event.Severity
	Index    int // within its x-rules
	Program  *cel.Program
	Show     []*cel.Program
	// NamesOld: it is about a change, runs only where there is a before, and never makes a row stand as wrong.
	NamesOld bool
	// Where it is written: of a shared file's rule, that file.
	WrittenIn    string
	Line, Column int

	on map[event.Op]bool
}

// RunsOn tells whether the rule is asked of events that did op.
func (r *Rule) RunsOn(op event.Op) bool { return r.on[op] }

// Pointer is a JSON pointer whose "*" stands for any name or index.
type Pointer = hide.Pointer

// readRoot fills in what the keywords at the root say.
func (f *File) readRoot(d *document) []Problem {
	r := rootReader{document: d}
	f.Severity = event.Warning
	if n := d.root.get(keySeverity); n != nil {
		f.Severity = r.severity(n)
	}
	f.Owner = r.text(keyOwner)
	f.Runbook = r.text(keyRunbook)
	if u, err := url.Parse(f.Runbook); f.Runbook != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		r.wrong(d.root.get(keyRunbook), keyRunbook+" is not a URL", "https://…, as alerts show it")
	}
	f.PII = r.pointers()
	return r.problems
}

type rootReader struct {
	document *document
	problems []Problem
}

func (r *rootReader) wrong(n *node, message, hint string) {
	r.problems = append(r.problems, r.document.problem(cel.Error, n.offset, message, hint))
}

func (r *rootReader) text(name string) string {
	n := r.document.root.get(name)
	if n == nil {
		return ""
	}
	text, ok := n.text()
	if !ok || text == "" {
		r.wrong(n, name+" has to be a text", "")
	}
	return text
}

func (r *rootReader) severity(n *node) event.Severity {
	text, _ := n.text()
	switch s := event.Severity(text); s {
	case event.Info, event.Warning, event.Critical:
		return s
	}
	r.wrong(n, "unknown severity", "info, warning or critical")
	return event.Warning
}

func (r *rootReader) pointers() []Pointer {
	n := r.document.root.get(keyPII)
	if n == nil {
		return nil
	}
	if n.value != json.Delim('[') {
		r.wrong(n, keyPII+" has to be a list", `JSON pointers, as in ["/email", "/items/*/note"]`)
		return nil
	}
	var all []Pointer
	for _, item := range n.items {
		text, ok := item.text()
		if !ok {
			r.wrong(item, "not a JSON pointer", `a text such as "/email"`)
			continue
		}
		p, err := hide.ParsePointer(text)
		if err != nil {
			r.wrong(item, err.Error(), "")
			continue
		}
		all = append(all, p)
	}
	return all
}
