package verdict

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/cel"
	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
)

// hidden stands for what isn't shown.
const hidden = "•••"

// Bounds of what is shown of a value.
const (
	maxShown  = 200  // characters of one text
	maxSample = 8192 // bytes of a sample, about
)

// mask decides what may be shown of a row: nothing that x-pii names, and of strings only enums, dates and ids.
type mask struct {
	root *jsonschema.Schema
	pii  []schemas.Pointer
	key  bool // it is a key that is shown: every string in it is an id
}

func (m *mask) covered(place []string) bool {
	return slices.ContainsFunc(m.pii, func(p schemas.Pointer) bool { return p.Covers(place) })
}

// holdsHidden tells whether something at or below the place is covered.
func (m *mask) holdsHidden(place []string) bool {
	return m.covered(place) || slices.ContainsFunc(m.pii, func(p schemas.Pointer) bool { return p.Under(place) })
}

// shownPlace is a place without the names that are part of what is hidden: those of its members that no schema has.
func (m *mask) shownPlace(place []string) []string {
	shown := place
	for i, name := range m.named(place) {
		if name == anyToken && !isIndex(place[i]) && m.covered(place[:i]) {
			shown = with(shown)
			shown[i] = hidden
		}
	}
	return shown
}

// show is the text of the value at a place, as far as it may be shown.
func (m *mask) show(value any, place []string) string {
	if m.covered(place) {
		return hidden
	}
	switch v := value.(type) {
	case string:
		return m.text(v, m.schemasAt(place), lastOf(place))
	case map[string]any, []any:
		b, err := json.Marshal(v)
		if err != nil {
			return hidden
		}
		return shorten(string(m.sample(b, m.schemasAt(place), place)))
	}
	return literal(value)
}

// text is a string or what stands for it.
func (m *mask) text(s string, at []*jsonschema.Schema, name string) string {
	if m.key && isID(s) || utf8.RuneCountInString(s) <= maxShown && showable(s, at, name) {
		return s
	}
	return hidden
}

func showable(s string, at []*jsonschema.Schema, name string) bool {
	if slices.ContainsFunc(at, func(schema *jsonschema.Schema) bool { return slices.Contains(telling, schema.Format) }) {
		return false
	}
	if s == "" || selfEvident.MatchString(s) {
		return true
	}
	machine := idName.MatchString(name)
	for _, schema := range at { // in no order: all that speak of the place have a say
		if slices.Contains(schema.Enum, any(s)) || slices.Contains(schema.Constant, any(s)) {
			return true
		}
		machine = machine || len(schema.Enum) > 0 || len(schema.Constant) > 0 || slices.Contains(plain, schema.Format)
	}
	return machine && isID(s)
}

// plain are formats of what names nobody.
var plain = []string{"date-time", "date", "time", "duration", "uuid", "objectid", "decimal", "money", "currency"}

// telling are formats of what says who somebody is, though it is made of digits.
var telling = []string{"phone", "iban", "luhn", "email"}

var (
	// selfEvident are dates, times, UUIDs and ObjectIds. Digits alone aren't: they may be a phone's or a card's.
	selfEvident = regexp.MustCompile(`^(\d{4}-\d\d-\d\d([T ][\d:.]+(Z|[+-]\d\d:?\d\d)?)?|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{24})$`)
	idName      = regexp.MustCompile(`^(_?id|.*_id|.*[a-z](Id|ID))$`)
	idShape     = regexp.MustCompile(`^[A-Za-z0-9_.:+-]{1,64}$`)
)

// isID tells whether a text looks like one that machines give: no blank, no @, not long.
func isID(s string) bool { return idShape.MatchString(s) }

func lastOf(place []string) string {
	for _, token := range slices.Backward(place) {
		if !isIndex(token) {
			return token
		}
	}
	return ""
}

// schemasAt are all schemas that speak of a place, those of branches not taken too: each may know an enum.
func (m *mask) schemasAt(place []string) []*jsonschema.Schema {
	at := expand(m.root)
	for _, token := range place {
		at = below(at, token)
	}
	return at
}

// named is a place as fingerprints have it, where only the value is known: names that no schema has are data.
func (m *mask) named(place []string) []string {
	pattern := make([]string, len(place))
	at := expand(m.root)
	for i, token := range place {
		pattern[i] = anyToken
		if slices.ContainsFunc(at, func(s *jsonschema.Schema) bool { return s.Properties[token] != nil }) {
			pattern[i] = token
		}
		at = below(at, token)
	}
	return pattern
}

// expand adds what schemas name for their own value.
func expand(roots ...*jsonschema.Schema) []*jsonschema.Schema {
	var all []*jsonschema.Schema
	for queue := roots; len(queue) > 0; queue = queue[1:] {
		if s := queue[0]; s != nil && !slices.Contains(all, s) {
			all = append(all, s)
			for _, also := range schemas.InPlace(s) {
				queue = append(queue, also.Schema)
			}
		}
	}
	return all
}

// below are the schemas of a member or an element.
func below(at []*jsonschema.Schema, token string) []*jsonschema.Schema {
	var next []*jsonschema.Schema
	for _, s := range at {
		named := s.Properties[token]
		if named != nil {
			next = append(next, named)
		}
		for pattern, schema := range s.PatternProperties {
			if pattern.MatchString(token) {
				named, next = schema, append(next, schema)
			}
		}
		if schema, ok := s.AdditionalProperties.(*jsonschema.Schema); ok && named == nil {
			next = append(next, schema)
		}
		if i, err := strconv.Atoi(token); err == nil {
			next = append(next, element(s, i))
		}
	}
	return expand(next...)
}

// element is the schema of a list's element.
func element(s *jsonschema.Schema, i int) *jsonschema.Schema {
	switch items := s.Items.(type) {
	case *jsonschema.Schema:
		return items
	case []*jsonschema.Schema:
		if i < len(items) {
			return items[i]
		}
		schema, _ := s.AdditionalItems.(*jsonschema.Schema)
		return schema
	}
	if i < len(s.PrefixItems) {
		return s.PrefixItems[i]
	}
	return s.Items2020
}

// sample writes JSON again, masked, members in the order in which they came. What goes beyond maxSample is left out.
func (m *mask) sample(raw []byte, at []*jsonschema.Schema, place []string) json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	w := &sampler{mask: m, decoder: d}
	if err := w.value(at, place); err != nil {
		return nil
	}
	return w.out
}

type sampler struct {
	mask    *mask
	decoder *json.Decoder
	out     []byte
}

func (w *sampler) value(at []*jsonschema.Schema, place []string) error {
	if w.mask.covered(place) {
		w.out = event.AppendString(w.out, hidden)
		return w.skip()
	}
	token, err := w.decoder.Token()
	if err != nil {
		return err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return w.object(at, place)
		}
		return w.array(at, place)
	case string:
		w.out = event.AppendString(w.out, w.mask.text(t, at, lastOf(place)))
	case json.Number:
		if _, err := cel.NumberValue(string(t)); err != nil { // readers of violations are to live, too
			w.out = event.AppendString(w.out, "…")
		} else {
			w.out = append(w.out, t...)
		}
	default:
		w.out = append(w.out, literal(t)...)
	}
	return nil
}

// skip passes over a value.
func (w *sampler) skip() error {
	var skipped json.RawMessage
	return w.decoder.Decode(&skipped)
}

func (w *sampler) object(at []*jsonschema.Schema, place []string) error {
	w.out = append(w.out, '{')
	for i, cut := 0, false; w.decoder.More(); i++ {
		token, err := w.decoder.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if !cut && i > 0 {
			w.out = append(w.out, ',')
		}
		switch {
		case cut:
			err = w.skip()
		case len(w.out) > maxSample:
			cut, w.out = true, append(w.out, `"…":"…"`...)
			err = w.skip()
		default:
			w.out = append(event.AppendString(w.out, shorten(name)), ':')
			err = w.value(below(at, name), append(place, name))
		}
		if err != nil {
			return err
		}
	}
	w.out = append(w.out, '}')
	_, err := w.decoder.Token()
	return err
}

func (w *sampler) array(at []*jsonschema.Schema, place []string) error {
	w.out = append(w.out, '[')
	for i, cut := 0, false; w.decoder.More(); i++ {
		if !cut && i > 0 {
			w.out = append(w.out, ',')
		}
		var err error
		switch index := strconv.Itoa(i); {
		case cut:
			err = w.skip()
		case len(w.out) > maxSample:
			cut, w.out = true, append(w.out, `"…"`...)
			err = w.skip()
		default:
			err = w.value(below(at, index), append(place, index))
		}
		if err != nil {
			return err
		}
	}
	w.out = append(w.out, ']')
	_, err := w.decoder.Token()
	return err
}

// side is the text of one side of a comparison: what it reads decides whether it may be shown.
func (m *mask) side(v cel.Value, reads [][]string) string {
	for _, place := range reads {
		if m.holdsHidden(place) {
			return hidden
		}
	}
	switch {
	case v.Err() != nil:
		return ""
	case v.Kind() == cel.String && len(reads) > 0:
		for _, place := range reads { // it may be made of all of them
			if !showable(v.Text(), m.schemasAt(place), lastOf(place)) {
				return hidden
			}
		}
		return shorten(v.Text())
	case v.Kind() == cel.List || v.Kind() == cel.Map:
		place := []string{}
		if len(reads) == 1 {
			place = reads[0]
		}
		return shorten(string(m.sample([]byte(v.JSON()), m.schemasAt(place), place)))
	}
	return shorten(v.Text())
}

func shorten(s string) string {
	if utf8.RuneCountInString(s) <= maxShown {
		return s
	}
	runes := []rune(s)
	return strings.TrimSpace(string(runes[:maxShown])) + "…"
}
