// Package explain says which schema file judges a stream and why, which others would have, which of its rules can't run,
// and how much of the stream was seen.
//
// The choice is the service's own. Rules are said to be unable to run where the stream's traffic shows it: updates
// without a before. The package judges for its report only, and writes nothing.
package explain

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/event"
	"datawatch/validator/internal/replay"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/tally"
)

// Explanation is what is to be said of a stream.
type Explanation struct {
	Stream event.Stream `json:"stream"`
	File   string       `json:"file"` // empty: nothing judges the stream
	SHA256 string       `json:"sha256,omitempty"`
	Why    string       `json:"why"`
	Others []Other      `json:"others,omitempty"`
	Rules  []Rule       `json:"rules,omitempty"`
	Traffic
}

// Other is a file that matches too.
type Other struct {
	File string `json:"file"`
	Why  string `json:"why"` // why it doesn't apply
}

// Rule is a rule of the file.
type Rule struct {
	ID       string         `json:"id"`
	Severity event.Severity `json:"severity"`
	Message  string         `json:"message"`
	Source   string         `json:"rule"`
	NamesOld bool           `json:"names_old"`
	// Unrunnable is on how many changes it couldn't be asked.
	Unrunnable int `json:"unrunnable"`
}

// Traffic is what was seen of the stream in what was read of clean.
type Traffic struct {
	Known     bool       `json:"traffic_known"` // false where the broker wasn't asked
	HeldSince *time.Time `json:"held_since,omitempty"`
	Events    int        `json:"events"`
	Judged    int        `json:"judged"`
	Failing   int        `json:"failing"`
	Newest    *time.Time `json:"newest,omitempty"`
	// Service is how the service judged the stream's events so far, beyond what clean still holds; nil: it judged none.
	Service *tally.Count `json:"judged_by_service,omitempty"`
}

// Stream explains a stream by a set; traffic is nil where it isn't known, and so is judged where the service judged nothing.
func Stream(set *schemas.Set, stream event.Stream, traffic *replay.Report, judged *tally.Count) *Explanation {
	e := &Explanation{Stream: stream}
	matching := set.Matching(stream)
	if file := set.For(stream); file != nil {
		e.File, e.SHA256, e.Why = file.Name, file.SHA256, why(file.Name, stream)
		e.rules(file)
	} else {
		e.Why = "no file matches: its events are counted as unchecked; " + string(stream) + ".json would be for it"
		if len(matching) > 0 {
			e.Why = "every file that matches is wrong: where the service has no good version of one from before, events are counted as unchecked"
		}
	}
	for _, name := range matching {
		if name != e.File {
			e.Others = append(e.Others, Other{name, e.passedOver(set, name)})
		}
	}
	if traffic != nil {
		e.traffic(traffic)
		e.Service = judged
	}
	return e
}

func why(name string, stream event.Stream) string {
	if name == string(stream)+".json" {
		return "its path is the stream; an exact name beats every glob"
	}
	return "its name is the longest glob that matches"
}

// passedOver says why a file that matches doesn't apply.
func (e *Explanation) passedOver(set *schemas.Set, name string) string {
	for _, p := range set.Problems() {
		if p.File == name && p.Severity == "error" {
			if exact := string(e.Stream) + ".json"; e.File != "" && e.File != exact && (name == exact || len(name) > len(e.File)) {
				return "would be the one, and is where the service has a good version of it from before; can't be loaded: " + p.String()
			}
			return "can't be loaded: " + p.String()
		}
	}
	switch {
	case e.File == string(e.Stream)+".json":
		return "a glob; the exact name beats it"
	case len(name) < len(e.File):
		return "a shorter glob"
	}
	return "a glob as long, later by name"
}

func (e *Explanation) rules(file *schemas.File) {
	seen := map[string]bool{}
	file.EachRule(func(_ *jsonschema.Schema, r *schemas.Rule) {
		if !seen[r.ID] {
			seen[r.ID] = true
			e.Rules = append(e.Rules, Rule{ID: r.ID, Severity: r.Severity, Message: r.Message, Source: r.Program.Source(), NamesOld: r.NamesOld})
		}
	})
	slices.SortFunc(e.Rules, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
}

func (e *Explanation) traffic(report *replay.Report) {
	e.Known, e.HeldSince = true, report.HeldSince
	for _, s := range report.Streams {
		if s.Stream != e.Stream {
			continue
		}
		e.Events, e.Judged, e.Failing = s.Events, s.Events-s.Unchecked, s.Failing
		e.Newest = &s.Newest
		for i := range e.Rules {
			e.Rules[i].Unrunnable = s.Unrunnable[e.Rules[i].ID]
		}
	}
}

// Write writes an explanation for people.
func (e *Explanation) Write(w io.Writer) error {
	var b strings.Builder
	file := e.File
	if file == "" {
		file = "nothing"
	}
	fmt.Fprintf(&b, "%s is judged by %s\n  %s\n", e.Stream, file, e.Why)
	for _, o := range e.Others {
		fmt.Fprintf(&b, "  %s matches too: %s\n", o.File, o.Why)
	}
	if len(e.Rules) > 0 {
		b.WriteString("rules\n")
	}
	for _, r := range e.Rules {
		fmt.Fprintf(&b, "  %s (%s): %s\n", r.ID, r.Severity, r.Message)
		switch {
		case r.Unrunnable > 0:
			fmt.Fprintf(&b, "    can't run: it names old, and %d changes came without a before\n", r.Unrunnable)
		case r.NamesOld:
			b.WriteString("    names old: asked of changes that have a before\n")
		}
	}
	e.writeTraffic(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (e *Explanation) writeTraffic(b *strings.Builder) {
	defer func() {
		if c := e.Service; c != nil {
			fmt.Fprintf(b, "  the service judged %d of it: %d valid, %d invalid; %d not judged\n", c.Valid+c.Invalid, c.Valid, c.Invalid, c.Unvalidated)
		}
	}()
	switch {
	case !e.Known:
		return
	case e.HeldSince == nil:
		b.WriteString("traffic\n  clean holds no events\n")
	case e.Events == 0:
		fmt.Fprintf(b, "traffic\n  no event of it was read; clean holds data since %s\n", e.HeldSince.Format(time.RFC3339))
	default:
		fmt.Fprintf(b, "traffic\n  %d events read, %d of them can be judged, %d would fail; the last at %s\n  clean holds data since %s\n",
			e.Events, e.Judged, e.Failing, e.Newest.Format(time.RFC3339), e.HeldSince.Format(time.RFC3339))
	}
}
