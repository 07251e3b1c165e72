package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/cel"
	"datawatch/pkg/config"
)

// scheme is that of the URLs that the folder's files have for the compiler.
const scheme = "schemas"

func urlOf(name string) string { return (&url.URL{Scheme: scheme, Path: "/" + name}).String() }

// compile makes a File of a document; with an error among the problems there is none.
func (t *tree) compile(d *document, now time.Time) (*File, []Problem) {
	if d.root == nil {
		return nil, d.findings
	}
	problems := slices.Clone(d.findings)
	f := &File{Name: d.name, SHA256: d.sha, LoadedAt: now, rules: map[*jsonschema.Schema][]*Rule{}, documents: map[string]string{}}
	problems = append(problems, f.readRoot(d)...)
	c := &compilation{tree: t, root: d, file: f, locations: map[string]*document{}}
	schema, err := c.run()
	if err != nil {
		return nil, append(problems, c.explain(err))
	}
	f.Schema, f.Refs = schema, refsOf(f.documents)
	problems = append(problems, c.rules()...)
	if hasErrors(problems) {
		return nil, problems
	}
	return f, problems
}

// compilation is the compiling of one file with what it refers to.
type compilation struct {
	tree      *tree
	root      *document
	file      *File
	last      *document            // loaded last: what the library complains of
	locations map[string]*document // by the base URLs that compiled schemas name
}

func (c *compilation) run() (schema *jsonschema.Schema, err error) {
	defer func() {
		if r := recover(); r != nil { // the library trusts that what it has checked has the right types
			err = fmt.Errorf("the schema can't be compiled: %v", r)
		}
	}()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat = true
	compiler.LoadURL = c.load
	for name, format := range formats {
		compiler.Formats[name] = format
	}
	location := urlOf(c.root.name)
	c.note(location, c.root)
	if err := compiler.AddResource(location, bytes.NewReader(c.root.text)); err != nil {
		return nil, err
	}
	return compiler.Compile(location)
}

func (c *compilation) note(location string, d *document) {
	c.last = d
	c.locations[location] = d
	if d.id != "" {
		c.locations[d.id] = d
	}
	if id, ok := d.root.get("$id").text(); ok { // a relative one is resolved against the location
		if base, err := url.Parse(location); err == nil {
			if ref, err := base.Parse(id); err == nil {
				ref.Fragment = ""
				c.locations[ref.String()] = d
			}
		}
	}
}

// missingError is a $ref that the folder can't answer.
type missingError struct{ url string }

func (e *missingError) Error() string {
	return fmt.Sprintf("$ref %s isn't in the folder", shown(e.url))
}

// brokenError is a $ref to a file that is wrong itself.
type brokenError struct{ document *document }

func (e *brokenError) Error() string {
	return "refers to " + e.document.name + ", which is wrong itself"
}

func shown(location string) string {
	if u, err := url.Parse(location); err == nil && u.Scheme == scheme {
		name := strings.TrimPrefix(u.Path, "/")
		if u.Fragment != "" {
			name += "#" + u.Fragment
		}
		return name
	}
	return location
}

func (c *compilation) load(location string) (io.ReadCloser, error) {
	d := c.tree.resolve(location)
	if d == nil {
		return nil, &missingError{location}
	}
	if d.wrong() {
		return nil, &brokenError{d}
	}
	c.file.documents[location] = d.sha
	c.note(location, d)
	return io.NopCloser(bytes.NewReader(d.text)), nil
}

// resolve finds the file that a URL means: by path, by $id, or, for a reference that was resolved against an absolute
// $id, by mapping it back to where the file with that $id lies.
func (t *tree) resolve(location string) *document {
	u, err := url.Parse(location)
	if err != nil {
		return nil
	}
	if u.Scheme == scheme {
		return t.documents[strings.TrimPrefix(u.Path, "/")]
	}
	if d := t.byID[location]; d != nil {
		return d
	}
	for _, d := range t.byID {
		id, err := url.Parse(d.id)
		if err != nil || id.Scheme != u.Scheme || id.Host != u.Host {
			continue
		}
		above := path.Dir(id.Path) + "/"
		if rest, ok := strings.CutPrefix(u.Path, above); ok {
			if found := t.documents[path.Join(path.Dir(d.name), rest)]; found != nil {
				return found
			}
		}
	}
	for rest := strings.TrimPrefix(u.Path, "/"); rest != ""; {
		if d := t.documents[rest]; d != nil {
			return d
		}
		_, rest, _ = strings.Cut(rest, "/")
	}
	return nil
}

// rules compiles the rules of every place, and notes which places lead to rules.
func (c *compilation) rules() []Problem {
	r := &ruleReader{
		file: c.file, find: c.find, shapes: &shapes{known: map[*jsonschema.Schema]*cel.Shape{}},
		ids: map[string]*node{}, reported: map[Problem]bool{},
	}
	above := map[*jsonschema.Schema][]*jsonschema.Schema{}
	seen := map[*jsonschema.Schema]bool{c.file.Schema: true}
	for queue := []*jsonschema.Schema{c.file.Schema}; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		r.read(s)
		next := below(s)
		for _, also := range InPlace(s) {
			next = append(next, also.Schema)
		}
		for _, n := range next {
			above[n] = append(above[n], s)
			if !seen[n] {
				seen[n] = true
				queue = append(queue, n)
			}
		}
	}
	c.file.reaches = map[*jsonschema.Schema]bool{}
	var mark func(*jsonschema.Schema)
	mark = func(s *jsonschema.Schema) {
		if !c.file.reaches[s] {
			c.file.reaches[s] = true
			for _, a := range above[s] {
				mark(a)
			}
		}
	}
	for s := range c.file.rules {
		mark(s)
	}
	return r.problems
}

// find gives what stands at a compiled schema's location.
func (c *compilation) find(location string) (*document, *node) {
	base, fragment, _ := strings.Cut(location, "#")
	d := c.locations[base]
	if d == nil {
		return nil, nil
	}
	pointer, err := url.PathUnescape(fragment)
	if err != nil {
		return nil, nil
	}
	n, whole := d.root.at(pointer)
	if !whole {
		return nil, nil
	}
	return d, n
}

// explain turns the library's error into a problem with its place.
func (c *compilation) explain(err error) Problem {
	var invalid *jsonschema.ValidationError
	var broken *brokenError
	var missing *missingError
	switch {
	case errors.As(err, &broken):
		p := c.atRef(broken.document.name, broken.Error(), "mend that one first")
		p.Because = broken.document.name
		return p
	case errors.As(err, &missing) && c.draftIs(missing.url):
		return c.root.problem(cel.Error, c.root.root.get("$schema").offset, "unknown $schema", "drafts 4, 6, 7, 2019-09 and 2020-12, as in https://json-schema.org/draft/2020-12/schema")
	case errors.As(err, &missing):
		return c.atRef(missing.url, missing.Error(), "a path relative to this file, or the $id of a file in the folder; the network is never asked")
	case errors.As(err, &invalid):
		return c.invalid(invalid)
	}
	text := err.Error()
	var wrapped *jsonschema.SchemaError
	if errors.As(err, &wrapped) {
		text = wrapped.Err.Error()
	}
	text = strings.TrimPrefix(text, "jsonschema: ")
	if target, ok := strings.CutSuffix(text, " not found"); ok {
		return c.atRef(target, fmt.Sprintf("$ref %s leads to nothing", shown(target)), "check the part behind #")
	}
	return c.root.problem(cel.Error, 0, text, "")
}

// draftIs tells whether the file names a URL as its draft.
func (c *compilation) draftIs(location string) bool {
	draft, ok := c.root.root.get("$schema").text()
	return ok && strings.TrimSuffix(draft, "#") == location
}

// invalid tells of a schema that its own draft rejects.
func (c *compilation) invalid(e *jsonschema.ValidationError) Problem {
	for len(e.Causes) > 0 {
		e = e.Causes[0]
	}
	pointer, err := url.PathUnescape(e.InstanceLocation)
	if err != nil {
		pointer = e.InstanceLocation
	}
	n, _ := c.last.root.at(pointer)
	hint := ""
	if text, ok := n.text(); ok && (strings.HasSuffix(pointer, "/type") || strings.Contains(pointer, "/type/")) {
		types := []string{"null", "boolean", "integer", "number", "string", "array", "object"}
		hint = "known: " + strings.Join(types, ", ")
		if near := config.Nearest(text, types); near != "" {
			hint = near + "?"
		}
		return c.last.problem(cel.Error, n.offset, fmt.Sprintf("type %q", text), hint)
	}
	return c.last.problem(cel.Error, n.offset, strings.TrimPrefix(pointer+": ", ": ")+e.Message, hint)
}

// atRef is a problem at the first $ref that means the target, as far as one can be found.
func (c *compilation) atRef(target, message, hint string) Problem {
	for _, d := range c.locations {
		if n := findRef(d.root, shown(target)); n != nil {
			return d.problem(cel.Error, n.offset, message, hint)
		}
	}
	return c.root.problem(cel.Error, 0, message, hint)
}

func findRef(n *node, target string) *node {
	if ref := n.get("$ref"); ref != nil {
		if text, ok := ref.text(); ok {
			if text = strings.TrimLeft(text, "./"); text != "" && strings.HasSuffix(target, text) || strings.HasSuffix(text, target) {
				return ref
			}
			if file, _, _ := strings.Cut(text, "#"); file != "" && strings.HasSuffix(target, file) {
				return ref
			}
		}
	}
	for _, m := range n.members {
		if found := findRef(m.node, target); found != nil {
			return found
		}
	}
	for _, item := range n.items {
		if found := findRef(item, target); found != nil {
			return found
		}
	}
	return nil
}
