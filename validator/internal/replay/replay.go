// Package replay says what a schema folder would have said of past traffic: how many of how many events would fail, by
// which schema and rule, with the first samples.
//
// It reads clean without joining a consumer group, judges by the service's own code (the acceptor first, then the judge),
// and writes, alerts and commits nothing. What it shows of rows is masked as alerts are. A second folder can be asked as
// well, to see what a change of schemas would change.
package replay

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/accept"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/verdict"
)

// Options are what a replay asks.
type Options struct {
	Schemas *schemas.Set
	Against *schemas.Set // nil: nothing is compared
	// Samples is how many samples a rule shows.
	Samples int
	// Progress is called now and then with the number of events judged; may be nil.
	Progress func(events int)
}

// Report is what a replay found.
type Report struct {
	HeldSince *time.Time      `json:"held_since"` // clean holds data since then
	From      *time.Time      `json:"from"`       // the first event's time
	To        *time.Time      `json:"to"`
	Events    int             `json:"events"`    // changes read
	Unchecked int             `json:"unchecked"` // of them without a schema, or not known well enough
	Failing   int             `json:"failing"`
	Gaps      int             `json:"gaps,omitempty"`
	Broken    int             `json:"unreadable,omitempty"`
	Compared  *Comparison     `json:"compared,omitempty"`
	Streams   []*StreamReport `json:"streams"`
}

// Comparison is what differs from the other folder.
type Comparison struct {
	FailingBefore int `json:"failing_before"`
	NewlyFailing  int `json:"newly_failing"`
	NewlyPassing  int `json:"newly_passing"`
}

// StreamReport is one stream's part of a report.
type StreamReport struct {
	Stream    event.Stream  `json:"stream"`
	File      string        `json:"file,omitempty"` // the schema file; empty where there is none
	Events    int           `json:"events"`
	Unchecked int           `json:"unchecked"`
	Failing   int           `json:"failing"`
	Newest    time.Time     `json:"newest"`
	Rules     []*RuleReport `json:"rules,omitempty"`
	// Unrunnable counts the updates on which a rule couldn't be asked, as they have no before.
	Unrunnable map[string]int `json:"unrunnable,omitempty"`

	rules map[string]*RuleReport
}

// RuleReport is how often one rule, or one place of a schema, found something.
type RuleReport struct {
	// Own is that Message is the rule's own; any other is a phrase of the validator's.
	Own          bool           `json:"-"`
	Rule         string         `json:"rule"` // "schema" for the schema itself
	Place        string         `json:"place,omitempty"`
	Message      string         `json:"message"`
	Severity     event.Severity `json:"severity"`
	Failing      int            `json:"failing"` // events by this folder
	Before       *int           `json:"failing_before,omitempty"`
	NewlyFailing *int           `json:"newly_failing,omitempty"`
	NewlyPassing *int           `json:"newly_passing,omitempty"`
	Samples      []Sample       `json:"samples,omitempty"`
}

// Sample is one event that would fail, masked.
type Sample struct {
	Key      json.RawMessage `json:"key"`
	Time     string          `json:"time"`
	Op       event.Op        `json:"op"`
	Place    string          `json:"place"`
	Expected string          `json:"expected,omitempty"`
	Actual   string          `json:"actual,omitempty"`
	Row      json.RawMessage `json:"row,omitempty"`
}

// Run judges the past.
func Run(ctx context.Context, past *Past, o Options) (*Report, error) {
	r := &run{options: o, report: &Report{}, streams: map[event.Stream]*StreamReport{}, reader: accept.NewReader()}
	if !past.HeldSince.IsZero() {
		held := past.HeldSince.UTC()
		r.report.HeldSince = &held
	}
	if o.Against != nil {
		r.report.Compared = &Comparison{}
	}
	r.now, r.before = newSide(o.Schemas), newSide(o.Against)
	err := past.records(ctx, func(record *broker.Record) error { return r.one(ctx, record) })
	if err != nil {
		return nil, err
	}
	r.finish()
	return r.report, nil
}

type run struct {
	options Options
	report  *Report
	streams map[event.Stream]*StreamReport

	reader      *accept.Reader // nil: every event is judged
	now, before *side
	name        []byte
}

func (r *run) one(ctx context.Context, record *broker.Record) error {
	if stream, now, before, enough := r.glance(ctx, record); enough {
		r.add(stream, record, now, before)
		return nil
	}
	clean := parse(record)
	switch {
	case clean == nil:
		r.report.Broken++
		return nil
	case clean.Change == nil:
		r.report.Gaps++
		return nil
	}
	position := event.ViolationPosition{Topic: record.Topic, Partition: record.Partition, Offset: record.Offset}
	now, err := verdict.Judge(ctx, r.options.Schemas.For(clean.Stream), clean, position, record.Timestamp)
	if err != nil {
		return err
	}
	var before verdict.Verdict
	if r.options.Against != nil {
		if before, err = verdict.Judge(ctx, r.options.Against.For(clean.Stream), clean, position, record.Timestamp); err != nil {
			return err
		}
	}
	r.add(clean.Stream, record, now, before)
	return nil
}

// add counts an event by its verdicts.
func (r *run) add(stream event.Stream, record *broker.Record, now, before verdict.Verdict) {
	at := record.Timestamp.UTC()
	r.seen(at)
	s := r.stream(stream, r.options.Schemas.For(stream))
	s.count(now, at)
	r.report.Events++
	switch now.Result {
	case verdict.Unchecked:
		r.report.Unchecked++
	case verdict.Invalid:
		r.report.Failing++
	}
	if r.options.Against != nil {
		r.report.Compared.add(now, before)
	}
	s.tell(now, before, r.options)
	if r.options.Progress != nil && r.report.Events%1000 == 0 {
		r.options.Progress(r.report.Events)
	}
}

func (r *run) seen(t time.Time) {
	if r.report.From == nil || t.Before(*r.report.From) {
		r.report.From = &t
	}
	if r.report.To == nil || t.After(*r.report.To) {
		r.report.To = &t
	}
}

func (r *run) stream(stream event.Stream, file *schemas.File) *StreamReport {
	s := r.streams[stream]
	if s == nil {
		s = &StreamReport{Stream: stream, rules: map[string]*RuleReport{}}
		if file != nil {
			s.File = file.Name
		}
		r.streams[stream] = s
	}
	return s
}

func (c *Comparison) add(now, before verdict.Verdict) {
	fails, failed := now.Result == verdict.Invalid, before.Result == verdict.Invalid
	if failed {
		c.FailingBefore++
	}
	if fails && !failed {
		c.NewlyFailing++
	}
	if failed && !fails {
		c.NewlyPassing++
	}
}

func (s *StreamReport) count(v verdict.Verdict, t time.Time) {
	s.Events++
	switch v.Result {
	case verdict.Unchecked:
		s.Unchecked++
	case verdict.Invalid:
		s.Failing++
	}
	if t.After(s.Newest) {
		s.Newest = t
	}
	for _, rule := range v.Unrunnable {
		if s.Unrunnable == nil {
			s.Unrunnable = map[string]int{}
		}
		s.Unrunnable[rule]++
	}
}

// tell counts what the verdicts found, each rule once for an event.
func (s *StreamReport) tell(now, before verdict.Verdict, o Options) {
	fails, failed := byRule(now), byRule(before)
	for name, e := range fails {
		rule := s.rule(name, e, o.Against != nil)
		rule.Failing++
		_, too := failed[name]
		if o.Against != nil && !too {
			*rule.NewlyFailing++
		}
		if !too && len(rule.Samples) < o.Samples { // what is compared shows what is new
			v := now.Violation
			rule.Samples = append(rule.Samples, Sample{v.Key, v.EventTime, v.Op, e.InstanceLocation, e.Expected, e.Actual, v.Sample})
		}
	}
	for name, e := range failed {
		rule := s.rule(name, e, true)
		*rule.Before++
		if _, still := fails[name]; !still {
			*rule.NewlyPassing++
		}
	}
}

func (s *StreamReport) rule(name string, e *event.ViolationError, compared bool) *RuleReport {
	rule := s.rules[name]
	if rule == nil {
		rule = &RuleReport{Rule: e.Rule, Place: patternOf(e.InstanceLocation), Message: e.Message, Severity: e.Severity, Own: e.Kind == event.RuleViolation}
		if e.Rule == "" {
			rule.Rule = schemas.SchemaRule
		} else {
			rule.Place = ""
		}
		if compared {
			rule.Before, rule.NewlyFailing, rule.NewlyPassing = new(int), new(int), new(int)
		}
		s.rules[name] = rule
	}
	return rule
}

// byRule are a verdict's first errors, by rule, and of the schema by what is wrong where.
func byRule(v verdict.Verdict) map[string]*event.ViolationError {
	if v.Violation == nil {
		return nil
	}
	all := map[string]*event.ViolationError{}
	for i := range v.Violation.Errors {
		e := &v.Violation.Errors[i]
		name := "rule\x00" + e.Rule + "\x00" + string(e.Kind)
		if e.Rule == "" {
			name = "schema\x00" + e.Fingerprint
		}
		if all[name] == nil {
			all[name] = e
		}
	}
	return all
}

// finish puts the report in order: streams by name, rules by how often they fail.
func (r *run) finish() {
	for _, s := range r.streams {
		for _, name := range slices.Sorted(maps.Keys(s.rules)) { // what weighs the same and reads the same stays in this order
			s.Rules = append(s.Rules, s.rules[name])
		}
		slices.SortStableFunc(s.Rules, func(a, b *RuleReport) int {
			return cmp.Or(cmp.Compare(b.Failing, a.Failing), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Place, b.Place), cmp.Compare(a.Message, b.Message))
		})
		r.report.Streams = append(r.report.Streams, s)
	}
	slices.SortFunc(r.report.Streams, func(a, b *StreamReport) int { return cmp.Compare(a.Stream, b.Stream) })
}
