package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"datawatch/pkg/reason"
)

// Sections are the top-level keys that each belong to one program; Load passes over those that its target lacks.
var Sections = []string{"collector", "preprocessor", "validator", "standalone"}

// Validator is implemented by structs whose fields depend on each other or have a bounded range. Validate is called
// after the struct was filled, inner structs first.
type Validator interface {
	Validate(p *Problems)
}

// Load reads the file into target, a pointer to a struct that holds the defaults. The error is an *Error with every
// problem found.
func Load(path string, target any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return &Error{File: path, Problems: []Problem{{
			Message: unwrapPath(err), Hint: "name the configuration by --config or DATAWATCH_CONFIG",
		}}}
	}
	return Parse(path, text, os.LookupEnv, target)
}

// Parse is Load with the file's text and the environment given.
func Parse(path string, text []byte, lookup func(string) (string, bool), target any) error {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return &Error{File: path, Problems: []Problem{yamlProblem(err)}}
	}
	d := &decoder{lookup: lookup, problems: &Problems{lines: map[string]int{}}}
	root := reflect.ValueOf(target).Elem()
	if len(document.Content) > 0 {
		d.skip = map[string]bool{}
		for _, name := range Sections {
			if !hasKey(root.Type(), name) {
				d.skip[name] = true
			}
		}
		d.value("", document.Content[0], root)
	}
	d.validate("", root)
	if found := d.problems.found; len(found) > 0 {
		return &Error{File: path, Problems: found}
	}
	return nil
}

// Problem is one thing that is wrong in a file.
type Problem struct {
	Path    string // "collector.sources[0].postgres.dsn"; empty for the file as a whole
	Line    int    // 0 where there is none: the key is missing
	Message string
	Hint    string // what would be right
}

func (p Problem) text(file string) string {
	var b strings.Builder
	b.WriteString(file)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// Error tells everything that is wrong in a configuration, a line each.
type Error struct {
	File     string
	Problems []Problem
}

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.text(e.File)
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the first problem by what is said of it in any language.
func (e *Error) Unwrap() error {
	if len(e.Problems) == 0 {
		return nil
	}
	p := e.Problems[0]
	said := p.Message
	if p.Hint != "" {
		said += " (" + p.Hint + ")"
	}
	at := strings.TrimSuffix(Problem{Path: p.Path, Line: p.Line}.text(e.File), ": ")
	return reason.New(reason.ConfigurationWrong.With(at, reason.Phrase(said)))
}

// Problems collects what Validate finds.
type Problems struct {
	prefix string
	lines  map[string]int
	found  []Problem
}

// Add tells that the value of key ("" for the struct itself) is wrong, and what would be right.
func (p *Problems) Add(key, message, hint string) {
	path := join(p.prefix, key)
	problem := Problem{Path: path, Line: p.lineOf(path), Message: message, Hint: hint}
	if !slices.Contains(p.found, problem) { // an inline struct is reached by its own Validate and by its parent's
		p.found = append(p.found, problem)
	}
}

// lineOf is the line of a path, or of what is around it where it is missing; 0 where that isn't there either.
func (p *Problems) lineOf(path string) int {
	for ; path != ""; path = path[:max(0, strings.LastIndexAny(path, ".["))] {
		if line, ok := p.lines[path]; ok {
			return line
		}
	}
	return 0
}

// Given tells whether the file names the key of the struct that is being validated.
func (p *Problems) Given(key string) bool {
	_, ok := p.lines[join(p.prefix, key)]
	return ok
}

func join(prefix, key string) string {
	switch {
	case prefix == "" || key == "":
		return prefix + key
	case strings.HasPrefix(key, "["):
		return prefix + key
	default:
		return prefix + "." + key
	}
}

// yamlProblem turns the parser's error into a problem with its line.
func yamlProblem(err error) Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	var line int
	if n, _ := fmt.Sscanf(text, "line %d:", &line); n == 1 {
		_, text, _ = strings.Cut(text, ": ")
	}
	return Problem{Line: line, Message: "not YAML: " + text, Hint: "check indentation and quotes near this line"}
}

func unwrapPath(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
