package schemas

import (
	"bytes"
	"cmp"
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
	slices.SortStableFunc(problems, func(a, b Problem) int { // its own first, each file's from the top
		if own := d.name; (a.File == own) != (b.File == own) {
			if a.File == own {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
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
	d := c.tree.resolve(location, c.root)
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
// $id, by mapping it back to where the file with that $id lies: from's own, if it is that.
func (t *tree) resolve(location string, from *document) *document {
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
	if d := t.beside(u, from); d != nil {
		return d
	}
	for _, known := range inTurn(t.byID) { // several may fit: the same is taken each time
		if d := t.beside(u, t.byID[known]); d != nil {
			return d
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

// beside finds what a URL means as seen from a file with an absolute $id: what lies to the one as the other to the other.
func (t *tree) beside(u *url.URL, d *document) *document {
	id, err := url.Parse(d.id)
	if err != nil || d.id == "" || id.Scheme != u.Scheme || id.Host != u.Host {
		return nil
	}
	rest, ok := strings.CutPrefix(u.Path, path.Dir(id.Path)+"/")
	if !ok {
		return nil
	}
	return t.documents[path.Join(path.Dir(d.name), rest)]
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
		if p, ok := c.firstLost(); ok {
			return p
		}
		return c.atRef(missing.url, missing.Error(), missingHint)
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
		if p, ok := c.firstLost(); ok {
			return p
		}
		return c.atRef(target, fmt.Sprintf("$ref %s leads to nothing", shown(target)), "check the part behind #")
	}
	return c.root.problem(cel.Error, 0, text, "")
}

const missingHint = "a path relative to this file, or the $id of a file in the folder; the network is never asked"

// firstLost is about the first $ref that leads to nothing, in this file and then in those it refers to: the library meets
// them in the order of Go's maps.
func (c *compilation) firstLost() (p Problem, found bool) {
	folder := &Folder{tree: c.tree}
	for _, d := range c.documents() {
		source := newSource(d)
		source.Schemas(func(n Node) {
			ref := n.Get("$ref")
			text, ok := ref.Text()
			if found || !ok || folder.Leads(source, text) {
				return
			}
			file, fragment, ok := source.resolve(text)
			switch {
			case !ok:
				return
			case file != source.base() && c.tree.resolve(file, d) == nil:
				p = d.problem(cel.Error, ref.n.offset, (&missingError{file}).Error(), missingHint)
			default:
				p = d.problem(cel.Error, ref.n.offset, fmt.Sprintf("$ref %s#%s leads to nothing", shown(file), fragment), "check the part behind #")
			}
			found = true
		})
		if found {
			break
		}
	}
	return p, found
}

// documents are the files that this one leads to, itself first, in the order of their references: those that the library has
// read when it gives up are others each time.
func (c *compilation) documents() []*document {
	all := []*document{c.root}
	for i := 0; i < len(all); i++ {
		source := newSource(all[i])
		source.Schemas(func(n Node) {
			if text, ok := n.Get("$ref").Text(); ok {
				file, _, _ := source.resolve(text)
				if d := c.tree.resolve(file, c.root); d != nil && d.root != nil && !slices.Contains(all, d) {
					all = append(all, d)
				}
			}
		})
	}
	return all
}

// draftIs tells whether the file names a URL as its draft.
func (c *compilation) draftIs(location string) bool {
	draft, ok := c.root.root.get("$schema").text()
	return ok && strings.TrimSuffix(draft, "#") == location
}

// invalid tells of a schema that its own draft rejects.
func (c *compilation) invalid(e *jsonschema.ValidationError) Problem {
	e = firstLeaf(e)
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

// firstLeaf is the first by place: the library finds errors in the order of Go's maps.
func firstLeaf(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return e
	}
	leaves := make([]*jsonschema.ValidationError, len(e.Causes))
	for i, cause := range e.Causes {
		leaves[i] = firstLeaf(cause)
	}
	return slices.MinFunc(leaves, func(a, b *jsonschema.ValidationError) int {
		return cmp.Or(cmp.Compare(a.InstanceLocation, b.InstanceLocation), cmp.Compare(a.KeywordLocation, b.KeywordLocation), cmp.Compare(a.Message, b.Message))
	})
}

// atRef is a problem at the first $ref that means the target, as far as one can be found.
func (c *compilation) atRef(target, message, hint string) Problem {
	for _, d := range c.documents() {
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
