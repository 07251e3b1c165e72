package schemas

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/cel"
)

// Folder is the folder's text with places, for tools that say what is wrong where. Unlike a Set it holds files that
// can't be loaded, and goes on behind a name that stands twice.
type Folder struct {
	Sources []*Source // by name
	tree    *tree
}

// ReadFolder reads the files of a schema folder, as if others stood in it too.
func ReadFolder(dir string, also ...Text) (*Folder, error) {
	files, err := readWith(dir, also)
	if err != nil {
		return nil, err
	}
	f := &Folder{tree: parseTree(files, nil)}
	for _, name := range f.tree.names() {
		f.Sources = append(f.Sources, newSource(f.tree.documents[name]))
	}
	return f, nil
}

// Source is one file of the folder.
type Source struct {
	Name     string
	Root     Node
	Problems []Problem // what is wrong with the file by itself; with nil in Root all that can be said
	document *document
}

func newSource(d *document) *Source {
	s := &Source{Name: d.name, document: d, Problems: d.findings}
	if d.root != nil || d.sha == "" {
		s.Root = Node{d.root}
		return s
	}
	root, twice := parseOn(d.text)
	if root == nil || !root.isObject() {
		return s
	}
	s.Root, s.Problems = Node{root}, nil
	for _, f := range twice {
		s.Problems = append(s.Problems, d.problem(cel.Error, f.offset, f.message, f.hint))
	}
	s.Problems = append(s.Problems, checkKeywords(&document{name: d.name, text: d.text, root: root})...)
	return s
}

// Shared tells that the file judges no stream: it is there for $ref.
func (s *Source) Shared() bool { return isShared(s.Name) }

// Problem is a problem at a node of the file.
func (s *Source) Problem(severity cel.Severity, at Node, message, hint string) Problem {
	return s.document.problem(severity, at.n.offset, message, hint)
}

// ProblemInside is a problem at a byte of a node that is a text, as far as the place can be found.
func (s *Source) ProblemInside(severity cel.Severity, at Node, offset int, message, hint string) Problem {
	text, _ := at.Text()
	column := 1 + len([]rune(text[:offset]))
	place, _ := insideText(s.document.text, at.n.offset, text, 1, column)
	return s.document.problem(severity, place, message, hint)
}

// Schemas calls each for every schema of the file, the root first, with the keyword under which it stands.
func (s *Source) Schemas(each func(Node)) {
	if s.Root.n != nil {
		eachSchema(s.Root.n, each)
	}
}

func eachSchema(n *node, each func(Node)) {
	if !n.isObject() {
		return
	}
	each(Node{n})
	for _, m := range n.members {
		switch keywords[m.name] {
		case schema:
			eachSchema(m.node, each)
		case schemaMap:
			for _, named := range m.node.members {
				eachSchema(named.node, each)
			}
		case schemas:
			eachSchema(m.node, each)
			for _, item := range m.node.items {
				eachSchema(item, each)
			}
		}
	}
}

// base is the URL that the file's references are relative to.
func (s *Source) base() string {
	if s.document.id != "" {
		return s.document.id
	}
	return urlOf(s.Name)
}

// resolve makes a reference of the file absolute: the file that is meant, and the place in it.
func (s *Source) resolve(ref string) (file, fragment string, ok bool) {
	base, err := url.Parse(s.base())
	if err != nil {
		return "", "", false
	}
	to, err := base.Parse(ref)
	if err != nil {
		return "", "", false
	}
	fragment = to.Fragment
	to.Fragment, to.RawFragment = "", ""
	return to.String(), fragment, true
}

// Leads tells whether a $ref of the file leads to something in the folder, or in the drafts that are built in.
func (f *Folder) Leads(from *Source, ref string) bool {
	file, fragment, ok := from.resolve(ref)
	if !ok {
		return false
	}
	if strings.HasPrefix(file, "http://json-schema.org/") || strings.HasPrefix(file, "https://json-schema.org/") {
		return true
	}
	root := from.Root.n
	if file != from.base() {
		d := f.tree.resolve(file, from.document)
		if d == nil {
			return hasID(root, ref)
		}
		root = d.root
	}
	switch {
	case root == nil: // wrong by itself, and told
		return true
	case fragment == "" || strings.HasPrefix(fragment, "/"):
		_, whole := root.at(fragment)
		return whole || hasID(root, ref)
	}
	return hasAnchor(root, fragment)
}

func hasAnchor(root *node, name string) bool {
	found := false
	eachSchema(root, func(n Node) {
		for _, keyword := range []string{"$anchor", "$dynamicAnchor"} {
			text, _ := n.Get(keyword).Text()
			found = found || text == name
		}
		for _, keyword := range []string{"$id", "id"} { // drafts 4 to 7 name places so
			text, _ := n.Get(keyword).Text()
			found = found || text == "#"+name
		}
	})
	return found
}

// hasID tells whether a schema inside the file has an $id that a reference means.
func hasID(root *node, ref string) bool {
	ref, _, _ = strings.Cut(ref, "#")
	found := false
	eachSchema(root, func(n Node) {
		for _, keyword := range []string{"$id", "id"} {
			text, ok := n.Get(keyword).Text()
			found = found || ok && ref != "" && strings.TrimSuffix(text, "#") == ref
		}
	})
	return found
}

// Node is a JSON value of a Source; the zero Node is none.
type Node struct{ n *node }

// Exists tells whether there is one.
func (n Node) Exists() bool { return n.n != nil }

// Get is an object's member.
func (n Node) Get(name string) Node {
	if n.n == nil {
		return Node{}
	}
	return Node{n.n.get(name)}
}

// Members are an object's names and values, in order.
func (n Node) Members(each func(name string, value Node)) {
	if n.n != nil {
		for _, m := range n.n.members {
			each(m.name, Node{m.node})
		}
	}
}

// Items are an array's elements.
func (n Node) Items() []Node {
	if n.n == nil {
		return nil
	}
	items := make([]Node, len(n.n.items))
	for i, item := range n.n.items {
		items[i] = Node{item}
	}
	return items
}

// IsArray tells whether the value is an array.
func (n Node) IsArray() bool { return n.n != nil && n.n.isArray() }

// Text is the value of a string.
func (n Node) Text() (string, bool) { return n.n.text() }

// Number is the value of a number, as it is written.
func (n Node) Number() (json.Number, bool) {
	if n.n == nil {
		return "", false
	}
	number, ok := n.n.value.(json.Number)
	return number, ok
}

// IsFalse tells whether the value is false.
func (n Node) IsFalse() bool { return n.n != nil && n.n.value == false }

// Format is the check of a format of the name, ours among them; nil where there is none.
func Format(name string) func(any) bool {
	if valid := formats[name]; valid != nil {
		return valid
	}
	return jsonschema.Formats[name]
}
