package lint

import (
	"encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/validator/internal/schemas"
)

const (
	aNumber    = `-?\d+(?:\.\d+)?`
	comparator = `\s*(?:[<>]=?|[!=]=)\s*`
	before     = `(?:^|[(&|?:])\s*` // what stands around a comparison that is a term of its own
	behind     = `\s*(?:$|[)&|?:])`
)

var literalNumber = regexp.MustCompile(aNumber)

// comparedNumbers are the literals that a rule compares a field with, where it does nothing else with the field.
func comparedNumbers(source string, path []string) []string {
	field := regexp.QuoteMeta(strings.Join(path, "."))
	whole := regexp.MustCompile(`\b` + field + `\b`)
	terms := regexp.MustCompile(before + `(?:` + field + comparator + aNumber + `|` + aNumber + comparator + field + `)` + behind)
	var found []string
	uses := 0
	for at := 0; ; { // one by one: what ends a term may begin the next
		m := terms.FindStringIndex(source[at:])
		if m == nil {
			break
		}
		uses++
		found = append(found, literalNumber.FindString(whole.ReplaceAllString(source[at+m[0]:at+m[1]], "")))
		at += m[1] - 1
		if at <= 0 || at >= len(source)-1 {
			break
		}
	}
	if uses != len(whole.FindAllString(source, -1)) {
		return nil
	}
	return found
}

// numbers are values of a numeric field that tell apart all that a rule can say of it: each number that it is compared with,
// and one on each side, as far as the field's bounds allow them. Nil where that isn't known.
func numbers(file *schemas.File, s *jsonschema.Schema, source string, path []string) []any {
	at := memberAt(file, s, path)
	if at == nil || len(at.Types) != 1 || at.Types[0] != "number" && at.Types[0] != "integer" {
		return nil
	}
	var points []*big.Rat
	for _, text := range comparedNumbers(source, path) {
		r, ok := new(big.Rat).SetString(text)
		if !ok {
			return nil
		}
		points = append(points, r)
	}
	if len(points) == 0 {
		return nil
	}
	for _, bound := range []*big.Rat{at.Minimum, at.Maximum, at.ExclusiveMinimum, at.ExclusiveMaximum} {
		if bound != nil {
			points = append(points, bound)
		}
	}
	slices.SortFunc(points, (*big.Rat).Cmp)
	one := big.NewRat(1, 1)
	tried := []*big.Rat{new(big.Rat).Sub(points[0], one), new(big.Rat).Add(points[len(points)-1], one)}
	for i, p := range points {
		tried = append(tried, p)
		if i > 0 {
			middle := new(big.Rat).Add(points[i-1], p)
			tried = append(tried, middle.Mul(middle, big.NewRat(1, 2)))
		}
	}
	var values []any
	for _, r := range tried {
		if within(r, at) {
			values = append(values, json.Number(decimal(r)))
		}
	}
	return values
}

func within(r *big.Rat, s *jsonschema.Schema) bool {
	return (s.Minimum == nil || r.Cmp(s.Minimum) >= 0) && (s.Maximum == nil || r.Cmp(s.Maximum) <= 0) &&
		(s.ExclusiveMinimum == nil || r.Cmp(s.ExclusiveMinimum) > 0) && (s.ExclusiveMaximum == nil || r.Cmp(s.ExclusiveMaximum) < 0)
}

// decimal writes half a decimal, or a decimal, exactly.
func decimal(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	digits, exact := r.FloatPrec()
	if !exact {
		digits = 40
	}
	return r.FloatString(digits)
}
