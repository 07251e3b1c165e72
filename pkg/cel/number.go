package cel

import (
	"errors"
	"fmt"
	"math"
	"math/big"
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

var (
	// ErrLimit says that a number or a document is beyond the bounds of this package.
	ErrLimit = errors.New("beyond the limit")
	// ErrNumber says that a text is no number.
	ErrNumber = errors.New("not a number")
)

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

// digits is the coefficient's digits without a sign.
func (d decimal) digits() string {
	if d.big != nil {
		return strings.TrimPrefix(d.big.String(), "-")
	}
	return strconv.FormatUint(magnitude(d.coef), 10)
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
