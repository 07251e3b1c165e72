package cel

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common"
)

// slips are operators of other languages, as they stand where the parser stops.
var slips = []struct{ stands, message, hint string }{
	{"=", "= is no operator", "to compare, write =="},
	{"and ", "and is no operator", "write &&"},
	{"or ", "or is no operator", "write ||"},
	{"& ", "& is no operator", "write &&"},
	{"| ", "| is no operator", "write ||"},
}

// syntaxIssue is the parser's first error; the others mostly follow from it.
func syntaxIssue(source string, e *common.Error) Issue {
	issue := Issue{Severity: Error, Line: max(1, e.Location.Line()), Column: max(1, e.Location.Column()+1)}
	message := strings.TrimPrefix(e.Message, "Syntax error: ")
	rest := after(source, issue.Line, issue.Column)
	switch {
	case strings.TrimSpace(source) == "":
		issue.Message = "the expression is empty"
		return issue
	case strings.Contains(message, "int literal"), strings.Contains(message, "double literal"):
		issue.Message, issue.Hint = "a number that doesn't fit", `write decimal("…") around its digits`
		return issue
	case strings.Contains(message, "recursion"):
		issue.Message, issue.Hint = fmt.Sprintf("nested, or a row of operators, more than %d deep", maxNested), "split the rule"
		return issue
	case strings.Contains(message, "code point size"):
		issue.Message, issue.Hint = fmt.Sprintf("longer than %d characters", maxSource), "split the rule"
		return issue
	case strings.TrimSpace(rest) == "":
		issue.Message = "the expression ends too early"
		return issue
	}
	for _, s := range slips {
		if strings.HasPrefix(rest, s.stands) {
			issue.Message, issue.Hint = s.message, s.hint
			return issue
		}
	}
	if strings.HasPrefix(strings.TrimSpace(source), "not ") {
		issue.Hint = "for not, write !"
	}
	issue.Message = "syntax: " + message
	return issue
}

// after is the text from a place on.
func after(source string, line, column int) string {
	for range line - 1 {
		_, source, _ = strings.Cut(source, "\n")
	}
	runes := []rune(source)
	return string(runes[min(column-1, len(runes)):])
}
