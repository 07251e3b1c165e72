package accept

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// planAgrees compares what a plan says of a value with what going through it says, and tells whether there was a plan.
func planAgrees(t *testing.T, r *Reader, p *Program, value []byte) bool {
	t.Helper()
	if p.hopeless || !r.tape.read(value) {
		return false
	}
	plan := newPlan(p, &r.tape, 0)
	if plan == nil {
		return false
	}
	r.walk = walk{tape: &r.tape, steps: budget}
	want := r.walk.check(p.root, 0)
	pendings := len(r.walk.pending)
	r.walk = walk{tape: &r.tape, steps: budget}
	if got := r.walk.follow(plan); got != (want == yes) || got && len(r.walk.pending) != pendings {
		t.Fatalf("by its plan accepted: %v, with %d places of rules; the walk says %d (no, unknown, yes), with %d, of\n%s", got, len(r.walk.pending), want, pendings, value)
	}
	return true
}

// sameTokens compares two tapes: tokens of names by what they are, all others as they stand.
func sameTokens(a, b *tape) bool {
	return slices.EqualFunc(a.tokens, b.tokens, func(x, y token) bool {
		if !x.isName() || !y.isName() {
			return x == y
		}
		name := a.names[x.start:x.end] == b.names[y.start:y.end]
		x.start, x.end = y.start, y.end
		return name && x == y
	})
}

// TestFormsHaveTheTokensOfWhatTheyRead compares tokens of texts that are read by the forms of others with those that a new
// reader has.
func TestFormsHaveTheTokensOfWhatTheyRead(t *testing.T) {
	random := rand.New(rand.NewPCG(25, 26))
	names := nearNames()
	var form *form
	read := 0
	var few []string
	for i := range 40_000 {
		if i%16 == 0 {
			from := random.IntN(len(names) - 3)
			few, form = names[from:from+3], nil
		}
		text := []byte(`{"s":"x","v":` + textOf(random, few, 2) + `}`)
		if random.IntN(8) == 0 {
			text = text[:random.IntN(len(text))]
		}
		var by, fresh tape
		want := fresh.read(text)
		if form != nil {
			if got, _ := by.replay(form, text); got {
				read++
				if !want || !sameTokens(&by, &fresh) {
					t.Fatalf("read\n%+v, a new reader %v\n%+v, of\n%s", by.tokens, want, fresh.tokens, text)
				}
				continue
			}
		}
		if want {
			form = newForm(&fresh, nil)
		}
	}
	if read < 3000 {
		t.Errorf("only %d texts had the form of the one before", read)
	}
}

// TestLimitsAreWhatTheNumbersSay compares limits in whole digits with the comparison of numbers.
func TestLimitsAreWhatTheNumbersSay(t *testing.T) {
	random := rand.New(rand.NewPCG(27, 28))
	some := func() *big.Rat {
		if random.IntN(2) == 0 {
			return nil
		}
		r := big.NewRat(random.Int64N(4000)-2000, []int64{1, 2, 3, 10, 100, 1000, 10_000_000}[random.IntN(7)])
		if random.IntN(10) == 0 {
			r.Mul(r, new(big.Rat).SetInt64(math.MaxInt64/3))
		}
		return r
	}
	known, within := 0, 0
	for range 20_000 {
		s := &jsonschema.Schema{Minimum: some(), ExclusiveMinimum: some(), Maximum: some(), ExclusiveMaximum: some(), MultipleOf: some()}
		if s.MultipleOf != nil && s.MultipleOf.Sign() <= 0 {
			s.MultipleOf = nil
		}
		decimals := random.IntN(mostDecimals)
		l := limitsOf(s, decimals)
		if !l.known {
			continue
		}
		known++
		sums := []int64{random.Int64N(4000) - 2000, 0, l.least, l.most, max(l.least, l.least-1), min(l.most, l.most+1), l.step, 3 * (random.Int64N(400) - 200)}
		for _, sum := range sums {
			value := new(big.Rat).SetFrac(big.NewInt(sum), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil))
			want := (s.Minimum == nil || value.Cmp(s.Minimum) >= 0) && (s.ExclusiveMinimum == nil || value.Cmp(s.ExclusiveMinimum) > 0) &&
				(s.Maximum == nil || value.Cmp(s.Maximum) <= 0) && (s.ExclusiveMaximum == nil || value.Cmp(s.ExclusiveMaximum) < 0) &&
				(s.MultipleOf == nil || new(big.Rat).Quo(value, s.MultipleOf).IsInt())
			if got := sum >= l.least && sum <= l.most && sum%l.step == 0; got != want {
				t.Fatalf("%s, %d decimals: by %+v %v, by the numbers %v, of %+v", strconv.FormatInt(sum, 10), decimals, l, got, want, s)
			}
			if want {
				within++
			}
		}
	}
	if known < 5000 || within < 5000 {
		t.Errorf("%d were known, %d numbers within: too few to compare", known, within)
	}
}
