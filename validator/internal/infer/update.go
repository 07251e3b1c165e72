package infer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Update is a schema file with what is new in the traffic.
type Update struct {
	Text  []byte
	Diff  string   // as diff -u writes it; empty where nothing is new
	Added []string // the places that are new, as JSON pointers
	// Unlike is what the traffic has and the file says otherwise, a line each. It is left to people: what they wrote
	// may be right, and the traffic wrong.
	Unlike []string
}

// ErrNoSchema says that a text isn't a schema that could be added to.
var ErrNoSchema = errors.New("not a schema file")

// Update adds to a schema file, which people may have written or edited, the places that it says nothing about. It
// changes nothing of what stands there: what is new is put between, in the file's own way of writing.
func (f *Inference) Update(name string, text []byte) (*Update, error) {
	root, err := parseText(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSchema, err)
	}
	if root.kind != objectKind {
		return nil, fmt.Errorf("%w: an object is expected", ErrNoSchema)
	}
	m := &merger{builder: builder{options: f.options}, editor: newEditor(text, root), root: root}
	m.schema(root, f.root, place{}, func(name string) int { return f.leftOut[name] })
	m.private()
	u := &Update{Text: m.editor.done(), Added: m.added, Unlike: m.unlike}
	u.Diff = m.editor.diff(name)
	return u, nil
}

// merger puts what was seen into a file.
type merger struct {
	builder
	editor        *editor
	root          *written
	added, unlike []string
}

func (m *merger) tell(at place, format string, args ...any) {
	where := at.pointer()
	if where == "" {
		where = "/"
	}
	m.unlike = append(m.unlike, where+": "+fmt.Sprintf(format, args...))
}

// schema adds what was seen at a place to the schema that stands for it.
func (m *merger) schema(w *written, s *shape, at place, leftOut func(string) int) {
	if w.kind != objectKind {
		return
	}
	if m.placeholder(w) {
		if now := m.builder.schema(s, at, leftOut); s.kinds() > 0 {
			m.editor.replace(w, now)
			m.added = append(m.added, at.pointer())
		}
		return
	}
	m.contradictions(w, s, at, leftOut)
	if s.objects > 0 && allows(w, "object") {
		m.object(w, s, at, leftOut)
	}
	if s.items == nil || !allows(w, "array") {
		return
	}
	switch items := w.get("items"); {
	case items != nil:
		m.schema(items, s.items, at.any(), nil)
	case w.get("prefixItems") == nil && !hasParts(w) && speaks(w, "array"):
		m.editor.member(w, -1, "items", m.builder.schema(s.items, at.any(), nil))
		m.added = append(m.added, at.any().pointer())
	}
}

// placeholder tells of what infer writes where it doesn't know what there is but null.
func (m *merger) placeholder(w *written) bool {
	return len(w.members) == 1 && strings.HasPrefix(w.get("$comment").string(), onlyNull)
}

func (w *written) string() string {
	if w == nil {
		return ""
	}
	return w.text
}

// parts are keywords by which other schemas speak of the same value.
var parts = []string{"$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"}

func hasParts(w *written) bool {
	return slices.ContainsFunc(parts, func(keyword string) bool { return w.get(keyword) != nil })
}

// allows tells whether a schema's type lets a type pass.
func allows(w *written, name string) bool {
	types := w.get("type")
	return types == nil || slices.Contains(types.texts(), name)
}

// speaks tells whether a schema names a type: one that names none was left open by somebody.
func speaks(w *written, name string) bool { return slices.Contains(w.get("type").texts(), name) }

func (m *merger) object(w *written, s *shape, at place, leftOut func(string) int) {
	properties, others := w.get("properties"), w.get("additionalProperties")
	if s.isMap() {
		switch {
		case others != nil:
			m.schema(others, s.anyMember(), at.any(), nil)
		case properties == nil && w.get("patternProperties") == nil && !hasParts(w) && speaks(w, "object"):
			m.editor.member(w, -1, "additionalProperties", m.builder.schema(s.anyMember(), at.any(), nil))
			m.added = append(m.added, at.any().pointer())
		}
		return
	}
	inferred := m.builder.objectOf(s, at, leftOut, func(name string) bool { return m.fresh(w, name, at) })
	m.place(w, s, at, inferred)
	if properties == nil {
		return
	}
	for _, p := range properties.members {
		if seen := s.members[p.name]; seen != nil {
			m.schema(p.value, seen.shape, at.member(p.name), nil)
		}
	}
}

// fresh tells whether a schema says nothing of a member, so that it may be added. What can't be added is told.
func (m *merger) fresh(w *written, name string, at place) bool {
	properties, others := w.get("properties"), w.get("additionalProperties")
	switch {
	case properties.get(name) != nil:
		return false
	case slices.ContainsFunc(patterns(w), func(p *regexp.Regexp) bool { return p.MatchString(name) }):
		return false
	case m.elsewhere(w, name, 0):
		return false
	case others != nil && others.kind == objectKind:
		return false // spoken of by it
	case others != nil && string(m.editor.text[others.begin:others.end]) == "false":
		m.tell(at.member(name), "was seen, and additionalProperties forbids it")
		return false
	case properties != nil || len(at.path) == 0 && !hasParts(w):
		return true
	case hasParts(w):
		m.tell(at.member(name), "was seen, and what $ref, allOf and the like lead to says nothing of it")
		return false
	}
	return speaks(w, "object")
}

func patterns(w *written) []*regexp.Regexp {
	var all []*regexp.Regexp
	if named := w.get("patternProperties"); named != nil {
		for _, p := range named.members {
			if compiled, err := regexp.Compile(p.name); err == nil {
				all = append(all, compiled)
			}
		}
	}
	return all
}

// maxRefs bounds $refs that lead to each other.
const maxRefs = 20

// elsewhere tells whether another schema that speaks of the same object has a member: one in allOf and the like, or where
// a $ref leads. What other files say isn't known here, and taken to be everything.
func (m *merger) elsewhere(w *written, name string, depth int) bool {
	if w == nil || depth > maxRefs {
		return false
	}
	if depth > 0 && w.get("properties").get(name) != nil {
		return true
	}
	if ref := w.get("$ref"); ref != nil {
		target, local := m.target(ref.text)
		if !local || m.elsewhere(target, name, depth+1) {
			return true
		}
	}
	for _, keyword := range parts[3:] {
		other := w.get(keyword)
		if other == nil {
			continue
		}
		if keyword == "dependentSchemas" || keyword == "dependencies" {
			for _, d := range other.members {
				if m.elsewhere(d.value, name, depth+1) {
					return true
				}
			}
			continue
		}
		for _, o := range append([]*written{other}, other.items...) {
			if m.elsewhere(o, name, depth+1) {
				return true
			}
		}
	}
	return false
}

// target is where a $ref within the file leads.
func (m *merger) target(ref string) (target *written, local bool) {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok || pointer != "" && !strings.HasPrefix(pointer, "/") {
		return nil, false
	}
	at := m.root
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer != "" {
			at = at.get(strings.NewReplacer("~1", "/", "~0", "~").Replace(token))
		}
	}
	return at, true
}

// place puts the members of an object that are new where they stand in the data, and into required where all have them.
func (m *merger) place(w *written, s *shape, at place, inferred objectParts) {
	if len(inferred.properties) == 0 {
		return
	}
	for _, p := range inferred.properties {
		m.added = append(m.added, at.member(p.name).pointer())
	}
	properties, required := w.get("properties"), w.get("required")
	if properties == nil {
		if required == nil && len(inferred.required) > 0 {
			m.editor.member(w, -1, "required", inferred.required)
		}
		m.editor.member(w, -1, "properties", inferred.properties)
	} else {
		for _, p := range inferred.properties {
			m.editor.member(properties, m.before(properties, s, p.name), p.name, p.value)
		}
	}
	if required == nil || required.kind != arrayKind {
		return // nothing is required, as somebody wants it
	}
	for _, name := range inferred.required {
		if text, ok := name.(string); ok && !slices.Contains(required.texts(), text) {
			m.editor.item(required, text)
		}
	}
}

// before is the index of the member behind which a new one stands in the data.
func (m *merger) before(properties *written, s *shape, name string) int {
	for i := slices.Index(s.names, name) - 1; i >= 0; i-- {
		if at := properties.index(s.names[i]); at >= 0 {
			return at
		}
	}
	return -1
}

// contradictions tells what was seen and the schema doesn't let pass.
func (m *merger) contradictions(w *written, s *shape, at place, leftOut func(string) int) {
	if w.get("type") != nil {
		for _, seen := range s.types() {
			name, _ := seen.(string)
			fits := allows(w, name) || name == "integer" && allows(w, "number") || name == "number" && s.fractions == 0 && allows(w, "integer")
			if !fits {
				m.tell(at, "%s was seen, and type doesn't allow it", name)
			}
		}
	}
	if enum := w.get("enum"); enum != nil && s.strings.count > 0 {
		var others []string
		for _, value := range s.strings.order {
			if !slices.Contains(enum.texts(), value) {
				others = append(others, fmt.Sprintf("%q", value))
			}
		}
		switch {
		case len(others) > 0 && s.strings.personal == 0:
			m.tell(at, "%s was seen, and enum doesn't have it", strings.Join(others, ", "))
		case len(others) > 0 || s.strings.many && len(enum.items) <= maxValues:
			m.tell(at, "values were seen that enum doesn't have")
		}
	}
	if s.free != nil {
		return
	}
	for _, name := range w.get("required").texts() {
		in := 0
		if seen := s.members[name]; seen != nil {
			in = seen.in
		}
		if leftOut != nil {
			in += leftOut(name)
		}
		if missing := s.objects - in; missing > 0 {
			m.tell(at.member(name), "is required, and missing in %d of %d", missing, s.objects)
		}
	}
}

// private adds the candidates for x-pii among what is new.
func (m *merger) private() {
	have := m.root.get("x-pii")
	var fresh []any
	for _, p := range m.pii {
		pointer, _ := p.(string)
		covered := slices.ContainsFunc(have.texts(), func(known string) bool { return known == pointer || strings.HasPrefix(pointer, known+"/") })
		if !covered {
			fresh = append(fresh, pointer)
		}
	}
	switch {
	case len(fresh) == 0:
	case have == nil:
		m.editor.member(m.root, -1, "x-pii", fresh)
	case have.kind == arrayKind:
		for _, p := range fresh {
			m.editor.item(have, p.(string))
		}
	}
}
