package feed

import (
	"math/big"
	"strings"
)

// maxDigits bounds the numbers whose difference is told: nobody reads longer ones.
const maxDigits = 40

// difference is new − old with its sign, exactly, in the decimals of the longer one: "−149.98", "+3". ok is false where
// either isn't a plain decimal number, or both are the same.
func difference(before, after string) (text string, ok bool) {
	a, scaleA, okA := decimal(before)
	b, scaleB, okB := decimal(after)
	if !okA || !okB {
		return "", false
	}
	scale := max(scaleA, scaleB)
	shift(a, scale-scaleA)
	shift(b, scale-scaleB)
	d := b.Sub(b, a)
	if d.Sign() == 0 {
		return "", false
	}
	sign := "+"
	if d.Sign() < 0 {
		sign = "−"
	}
	digits := d.Abs(d).String()
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	if scale > 0 {
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	return sign + digits, true
}

// decimal reads a number without an exponent as an integer and the count of its decimals.
func decimal(text string) (value *big.Int, scale int, ok bool) {
	if len(text) > maxDigits || strings.ContainsFunc(text, func(r rune) bool { return r != '-' && r != '.' && (r < '0' || r > '9') }) {
		return nil, 0, false
	}
	whole, decimals, _ := strings.Cut(text, ".")
	value, ok = new(big.Int).SetString(whole+decimals, 10)
	return value, len(decimals), ok
}

func shift(n *big.Int, digits int) {
	n.Mul(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil))
}
