package cel

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strings"
)

// maxDigits bounds what arithmetic may build from numbers within the bounds:
// a result of more digits, or further than this from the point, is ErrLimit.
const maxDigits = 2000

// decimal is coef × 10^exp, or big × 10^exp where the coefficient doesn't fit.
// The exponent is kept as it was written, so that 149.90 stays 149.90.
// A decimal is immutable: nobody writes to big once it is set.
type decimal struct {
	coef int64
	exp  int32
	big  *big.Int
}

func decimalOf(i int64) decimal { return decimal{coef: i} }

// normal returns d with a small coefficient where it fits in one.
func normal(b *big.Int, exp int32) decimal {
	if b.IsInt64() && b.Int64() != math.MinInt64 {
		return decimal{coef: b.Int64(), exp: exp}
	}
	return decimal{big: b, exp: exp}
}

func (d decimal) integer() *big.Int {
	if d.big != nil {
		return d.big
	}
	return big.NewInt(d.coef)
}

func (d decimal) sign() int {
	switch {
	case d.big != nil:
		return d.big.Sign()
	case d.coef < 0:
		return -1
	case d.coef > 0:
		return 1
	}
	return 0
}

func (d decimal) neg() decimal {
	if d.big != nil {
		return normal(new(big.Int).Neg(d.big), d.exp)
	}
	return decimal{coef: -d.coef, exp: d.exp} // the coefficient is never MinInt64
}

func (d decimal) abs() decimal {
	if d.sign() < 0 {
		return d.neg()
	}
	return d
}

// checked returns d, or ErrLimit where a calculation has grown out of bounds.
func (d decimal) checked() (decimal, error) {
	if d.exp > maxDigits || d.exp < -maxDigits {
		return decimal{}, fmt.Errorf("a result with the exponent %d: %w", d.exp, ErrLimit)
	}
	if d.big != nil && d.big.BitLen() > maxDigits*10/3 {
		return decimal{}, fmt.Errorf("a result of more than %d digits: %w", maxDigits, ErrLimit)
	}
	return d, nil
}

func (d decimal) add(e decimal) (decimal, error) {
	if a, b, exp, ok := align(d, e); ok {
		if sum := a + b; (sum > a) == (b > 0) && sum != math.MinInt64 {
			return decimal{coef: sum, exp: exp}, nil
		}
	}
	a, b, exp, err := alignBig(d, e)
	if err != nil {
		return decimal{}, err
	}
	return normal(new(big.Int).Add(a, b), exp).checked()
}

func (d decimal) sub(e decimal) (decimal, error) { return d.add(e.neg()) }

// mul multiplies. A product shows no more trailing zeros than the factors do:
// 50.00 × 2.00 is 100.00, and 49.99 × 3 is 149.97.
func (d decimal) mul(e decimal) (decimal, error) {
	exp := d.exp + e.exp
	shown := min(d.exp, e.exp)
	if d.big == nil && e.big == nil {
		hi, lo := bits.Mul64(magnitude(d.coef), magnitude(e.coef))
		if hi == 0 && lo <= math.MaxInt64 {
			coef := int64(lo)
			if (d.coef < 0) != (e.coef < 0) {
				coef = -coef
			}
			for exp < shown && coef%10 == 0 {
				coef /= 10
				exp++
			}
			return decimal{coef: coef, exp: exp}.checked()
		}
	}
	product := new(big.Int).Mul(d.integer(), e.integer())
	if _, err := (decimal{big: product, exp: exp}).checked(); err != nil {
		return decimal{}, err
	}
	ten, rest, quotient := big.NewInt(10), new(big.Int), new(big.Int)
	for exp < shown {
		if quotient.QuoRem(product, ten, rest); rest.Sign() != 0 {
			break
		}
		product, quotient = quotient, product
		exp++
	}
	return normal(product, exp), nil
}

func magnitude(i int64) uint64 {
	if i < 0 {
		return uint64(-i)
	}
	return uint64(i)
}

// cmp compares by value: 2 and 2.0 are equal.
func (d decimal) cmp(e decimal) int {
	if a, b, _, ok := align(d, e); ok {
		switch {
		case a < b:
			return -1
		case a > b:
			return 1
		}
		return 0
	}
	if ds, es := d.sign(), e.sign(); ds != es || ds == 0 {
		return ds - es
	}
	if dm, em := d.adjusted(), e.adjusted(); dm != em {
		if (dm < em) == (d.sign() > 0) {
			return -1
		}
		return 1
	}
	a, b, _, err := alignBig(d, e)
	if err != nil { // not reached: equal magnitudes are never far apart
		return int(e.exp - d.exp)
	}
	return a.Cmp(b)
}

// adjusted is the exponent of d's first digit.
func (d decimal) adjusted() int { return len(d.digits()) - 1 + int(d.exp) }

var pow10 = func() (p [19]int64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// align brings two small decimals to one exponent without leaving int64.
func align(d, e decimal) (a, b int64, exp int32, ok bool) {
	if d.big != nil || e.big != nil {
		return 0, 0, 0, false
	}
	if d.exp == e.exp {
		return d.coef, e.coef, d.exp, true
	}
	if d.exp > e.exp {
		a, ok = scaleUp(d.coef, d.exp-e.exp)
		return a, e.coef, e.exp, ok
	}
	b, ok = scaleUp(e.coef, e.exp-d.exp)
	return d.coef, b, d.exp, ok
}

func scaleUp(coef int64, by int32) (int64, bool) {
	if coef == 0 {
		return 0, true
	}
	if by >= int32(len(pow10)) {
		return 0, false
	}
	hi, lo := bits.Mul64(magnitude(coef), uint64(pow10[by]))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	if coef < 0 {
		return -int64(lo), true
	}
	return int64(lo), true
}

func alignBig(d, e decimal) (a, b *big.Int, exp int32, err error) {
	exp = min(d.exp, e.exp)
	if d.exp-exp > 2*maxDigits || e.exp-exp > 2*maxDigits {
		return nil, nil, 0, fmt.Errorf("two numbers too far apart: %w", ErrLimit)
	}
	return shifted(d.integer(), d.exp-exp), shifted(e.integer(), e.exp-exp), exp, nil
}

// shifted returns i × 10^by, i itself for 0.
func shifted(i *big.Int, by int32) *big.Int {
	if by == 0 {
		return i
	}
	p := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(by)), nil)
	return p.Mul(p, i)
}

// scale is the fewest digits after the point that hold d exactly: 2 for 1.250
// as for 1.25, 0 for 100.00. It is a function of the value, so that equal
// numbers have equal scales.
func (d decimal) scale() int {
	if d.sign() == 0 || d.exp >= 0 {
		return 0
	}
	digits := d.digits()
	zeros := len(digits) - len(strings.TrimRight(digits, "0"))
	return max(0, -int(d.exp)-zeros)
}

// asInt returns d as an int64 where it is a whole number that fits.
func (d decimal) asInt() (int64, bool) {
	if d.big == nil && d.exp == 0 {
		return d.coef, true
	}
	b, ok := d.whole()
	if !ok || !b.IsInt64() {
		return 0, false
	}
	return b.Int64(), true
}

// whole returns d as an integer, and false where it has a fraction.
func (d decimal) whole() (*big.Int, bool) {
	if d.exp >= 0 {
		return shifted(d.integer(), d.exp), true
	}
	q, r := new(big.Int).QuoRem(d.integer(), shifted(big.NewInt(1), -d.exp), new(big.Int))
	return q, r.Sign() == 0
}

// mod is the rest of a division of whole numbers, with the sign of d.
func (d decimal) mod(e decimal) (decimal, error) {
	a, isWhole := d.whole()
	b, areWhole := e.whole()
	switch {
	case !isWhole || !areWhole:
		return decimal{}, errors.New("% is for whole numbers")
	case b.Sign() == 0:
		return decimal{}, errors.New("division by zero")
	}
	return normal(new(big.Int).Rem(a, b), 0), nil
}
