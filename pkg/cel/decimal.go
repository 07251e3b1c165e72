package cel

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// Bounds of a number that comes from outside, in JSON, in decimal(text) or in
// a rule. A number beyond them is refused before anything is computed with it:
// 1e1000001 is seven bytes, and a million digits once written out.
const (
	// MaxNumberLength is how many characters a number may have.
	MaxNumberLength = 64
	// MaxExponent is how large the written exponent may be, either way.
	MaxExponent = 400
)

// maxDigits bounds what arithmetic may build from numbers within the bounds:
// a result of more digits, or further than this from the point, is ErrLimit.
const maxDigits = 2000

var (
	// ErrLimit says that a number or a document is beyond the bounds of this package.
	ErrLimit = errors.New("beyond the limit")
	// ErrNumber says that a text is no number.
	ErrNumber = errors.New("not a number")
)

// decimal is coef × 10^exp, or big × 10^exp where the coefficient doesn't fit.
// The exponent is kept as it was written, so that 149.90 stays 149.90.
// A decimal is immutable: nobody writes to big once it is set.
type decimal struct {
	coef int64
	exp  int32
	big  *big.Int
}

// parseDecimal reads JSON's number syntax. Other forms (hexadecimal, a leading
// plus, infinities) are ErrNumber.
func parseDecimal(text string) (decimal, error) {
	if len(text) > MaxNumberLength {
		return decimal{}, fmt.Errorf("a number of %d characters, %d are allowed: %w", len(text), MaxNumberLength, ErrLimit)
	}
	s := text
	negative := strings.HasPrefix(s, "-")
	if negative {
		s = s[1:]
	}
	var coef uint64
	exp, digits, wide, i := 0, 0, false, 0
	for seenPoint := false; i < len(s); i++ {
		c := s[i]
		if c == '.' && !seenPoint && i > 0 && i+1 < len(s) && isDigit(s[i+1]) {
			seenPoint = true
			continue
		}
		if !isDigit(c) {
			break
		}
		if coef > (math.MaxInt64-9)/10 {
			wide = true
		} else {
			coef = coef*10 + uint64(c-'0')
		}
		digits++
		if seenPoint {
			exp--
		}
	}
	if digits == 0 || (s[0] == '0' && len(s) > 1 && isDigit(s[1])) {
		return decimal{}, fmt.Errorf("%q: %w", text, ErrNumber)
	}
	mantissa := s[:i]
	if i < len(s) {
		e, err := parseExponent(text, s[i:])
		if err != nil {
			return decimal{}, err
		}
		exp += e
	}
	if wide {
		b, ok := new(big.Int).SetString(strings.Replace(mantissa, ".", "", 1), 10)
		if !ok {
			return decimal{}, fmt.Errorf("%q: %w", text, ErrNumber)
		}
		if negative {
			b.Neg(b)
		}
		return decimal{big: b, exp: int32(exp)}, nil
	}
	if negative {
		return decimal{coef: -int64(coef), exp: int32(exp)}, nil
	}
	return decimal{coef: int64(coef), exp: int32(exp)}, nil
}

func parseExponent(text, s string) (int, error) {
	digits := s[1:]
	if s[0] != 'e' && s[0] != 'E' {
		return 0, fmt.Errorf("%q: %w", text, ErrNumber)
	}
	if strings.HasPrefix(digits, "+") || strings.HasPrefix(digits, "-") {
		digits = digits[1:]
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("%q: %w", text, ErrNumber)
	}
	e, err := strconv.Atoi(digits)
	if err != nil || e > MaxExponent {
		return 0, fmt.Errorf("the exponent of %s, ±%d is allowed: %w", text, MaxExponent, ErrLimit)
	}
	if s[1] == '-' {
		e = -e
	}
	return e, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

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

// digits is the coefficient's digits without a sign.
func (d decimal) digits() string {
	if d.big != nil {
		return strings.TrimPrefix(d.big.String(), "-")
	}
	return strconv.FormatUint(magnitude(d.coef), 10)
}

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

// String writes d digit for digit, without an exponent up to MaxNumberLength
// digits and as d.ddde±n beyond.
func (d decimal) String() string {
	digits, sign := d.digits(), ""
	if d.sign() < 0 {
		sign = "-"
	}
	point := len(digits) + int(d.exp) // the place of the point, from the first digit
	switch {
	case d.exp == 0:
		return sign + digits
	case d.sign() == 0 && d.exp > 0:
		return "0"
	case d.exp > 0 && point <= MaxNumberLength:
		return sign + digits + strings.Repeat("0", int(d.exp))
	case d.exp < 0 && point > 0:
		return sign + digits[:point] + "." + digits[point:]
	case d.exp < 0 && point > -MaxNumberLength:
		return sign + "0." + strings.Repeat("0", -point) + digits
	}
	if rest := digits[1:]; rest != "" {
		return fmt.Sprintf("%s%s.%se%+d", sign, digits[:1], rest, point-1)
	}
	return fmt.Sprintf("%s%se%+d", sign, digits, point-1)
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
