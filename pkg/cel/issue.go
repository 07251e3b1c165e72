package cel

import (
	"fmt"
	"strings"
)

// Severity says whether an expression with the issue can be used.
type Severity string

const (
	// Error says that there is no program.
	Error Severity = "error"
	// Warning says that there is one, and that it probably doesn't do what its author meant.
	Warning Severity = "warning"
)

// Issue is something wrong with an expression, found before it runs.
type Issue struct {
	Severity     Severity
	Line, Column int    // from 1; the column in characters
	Message      string // what is wrong
	Hint         string // what would be right, or empty
}

func (i Issue) String() string {
	text := fmt.Sprintf("%d:%d: %s: %s", i.Line, i.Column, i.Severity, i.Message)
	if i.Hint != "" {
		text += " (" + i.Hint + ")"
	}
	return text
}

// nearest is the candidate that name was probably meant to be, or "".
func nearest(name string, candidates []string) string {
	best, bound := "", max(1, len(name)/3)
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d <= bound && c != name {
			best, bound = c, d-1
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, previous := []int(nil), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		current := make([]int, len(b)+1)
		current[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			current[j+1] = min(previous[j]+cost, previous[j+1]+1, current[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				current[j+1] = min(current[j+1], before[j-1]+1)
			}
		}
		before, previous = previous, current
	}
	return previous[len(b)]
}

// didYouMean is the hint for a name that is nearly another, or lists what there is.
func didYouMean(name string, candidates []string) string {
	if near := nearest(name, candidates); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	if len(candidates) == 0 || len(candidates) > 12 {
		return ""
	}
	return "there are: " + strings.Join(candidates, ", ")
}
