package normalize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"datawatch/pkg/config"
	"datawatch/pkg/event"
)

// Masker hides fields of raw records as the configuration's mask says, before anybody else sees them.
//
// A field is a name, or a path of names joined by dots that leads through objects, arrays of objects, composites, json
// and jsonb; a name that holds dots itself is found as well. Of Kafka records, JSON is masked in value and key, also
// inside the before, after, data, old and payload of change envelopes, where JSON in a text (a document of Debezium's) is
// looked into; text that isn't JSON and bytes have no fields and pass as they are.
//
//   - drop takes the field out.
//   - hash puts "sha256:" and the first 32 hexadecimal digits of the SHA-256 of the value there: of a string's text, of
//     anything else's JSON as written. Equal values stay equal, in every stream. There is no secret in it, so whoever can
//     guess a value (a phone number, a PIN) can find it: such fields are to be dropped.
//   - last4 puts "****" and the last 4 characters there; of what has fewer than 8, and of objects and arrays, just "****".
//
// null stays null. A field that is part of the key is hashed, whatever the entry says: without it rows couldn't be told
// apart. Where entries disagree about a field, the first one counts.
type Masker struct {
	mu      sync.Mutex
	entries []config.Mask
	streams map[event.Stream][]maskRule
}

// maskRule is one field of an entry, or what is left of its path.
type maskRule struct {
	path string
	how  string
}

const (
	maskDrop  = "drop"
	maskHash  = "hash"
	maskLast4 = "last4"

	maskAll = "all" // stars alone; no entry's, but what a rule's field may lie in or around
)

// NewMasker checks the entries.
func NewMasker(entries []config.Mask) (*Masker, error) {
	m := &Masker{}
	return m, m.Set(entries)
}

// Set has other entries count from now on. Where they are wrong, it is those of before that do.
func (m *Masker) Set(entries []config.Mask) error {
	for i, e := range entries {
		if _, err := path.Match(e.Stream, ""); err != nil {
			return fmt.Errorf("mask[%d].stream: %q is not a glob: %w", i, e.Stream, err)
		}
		if !slices.Contains([]string{maskDrop, maskHash, maskLast4}, e.How) {
			return fmt.Errorf("mask[%d].how: %q is not one of drop, hash and last4", i, e.How)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries, m.streams = entries, map[event.Stream][]maskRule{}
	return nil
}

// Apply masks a record in place; its Value, Key and RecordKey may be replaced, their bytes are never altered. After an
// error the record isn't masked and must not be written.
func (m *Masker) Apply(r *event.Raw) error {
	if r.Type == event.GapType {
		return nil
	}
	rules := m.rules(r.Stream)
	if len(rules) == 0 {
		return nil
	}
	switch r.Kind {
	case event.Kafka:
		if cutShort(r) {
			return wrong(Malformed, "only the beginning of the record was read, and fields can't be found in that")
		}
		return maskRecord(r, rules)
	case event.Postgres:
		return maskRow(r, rules)
	case event.MongoDB:
		return maskDocument(r, rules)
	default:
		return wrong(Unsupported, "mask of records of kind %q", r.Kind)
	}
}

// cutShort tells whether a Kafka record isn't all there.
func cutShort(r *event.Raw) bool {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Name) + len(h.Value)
	}
	return int64(n) < r.Size
}

// rules are those of a stream.
func (m *Masker) rules(stream event.Stream) []maskRule {
	m.mu.Lock()
	defer m.mu.Unlock()
	rules, ok := m.streams[stream]
	if !ok {
		for _, e := range m.entries {
			if matches, _ := path.Match(e.Stream, string(stream)); matches { // NewMasker has checked the glob
				for _, f := range e.Fields {
					rules = append(rules, maskRule{f, e.How})
				}
			}
		}
		m.streams[stream] = rules
	}
	return rules
}

// maskRow masks both images, and the shape with them: what was hashed is text now.
func maskRow(r *event.Raw, rules []maskRule) error {
	var row event.RowChange
	if err := json.Unmarshal(r.Value, &row); err != nil {
		return wrong(Malformed, "row: %v", err)
	}
	rules = keepKeys(rules, row.KeyColumns)
	for _, image := range []*json.RawMessage{&row.Before, &row.After} {
		if len(*image) == 0 || string(*image) == "null" {
			continue
		}
		masked, err := maskValue(*image, rules)
		if err != nil {
			return in("row", err)
		}
		*image = masked
	}
	row.Columns = maskColumns(row.Columns, rules)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(row); err != nil {
		return wrong(Malformed, "row: %v", err)
	}
	r.Value = bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
	return maskRowKey(r, &row)
}

// maskRowKey computes the key of a masked row anew.
func maskRowKey(r *event.Raw, row *event.RowChange) error {
	if len(r.Key) == 0 {
		return nil
	}
	image := row.After
	if row.Op == event.Delete {
		image = row.Before
	}
	key, err := rowKey(row.Columns, row.KeyColumns, image)
	if err != nil {
		return in("row", err)
	}
	r.Key, r.RecordKey = key, event.RecordKey(r.Stream, key)
	return nil
}

// keepKeys turns every rule about a key column into hash.
func keepKeys(rules []maskRule, keys []string) []maskRule {
	kept := slices.Clone(rules)
	for i := range kept {
		for _, k := range keys {
			if kept[i].path == k || strings.HasPrefix(kept[i].path, k+".") {
				kept[i].how = maskHash
			}
		}
	}
	return kept
}

// maskColumns gives the shape that masked rows have.
func maskColumns(columns []event.Column, rules []maskRule) []event.Column {
	masked := make([]event.Column, 0, len(columns))
	for _, c := range columns {
		how, nested := rulesOf(rules, c.Name)
		switch {
		case how == maskDrop:
			continue
		case how != "":
			c = event.Column{Name: c.Name, Type: "text", Base: "text"}
		case len(nested) > 0 && len(c.Fields) > 0:
			c.Fields = maskColumns(c.Fields, nested)
		case len(nested) > 0 && c.Element != nil && len(c.Element.Fields) > 0:
			element := *c.Element
			element.Fields = maskColumns(element.Fields, nested)
			c.Element = &element
		}
		masked = append(masked, c)
	}
	return masked
}

// envelopes are the places in change envelopes where a row's fields lie.
var envelopes = []string{
	"", "before.", "after.", "data.", "old.", "payload.", "payload.before.", "payload.after.",
	"data.before.", "data.after.", "data.payload.before.", "data.payload.after.", // in a CloudEvent
}

// maskRecord masks a Kafka record whose value or key is JSON.
func maskRecord(r *event.Raw, rules []maskRule) error {
	everywhere := make([]maskRule, 0, len(envelopes)*len(rules))
	for _, prefix := range envelopes {
		for _, rule := range rules {
			everywhere = append(everywhere, maskRule{prefix + rule.path, rule.how})
		}
	}
	everywhere = append(everywhere, descriptions(r.Value, rules)...)
	value, err := maskJSON(r.Value, everywhere)
	if err != nil {
		return in("value", err)
	}
	for i := range everywhere {
		everywhere[i].how = maskHash
	}
	key, err := maskJSON(r.Key, everywhere)
	if err != nil {
		return in("key", err)
	}
	r.Value = value
	if !bytes.Equal(key, r.Key) {
		r.Key, r.RecordKey = key, event.SourceRecordKey(r.Stream, key)
	}
	return nil
}

// maskJSON masks text that is JSON. Anything else, and JSON in which there is nothing to hide, stays byte for byte.
func maskJSON(text []byte, rules []maskRule) ([]byte, *Error) {
	if len(text) == 0 || !utf8.Valid(text) {
		return text, nil
	}
	as, err := oneValue(text)
	switch {
	case err != nil && err.Class == Limit:
		return nil, err
	case err != nil:
		return text, nil //nolint:nilerr // the error says that it isn't JSON: there are no fields in it
	}
	masked, err := maskValue(text, rules)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(masked, as) {
		return text, nil
	}
	return masked, nil
}
