package cel

import (
	"fmt"
	"regexp"
	"slices"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/parser"
)

// Bounds of a rule's text.
const (
	maxSource = 16 << 10 // characters
	maxNested = 200      // parentheses, calls, operators within each other
)

// DefaultCostLimit is the number of steps that an evaluation may take where
// Options name no other: some 50 ms of one core at worst, and far beyond what
// a rule over a list of a thousand elements needs.
const DefaultCostLimit = 1_000_000

// Variable is a name that expressions may use, and what is known of its value.
type Variable struct {
	Name string
	Type Type // 0 is Any
}

// Variables are names of which nothing more is known.
func Variables(names ...string) []Variable {
	vars := make([]Variable, len(names))
	for i, name := range names {
		vars[i] = Variable{Name: name, Type: Any}
	}
	return vars
}

// Env is a set of variables that expressions are compiled for. It is made once,
// and safe for concurrent use.
type Env struct {
	vars   []Variable
	parser *parser.Parser
}

var identifier = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// NewEnv makes an environment with the variables named.
func NewEnv(vars ...Variable) (*Env, error) {
	vars = slices.Clone(vars)
	for i, v := range vars {
		if !identifier.MatchString(v.Name) {
			return nil, fmt.Errorf("variable %q: not an identifier", v.Name)
		}
		if slices.ContainsFunc(vars[:i], func(o Variable) bool { return o.Name == v.Name }) {
			return nil, fmt.Errorf("variable %q: named twice", v.Name)
		}
		if v.Type == 0 {
			vars[i].Type = Any
		}
	}
	p, err := parser.NewParser(
		parser.EnablePrattParser(true), // a tenth of the time: folders hold thousands of rules
		parser.EnableOptionalSyntax(true),
		parser.EnableIdentEscapeSyntax(true),
		parser.MaxRecursionDepth(maxNested),
		parser.ExpressionSizeCodePointLimit(maxSource),
		parser.ErrorReportingLimit(1),
	)
	if err != nil {
		return nil, fmt.Errorf("make the parser: %w", err)
	}
	return &Env{vars: vars, parser: p}, nil
}

func (e *Env) names() []string {
	names := make([]string, len(e.vars))
	for i, v := range e.vars {
		names[i] = v.Name
	}
	return names
}

// Options say what an expression is compiled against. The zero Options ask for
// a bool, know nothing of the variables and limit the cost by DefaultCostLimit.
type Options struct {
	// Shapes are what is known of variables, by their names.
	Shapes map[string]*Shape
	// Result is what the expression has to give; 0 is Bool, Any is whatever it gives.
	Result Type
	// CostLimit bounds the steps of one evaluation: at load by estimate (a list
	// counts as its MaxItems, or 100 elements), and again while it runs.
	CostLimit uint64

	longWay bool // for tests: numbers have no short way
}

// Compile checks an expression and makes a program of it. Where an issue is an
// Error, there is no program. Issues are in the order of their places.
func (e *Env) Compile(source string, opts Options) (*Program, []Issue) {
	if opts.Result == 0 {
		opts.Result = Bool
	}
	if opts.CostLimit == 0 {
		opts.CostLimit = DefaultCostLimit
	}
	parsed, errs := e.parser.Parse(common.NewTextSource(source))
	if len(errs.GetErrors()) > 0 {
		return nil, []Issue{syntaxIssue(source, errs.GetErrors()[0])}
	}
	c := &compiler{env: e, opts: opts, source: []rune(source), info: parsed.SourceInfo()}
	root := c.consumed(parsed.Expr())
	c.checkResult(root)
	c.checkCost(root)
	slices.SortStableFunc(c.issues, func(a, b Issue) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	if slices.ContainsFunc(c.issues, func(i Issue) bool { return i.Severity == Error }) {
		return nil, c.issues
	}
	return c.program(source, root), c.issues
}
