package replay

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// patternOf is a place with its indexes as "*", so that elements of a list count together.
func patternOf(place string) string {
	tokens := strings.Split(place, "/")
	for i, token := range tokens {
		if token != "" && strings.Trim(token, "0123456789") == "" {
			tokens[i] = "*"
		}
	}
	return strings.Join(tokens, "/")
}

// Write writes a report for people: the sentence that counts first.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	switch {
	case r.Compared != nil:
		fmt.Fprintf(&b, "%s of %s events would newly fail, %s would newly pass (%s fail by the other folder, %s by this one)\n", Number(r.Compared.NewlyFailing),
			Number(r.Events), Number(r.Compared.NewlyPassing), Number(r.Compared.FailingBefore), Number(r.Failing))
	default:
		fmt.Fprintf(&b, "%s of %s events would fail\n", Number(r.Failing), Number(r.Events))
	}
	if r.From != nil {
		fmt.Fprintf(&b, "events from %s to %s\n", r.From.Format(time.RFC3339), r.To.Format(time.RFC3339))
	}
	if r.Unchecked > 0 {
		fmt.Fprintf(&b, "%s weren't checked: no schema, or not known well enough\n", Number(r.Unchecked))
	}
	if r.Broken > 0 {
		fmt.Fprintf(&b, "%s records can't be read\n", Number(r.Broken))
	}
	for _, s := range r.Streams {
		s.write(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *StreamReport) write(b *strings.Builder) {
	file := s.File
	if file == "" {
		file = "no schema"
	}
	fmt.Fprintf(b, "\n%s  %s of %s (%s)\n", s.Stream, Number(s.Failing), Number(s.Events), file)
	for _, rule := range s.Rules {
		rule.write(b)
	}
	for _, rule := range slices.Sorted(maps.Keys(s.Unrunnable)) {
		fmt.Fprintf(b, "  %s couldn't be asked of %s updates: the source gives no before\n", rule, Number(s.Unrunnable[rule]))
	}
}

func (r *RuleReport) write(b *strings.Builder) {
	counts := fmt.Sprintf("%8s", Number(r.Failing))
	if r.Before != nil {
		counts += fmt.Sprintf("  (was %s, +%s −%s)", Number(*r.Before), Number(*r.NewlyFailing), Number(*r.NewlyPassing))
	}
	fmt.Fprintf(b, "%s  %s  %s\n", counts, strings.TrimSpace(r.Rule+" "+r.Place), r.Message)
	for _, sample := range r.Samples {
		line := fmt.Sprintf("            %s %s", sample.Time, sample.Op)
		if sample.Key != nil {
			line += " " + string(sample.Key)
		}
		if sample.Place != "" {
			line += " at " + sample.Place
		}
		if sample.Expected != "" {
			line += ", expected " + sample.Expected
		}
		if sample.Actual != "" {
			line += ", actual " + sample.Actual
		}
		b.WriteString(line + "\n")
	}
}

// Number is a number with its thousands set apart.
func Number(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
