// Package lint says what is wrong with a folder of schema files: what the service would refuse or warn of, and what JSON
// Schema accepts in silence although its author can't have meant it.
//
// What makes a schema accept or reject other than it reads is an Error; what may be meant so is a Warning. Whatever the
// service says of a file is said here too, by the service's own code. The package loads nothing into the service, reads
// no traffic, and changes no file.
package lint

import (
	"cmp"
	"path/filepath"
	"slices"

	"datawatch/pkg/cel"
	"datawatch/validator/internal/schemas"
)

// Finding is a problem and the check that found it.
type Finding struct {
	schemas.Problem
	Check string // one of Checks
}

// Checks are the names of all checks and what they look for.
var Checks = map[string]string{
	"load":     "the service can't load the file, or warns of it",
	"json":     "the text isn't what JSON allows, or a name stands twice",
	"required": "required asks for what properties doesn't have",
	"enum":     "an enum that accepts nothing",
	"bounds":   "bounds between which nothing lies",
	"pattern":  "a pattern that RE2 doesn't know",
	"ref":      "a $ref that leads to nothing",
	"rule":     "a rule that can't be true, can't fail or is never asked",
	"glob":     "a glob that another one hides",
}

// Folder looks through a schema folder, as if files stood in it too. Findings come by file and place.
func Folder(dir string, also ...schemas.Text) ([]Finding, error) {
	folder, err := schemas.ReadFolder(dir, also...)
	if err != nil {
		return nil, err
	}
	set, err := schemas.Load(dir, also...)
	if err != nil {
		return nil, err
	}
	l := &linter{folder: folder}
	for _, source := range folder.Sources {
		for _, p := range source.Problems {
			l.findings = append(l.findings, Finding{p, "json"})
		}
		l.source(source)
	}
	var names []string
	for _, source := range folder.Sources {
		if !source.Shared() {
			names = append(names, source.Name)
		}
	}
	for _, r := range schemas.CompareGlobs(names) {
		l.add("glob", r.Problem())
	}
	l.rules(set)
	for _, p := range set.Problems() {
		l.add("load", p)
	}
	slices.SortStableFunc(l.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	for i := range l.findings {
		l.findings[i].File = filepath.ToSlash(filepath.Join(dir, l.findings[i].File))
	}
	return l.findings, nil
}

// Failed tells whether findings are reason to fail: errors, and where it is strict warnings too.
func Failed(findings []Finding, strict bool) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return strict || f.Severity == cel.Error })
}

type linter struct {
	folder   *schemas.Folder
	findings []Finding
}

// add takes a problem, unless one of at least its severity is known at its place: the service says less of the same.
func (l *linter) add(check string, p schemas.Problem) {
	if p.Severity == cel.Error {
		l.findings = slices.DeleteFunc(l.findings, func(f Finding) bool {
			return f.Severity == cel.Warning && f.File == p.File && f.Line == p.Line && f.Column == p.Column
		})
	}
	known := slices.ContainsFunc(l.findings, func(f Finding) bool {
		same := f.File == p.File && f.Line == p.Line && f.Column == p.Column
		return same && (f.Message == p.Message || check == "load" && (f.Severity == cel.Error || p.Severity == cel.Warning))
	})
	if !known {
		l.findings = append(l.findings, Finding{p, check})
	}
}
