package verdict

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/event"
	"datawatch/pkg/hide"
	"datawatch/validator/internal/schemas"
)

// Result is what became of one event; it is a metric's label.
type Result string

// The results.
const (
	Valid     Result = "valid"
	Invalid   Result = "invalid"
	Unchecked Result = "unchecked" // no schema, nothing to judge, or not known well enough
)

// Verdict is what is to be said of one event.
type Verdict struct {
	Result    Result
	Violation *event.Violation // nil unless Invalid
	// Standing are the rules (schemas.SchemaRule for the schema) by which the row is wrong from now on, each once, with
	// the highest severity.
	Standing map[string]event.Severity
	// Unjudged are the rules that couldn't be asked of this event, since it is incomplete or its structure is broken there:
	// what stood by them stands on.
	Unjudged map[string]bool
	// Unrunnable are rules that name old on a change, or a message, that comes without a before image.
	Unrunnable []string
}

// Judge judges one change event by a file; file is nil where the stream has none. position is the event's place in
// clean. The only error is ctx's.
func Judge(ctx context.Context, file *schemas.File, clean *event.Clean, position event.ViolationPosition, now time.Time) (v Verdict, err error) {
	if file == nil || clean.Change == nil {
		return Verdict{Result: Unchecked}, nil
	}
	j := &judgement{ctx: ctx, file: file, clean: clean, change: clean.Change, mask: &mask{root: file.Schema, pii: file.PII}}
	v = Verdict{Result: Valid, Unjudged: map[string]bool{}}
	j.verdict = &v
	j.run()
	if j.interrupted != nil {
		return Verdict{}, j.interrupted
	}
	if len(j.findings) > 0 {
		v.Result = Invalid
		v.Violation = j.violation(position, now)
		v.Standing = j.standing()
	}
	return v, nil
}

// judgement is the judging of one event.
type judgement struct {
	ctx         context.Context
	file        *schemas.File
	clean       *event.Clean
	change      *event.Change
	mask        *mask
	value       any // after; of a delete, before
	before      any
	findings    []finding
	wrongAt     map[string]bool // pointers to where the schema found something, and to all above: no rule is asked there
	verdict     *Verdict
	interrupted error
}

// run collects the findings. Whatever goes wrong in a judge is a finding too.
func (j *judgement) run() {
	defer func() {
		if r := recover(); r != nil {
			j.findings = []finding{{
				kind: event.InternalError, severity: event.Warning, keyword: "panic",
				message: "the validator couldn't judge this event: please report it",
			}}
		}
	}()
	if !j.read() {
		return
	}
	if !j.gone() {
		j.schema()
	}
	j.rules()
	inOrder(j.findings)
	j.findings = slices.CompactFunc(j.findings, sameToRead)
}

// gone tells that there is no value after the event.
func (j *judgement) gone() bool { return j.change.Op == event.Delete || j.change.Op == event.Truncate }

// read decodes what the judges need; false where there is nothing to judge.
func (j *judgement) read() bool {
	after := j.change.After
	switch incomplete := j.change.Incomplete; {
	case j.gone():
		after = j.change.Before
	case incomplete != nil && incomplete.After != "": // later or missing: not what this change made
		j.verdict.Result = Unchecked
		j.unjudge(anyRule)
		j.verdict.Unjudged[schemas.SchemaRule] = true
		return false
	}
	if in := j.change.Incomplete; in != nil && len(in.Fields) > 0 { // whether the rest of the schema's errors is over isn't known
		j.verdict.Unjudged[schemas.SchemaRule] = true
	}
	value, limits, err := decode(after)
	if err == nil && limits == nil && j.change.HasBefore() && !j.gone() {
		var beforeLimits []finding
		j.before, beforeLimits, err = decode(j.change.Before)
		if beforeLimits != nil { // the change away from such a value is no fault: its old is as if unknown
			j.before = nil
		}
	}
	if j.gone() {
		j.before, limits = value, nil
	}
	if err != nil {
		limits = []finding{{kind: event.InvalidError, keyword: "json", message: "isn't JSON that can be read"}}
	}
	for i := range limits {
		limits[i].severity = j.file.Severity
		limits[i].pattern = j.mask.named(limits[i].place)
	}
	j.value, j.findings = value, limits
	if limits != nil {
		j.unjudge(anyRule)
	}
	return limits == nil
}

func anyRule(*schemas.Rule) bool { return true }

func (j *judgement) unjudge(which func(*schemas.Rule) bool) {
	for _, r := range j.file.Rules() {
		if which(r) {
			j.verdict.Unjudged[r.ID] = true
		}
	}
}

// schema asks JSON Schema.
func (j *judgement) schema() {
	err := j.file.Schema.Validate(j.value)
	if err == nil {
		return
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		panic(err) // an endless loop in the schema
	}
	if j.file.Reaches(j.file.Schema) {
		j.wrongAt = map[string]bool{}
		j.places(invalid)
	}
	leaves := j.leavesOf(invalid)
	leaves = slices.DeleteFunc(leaves, j.unknown)
	slices.SortStableFunc(leaves, compareLeaves) // the library finds errors in the order of Go's maps
	seen := map[string]bool{}
	for _, l := range leaves {
		if len(seen) > MaxErrors { // they weigh the same, and no more are listed
			break
		}
		for _, f := range j.describe(l) {
			id := fmt.Sprintf("%s\x00%s\x00%s", pointer(f.place), f.keywordLocation, f.message)
			if !seen[id] { // two branches of a schema may lead to one place
				seen[id] = true
				j.findings = append(j.findings, f)
			}
		}
	}
}

func compareLeaves(a, b leaf) int {
	return cmp.Or(slices.CompareFunc(a.place, b.place, compareTokens), slices.Compare(a.keywords, b.keywords))
}

// places notes the places of all errors in the tree, those of rejected branches too, but for those about what the source left
// out: that nobody knows says nothing against the rest.
func (j *judgement) places(e *jsonschema.ValidationError) {
	for _, cause := range e.Causes {
		j.places(cause)
	}
	if len(e.Causes) > 0 {
		return
	}
	if l := newLeaf(e); !j.unknown(l) && !j.lacksOnlyLeftOut(l) {
		for end := len(l.place); end >= 0; end-- {
			above := pointer(l.place[:end])
			if j.wrongAt[above] {
				break
			}
			j.wrongAt[above] = true
		}
	}
}

// lacksOnlyLeftOut tells whether an error says that members of the row are missing which the source left out, and no others.
func (j *judgement) lacksOnlyLeftOut(l leaf) bool {
	if j.change.Incomplete == nil || len(l.place) > 0 || l.keyword() != "required" {
		return false
	}
	s := locate(j.file.Schema, l.keywords, l.place)
	row, _ := j.value.(map[string]any)
	return s.schema != nil && !slices.ContainsFunc(s.schema.Required, func(name string) bool {
		_, there := row[name]
		return !there && !j.leftOut(name)
	})
}

// leftOut tells whether the source gave no value of a member of the row.
func (j *judgement) leftOut(name string) bool {
	return j.change.Incomplete != nil && slices.Contains(j.change.Incomplete.Fields, name)
}

// conditional are the keywords whose verdict hangs on members that may be left out.
var conditional = []string{
	"anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependentRequired", "dependencies", "minProperties",
	"const", "enum", "propertyNames", "unevaluatedProperties",
}

// descending are those that lead into a row's members.
var descending = []string{"properties", "patternProperties", "additionalProperties"}

// unknown tells whether an error is about what the source left out.
func (j *judgement) unknown(l leaf) bool {
	if j.change.Incomplete == nil || len(j.change.Incomplete.Fields) == 0 {
		return false
	}
	ofRow := l.keywords
	if len(l.place) > 0 {
		if j.leftOut(l.place[0]) {
			return true
		}
		if i := slices.IndexFunc(ofRow, func(k string) bool { return slices.Contains(descending, k) }); i >= 0 {
			ofRow = ofRow[:i]
		}
	}
	return slices.ContainsFunc(ofRow, func(k string) bool { return slices.Contains(conditional, k) })
}

// violation writes the findings down.
func (j *judgement) violation(position event.ViolationPosition, now time.Time) *event.Violation {
	change := j.change
	v := &event.Violation{
		Version: 1, ID: digest(26, j.clean.ID, j.file.Version()), DetectedAt: now.UTC().Format(time.RFC3339Nano),
		Stream: j.clean.Stream, Op: change.Op, Key: j.key(), EventID: j.clean.ID, EventTime: j.clean.Time,
		Actor: change.Origin.Actor, Position: position, Schema: j.file.Named(),
		Severity: event.Info, Owner: j.file.Owner, Runbook: j.file.Runbook,
	}
	if t := change.Origin.Transaction; t != "" {
		v.Transaction = &t
	}
	if t := change.Origin.Tag; t != "" {
		v.Tag = &t
	}
	for _, f := range j.findings {
		v.Severity = worse(v.Severity, f.severity)
		if len(v.Errors) == MaxErrors {
			v.Truncated = true
			continue
		}
		f.place = j.mask.shownPlace(f.place)
		v.Errors = append(v.Errors, f.toError(j.clean.Stream, j.file.Name))
	}
	v.Sample = j.sample()
	return v
}

// sampled is the image that the sample shows.
func (j *judgement) sampled() json.RawMessage {
	if j.gone() {
		return j.change.Before
	}
	return j.change.After
}

func (j *judgement) sample() json.RawMessage {
	raw := j.sampled()
	if raw == nil || tooDeep(raw) {
		return nil
	}
	return j.mask.sample(raw, expand(j.file.Schema), nil)
}

// key is the row's key, masked as the members of the row by these names are.
func (j *judgement) key() json.RawMessage {
	if j.change.Key == nil {
		return nil
	}
	if tooDeep(j.change.Key) {
		return json.RawMessage(`"` + hidden + `"`)
	}
	m := mask{root: j.file.Schema, key: true}
	if j.change.Key[0] == '{' {
		m.pii = j.file.PII
	}
	if len(j.file.PII) > 0 && j.change.Key[0] == '"' { // a key that is a text may repeat what is hidden in the value
		var text string
		texts := hide.NewPlaces(j.file.PII).Texts(j.sampled())
		if json.Unmarshal(j.change.Key, &text) == nil && texts[text] {
			return json.RawMessage(`"` + hidden + `"`)
		}
	}
	return m.sample(j.change.Key, nil, nil)
}

// standing are the rules by which the row is wrong from now on.
func (j *judgement) standing() map[string]event.Severity {
	if j.change.Op == event.Message || j.gone() || j.change.Key == nil {
		return nil
	}
	standing := map[string]event.Severity{}
	for _, f := range j.findings {
		if f.kind == event.InternalError || f.namesOld {
			continue
		}
		rule := f.rule
		if rule == "" {
			rule = schemas.SchemaRule
		}
		standing[rule] = worse(standing[rule], f.severity)
	}
	return standing
}

var rank = map[event.Severity]int{event.Info: 1, event.Warning: 2, event.Critical: 3}

func worse(a, b event.Severity) event.Severity {
	if rank[b] > rank[a] {
		return b
	}
	return a
}
