package cel

import (
	"fmt"
	"math/big"
)

// mode is how round() treats what lies between two results.
type mode string

// Rounding modes, by the name that a rule gives them.
const (
	halfUp   mode = "half_up"   // ties away from zero: 2.5 → 3, -2.5 → -3; what people learn at school
	halfEven mode = "half_even" // ties to the even neighbour: 2.5 → 2, 3.5 → 4; banker's rounding
	halfDown mode = "half_down" // ties towards zero: 2.5 → 2
	down     mode = "down"      // towards zero: truncation
	up       mode = "up"        // away from zero
	floor    mode = "floor"     // towards minus infinity
	ceiling  mode = "ceiling"   // towards plus infinity
)

var modes = []mode{halfUp, halfEven, halfDown, down, up, floor, ceiling}

// maxRoundDigits bounds the second argument of round(), either way.
const maxRoundDigits = 100

// quotient is the exact num / den; den is never zero. It lives only inside
// round(): nothing is lost before the one rounding.
type quotient struct{ num, den decimal }

func whole(d decimal) quotient { return quotient{num: d, den: decimalOf(1)} }

func (q quotient) add(r quotient) (quotient, error) {
	if q.den == r.den {
		n, err := q.num.add(r.num)
		return quotient{n, q.den}, err
	}
	a, err := q.num.mul(r.den)
	if err != nil {
		return q, err
	}
	b, err := r.num.mul(q.den)
	if err != nil {
		return q, err
	}
	n, err := a.add(b)
	if err != nil {
		return q, err
	}
	d, err := q.den.mul(r.den)
	return quotient{n, d}, err
}

func (q quotient) neg() quotient { return quotient{q.num.neg(), q.den} }

func (q quotient) mul(r quotient) (quotient, error) {
	n, err := q.num.mul(r.num)
	if err != nil {
		return q, err
	}
	d, err := q.den.mul(r.den)
	return quotient{n, d}, err
}

// quo divides; r is not zero.
func (q quotient) quo(r quotient) (quotient, error) {
	return q.mul(quotient{num: r.den, den: r.num})
}

// round gives q with exactly digits digits after the point.
func (q quotient) round(digits int32, m mode) (decimal, error) {
	// num×10^a / den×10^b in units of 10^-digits is num×10^(a-b+digits) / den.
	shift := q.num.exp - q.den.exp + digits
	if shift > 4*maxDigits || shift < -4*maxDigits {
		return decimal{}, fmt.Errorf("a quotient of numbers too far apart: %w", ErrLimit)
	}
	num, den := q.num.integer(), q.den.integer()
	if shift > 0 {
		num = shifted(num, shift)
	} else {
		den = shifted(den, -shift)
	}
	negative := num.Sign()*den.Sign() < 0
	num, den = new(big.Int).Abs(num), new(big.Int).Abs(den)
	result, rest := new(big.Int).QuoRem(num, den, new(big.Int))
	if rest.Sign() != 0 {
		half := rest.Lsh(rest, 1).Cmp(den)
		if away(m, negative, half, result.Bit(0) == 1) {
			result.Add(result, big.NewInt(1))
		}
	}
	if negative {
		result.Neg(result)
	}
	return normal(result, -digits).checked()
}

// away reports whether a magnitude with a rest is rounded away from zero; half
// compares the rest with one half, odd says whether the magnitude's last digit is odd.
func away(m mode, negative bool, half int, odd bool) bool {
	switch m {
	case halfUp:
		return half >= 0
	case halfDown:
		return half > 0
	case halfEven:
		return half > 0 || half == 0 && odd
	case up:
		return true
	case floor:
		return negative
	case ceiling:
		return !negative
	case down:
		return false
	}
	return false
}
