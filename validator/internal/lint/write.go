package lint

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"datawatch/pkg/cel"
)

// Formats are the ways in which findings can be written.
var Formats = []string{"text", "json", "github", "sarif"}

// Write writes findings in one of Formats.
func Write(w io.Writer, format string, findings []Finding) error {
	switch format {
	case "json":
		return writeJSON(w, findings)
	case "github":
		return writeLines(w, findings, github)
	case "sarif":
		return writeSARIF(w, findings)
	default:
		return writeLines(w, findings, text)
	}
}

func writeLines(w io.Writer, findings []Finding, line func(Finding) string) error {
	for _, f := range findings {
		if _, err := fmt.Fprintln(w, line(f)); err != nil {
			return err
		}
	}
	return nil
}

// text is "file:line:column: message (hint)".
func text(f Finding) string {
	f.Hint = f.hint()
	return f.String()
}

var oneWord = regexp.MustCompile(`^\S+\?$`)

// hint is what would be right, as a question where it is a guess.
func (f Finding) hint() string {
	if oneWord.MatchString(f.Hint) {
		return "did you mean " + f.Hint
	}
	return f.Hint
}

// Said is the message with its hint.
func (f Finding) Said() string {
	if hint := f.hint(); hint != "" {
		return f.Message + " (" + hint + ")"
	}
	return f.Message
}

var githubEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")

// github is an annotation of a pull request
// (https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands).
func github(f Finding) string {
	level := "error"
	if f.Severity == cel.Warning {
		level = "warning"
	}
	place := "file=" + strings.NewReplacer(":", "%3A", ",", "%2C").Replace(githubEscapes.Replace(f.File))
	if f.Line > 0 {
		place += fmt.Sprintf(",line=%d,col=%d", f.Line, f.Column)
	}
	return fmt.Sprintf("::%s %s::%s", level, place, githubEscapes.Replace(f.Said()))
}

func writeJSON(w io.Writer, findings []Finding) error {
	type finding struct {
		File     string       `json:"file"`
		Line     int          `json:"line"`
		Column   int          `json:"column"`
		Severity cel.Severity `json:"severity"`
		Check    string       `json:"check"`
		Message  string       `json:"message"`
		Hint     string       `json:"hint,omitempty"`
	}
	all := make([]finding, 0, len(findings))
	for _, f := range findings {
		all = append(all, finding{f.File, f.Line, f.Column, f.Severity, f.Check, f.Message, f.hint()})
	}
	return indented(w, all)
}

func indented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// writeSARIF writes SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html).
func writeSARIF(w io.Writer, findings []Finding) error {
	type object map[string]any
	var rules []object
	for _, name := range slices.Sorted(maps.Keys(Checks)) {
		rules = append(rules, object{"id": name, "shortDescription": object{"text": Checks[name]}})
	}
	results := make([]object, 0, len(findings))
	for _, f := range findings {
		place := object{"artifactLocation": object{"uri": f.File}}
		if f.Line > 0 {
			place["region"] = object{"startLine": f.Line, "startColumn": f.Column}
		}
		results = append(results, object{
			"ruleId": f.Check, "level": string(f.Severity), "message": object{"text": f.Said()},
			"locations": []object{{"physicalLocation": place}},
		})
	}
	return indented(w, object{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
		"runs": []object{{
			"tool":       object{"driver": object{"name": "datawatch validator lint", "rules": rules}},
			"columnKind": "unicodeCodePoints", "results": results,
		}},
	})
}
