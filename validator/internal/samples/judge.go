package samples

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/verdict"
)

// Outcome is what became of a sample.
type Outcome struct {
	Sample
	File     string   // the schema file that judged, empty where there was none
	Problem  string   // why the test fails; empty where it passes
	Reported []string // what the verdict says, a line each
	Took     time.Duration
}

// Judge judges samples by the folder's schemas, in order.
func Judge(ctx context.Context, dir string, set *schemas.Set, all []Sample) ([]Outcome, error) {
	outcomes := make([]Outcome, 0, len(all))
	for _, s := range all {
		started := time.Now()
		o, err := judge(ctx, dir, set, s)
		if err != nil {
			return nil, err
		}
		o.Took = time.Since(started)
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

func judge(ctx context.Context, dir string, set *schemas.Set, s Sample) (Outcome, error) {
	o := Outcome{Sample: s}
	c, problem := read(dir, s)
	if problem != "" { // it's this sample that fails, not the judging of the others
		o.Problem = problem
		return o, nil
	}
	file := set.For(s.Stream)
	if file == nil {
		o.Problem = unjudged(set, s.Stream)
		return o, nil
	}
	o.File = file.Name
	v, err := verdict.Judge(ctx, file, c.event(s), event.ViolationPosition{}, time.Now())
	if err != nil {
		return o, err
	}
	var errors []event.ViolationError
	if v.Violation != nil {
		errors = v.Violation.Errors
	}
	for i := range errors {
		o.Reported = append(o.Reported, Line(&errors[i]))
	}
	switch missing := unmet(c.Expect, errors); {
	case s.Valid && len(c.Expect) > 0:
		o.Problem = "expect stands in a sample that has to pass: move it to invalid"
	case s.Valid && len(errors) > 0:
		o.Problem = "has to pass, and fails"
	case !s.Valid && len(errors) == 0:
		o.Problem = "has to fail, and passes"
		if len(v.Unrunnable) > 0 {
			o.Problem += ": " + strings.Join(v.Unrunnable, ", ") + " names old, and the sample has none"
		}
	case len(missing) > 0:
		o.Problem = "fails, but not by " + strings.Join(missing, ", ")
		if len(v.Unrunnable) > 0 {
			o.Problem += " (" + strings.Join(v.Unrunnable, ", ") + " names old, and the sample has none)"
		}
	}
	return o, nil
}

// EventOf is the clean event that a sample of a folder stands for.
func EventOf(dir string, s Sample) (*event.Clean, error) {
	c, problem := read(dir, s)
	if problem != "" {
		return nil, fmt.Errorf("sample %s: %s", s.Name, problem)
	}
	return c.event(s), nil
}

// event is the clean event that a sample stands for.
func (c content) event(s Sample) *event.Clean {
	change := &event.Change{Op: c.Op, Key: raw(c.Key), Before: raw(c.Old), After: raw(c.Self), Origin: event.Origin{Actor: c.Actor, Tag: c.Tag}}
	if change.After == nil && !slices.Contains([]event.Op{event.Delete, event.Truncate}, c.Op) {
		change.After = json.RawMessage("null")
	}
	at := c.Time
	if at == "" {
		at = time.Now().UTC().Format(time.RFC3339Nano)
	}
	return &event.Clean{ID: Below + "/" + s.Name, Stream: s.Stream, Type: event.ChangeType, Time: at, Change: change}
}

func raw(value json.RawMessage) json.RawMessage {
	if !present(value) {
		return nil
	}
	return value
}

// unjudged says why no file judges a stream.
func unjudged(set *schemas.Set, stream event.Stream) string {
	matching := set.Matching(stream)
	for _, f := range set.Failures() {
		if slices.Contains(matching, f.Problem.File) {
			return "its schema file can't be loaded: " + f.Problem.String()
		}
	}
	if len(matching) > 0 {
		return "its schema file " + matching[0] + " can't be loaded: see validator lint"
	}
	return fmt.Sprintf("no schema file is for %s", stream)
}

// unmet are the expectations that no error meets: rules by id, places as JSON pointers, else words of the message.
func unmet(expect []string, errors []event.ViolationError) []string {
	var missing []string
	for _, want := range expect {
		met := slices.ContainsFunc(errors, func(e event.ViolationError) bool {
			return e.Rule == want || strings.HasPrefix(want, "/") && e.InstanceLocation == want || want == "/" && e.InstanceLocation == ""
		})
		if !met {
			missing = append(missing, want)
		}
	}
	return missing
}

// Line is one error in one line: place, rule or keyword, message, what was expected and what there was.
func Line(e *event.ViolationError) string {
	place := e.InstanceLocation
	if place == "" {
		place = "/"
	}
	what := e.Rule
	if what == "" {
		what = string(e.Kind)
	}
	line := place + "  " + what + ": " + e.Message
	var details []string
	if e.Expected != "" {
		details = append(details, "expected "+e.Expected)
	}
	if e.Actual != "" {
		details = append(details, "actual "+e.Actual)
	}
	if len(details) > 0 {
		line += " (" + strings.Join(details, ", ") + ")"
	}
	return line
}
