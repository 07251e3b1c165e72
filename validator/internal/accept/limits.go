package accept

import (
	"math"
	"math/big"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// mostDecimals is for how many decimals numbers have limits in whole numbers: money has four at most.
const mostDecimals = 7

// limits are what a schema says of numbers with so many decimals, said of their digits.
type limits struct {
	known       bool // else the numbers themselves are compared
	least, most int64
	step        int64 // they must be a multiple of
}

// limitsOf are not known where one of the schema's numbers is beyond what 64 bits hold.
func limitsOf(s *jsonschema.Schema, decimals int) limits {
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil))
	l := limits{known: true, least: math.MinInt64, most: math.MaxInt64, step: 1}
	// whole is the largest whole number up to a bound, and whether it is the bound itself.
	whole := func(bound *big.Rat) (n int64, itself bool) {
		scaled := new(big.Rat).Mul(bound, scale)
		floor := new(big.Int).Div(scaled.Num(), scaled.Denom()) // of positive denominators, that is rounded down
		const room = 62                                         // one more and one less are to fit, too
		l.known = l.known && floor.BitLen() <= room
		return floor.Int64(), scaled.IsInt()
	}
	if s.Minimum != nil {
		n, itself := whole(s.Minimum)
		if !itself {
			n++
		}
		l.least = max(l.least, n)
	}
	if s.ExclusiveMinimum != nil {
		n, _ := whole(s.ExclusiveMinimum)
		l.least = max(l.least, n+1)
	}
	if s.Maximum != nil {
		n, _ := whole(s.Maximum)
		l.most = min(l.most, n)
	}
	if s.ExclusiveMaximum != nil {
		n, itself := whole(s.ExclusiveMaximum)
		if itself {
			n--
		}
		l.most = min(l.most, n)
	}
	if s.MultipleOf != nil {
		switch step := new(big.Rat).Mul(s.MultipleOf, scale); {
		case step.IsInt():
			l.known = l.known && step.Num().IsInt64()
			l.step = step.Num().Int64()
		case !new(big.Rat).Inv(step).IsInt(): // of a part of one, whole numbers are multiples
			l.known = false
		}
	}
	return l
}
