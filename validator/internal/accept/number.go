package accept

import (
	"cmp"
	"math/big"
	"math/bits"
	"strings"
)

// decimal is coefficient × 10^exponent, for numbers whose digits fit.
type decimal struct {
	coefficient int64
	exponent    int32
}

// short reads a number of at most maxPlainNumber characters without an exponent.
func short(s string) (decimal, bool) {
	if len(s) > maxPlainNumber {
		return decimal{}, false
	}
	var d decimal
	negative, point := false, false
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			d.coefficient = 10*d.coefficient + int64(c-'0')
			if point {
				d.exponent--
			}
		case c == '.':
			point = true
		case c == '-':
			negative = true
		default:
			return decimal{}, false
		}
	}
	if negative {
		d.coefficient = -d.coefficient
	}
	return d, true
}

var pow10 = func() (p [19]int64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = 10 * p[i-1]
	}
	return p
}()

// align brings two to one exponent.
func align(a, b decimal) (x, y int64, ok bool) {
	switch {
	case a.exponent == b.exponent:
		return a.coefficient, b.coefficient, true
	case a.exponent > b.exponent:
		x, ok = scale(a.coefficient, a.exponent-b.exponent)
		return x, b.coefficient, ok
	}
	y, ok = scale(b.coefficient, b.exponent-a.exponent)
	return a.coefficient, y, ok
}

func scale(coefficient int64, by int32) (int64, bool) {
	if int(by) >= len(pow10) {
		return 0, false
	}
	magnitude := uint64(coefficient)
	if coefficient < 0 {
		magnitude = -magnitude
	}
	high, low := bits.Mul64(magnitude, uint64(pow10[by]))
	if high != 0 || low >= 1<<63 {
		return 0, false
	}
	if coefficient < 0 {
		return -int64(low), true
	}
	return int64(low), true
}

// quantity is a number that a schema names.
type quantity struct {
	exact *big.Rat
	short decimal // of the same value, where it isShort
	fits  bool
}

func newQuantity(r *big.Rat) quantity {
	q := quantity{exact: r}
	scaled, ten := new(big.Rat).Set(r), big.NewRat(10, 1)
	for digits := int32(0); digits <= maxPlainNumber; digits++ {
		if scaled.IsInt() {
			if n := scaled.Num(); n.IsInt64() && n.BitLen() < 63 {
				q.short, q.fits = decimal{n.Int64(), -digits}, true
			}
			break
		}
		scaled.Mul(scaled, ten)
	}
	return q
}

// rational is a number's exact value, as the library reads it.
func rational(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok { // not reached: it is a number within bounds
		return new(big.Rat)
	}
	return r
}

// figure is a number of an event, read once for all that it is compared with.
type figure struct {
	text  string
	short decimal
	fits  bool
}

func (t *tape) figure(i int32) figure {
	k := &t.tokens[i]
	return figure{t.span(i), decimal{k.sum, -int32(k.decimals)}, k.flags&exact != 0}
}

// aligned brings a number and q to one exponent, where both fit.
func (q *quantity) aligned(n *figure) (x, y int64, ok bool) {
	if !q.fits || !n.fits {
		return 0, 0, false
	}
	return align(n.short, q.short)
}

// compare compares a number with q: negative where it is less.
func (q *quantity) compare(n *figure) int {
	if x, y, ok := q.aligned(n); ok {
		return cmp.Compare(x, y)
	}
	return rational(n.text).Cmp(q.exact)
}

// divides tells whether a number is a multiple of q, which isn't zero.
func (q *quantity) divides(n *figure) bool {
	if q.fits && n.fits && q.short.coefficient == 1 && n.short.exponent >= q.short.exponent {
		return true // no more digits than a power of ten has
	}
	if x, y, ok := q.aligned(n); ok {
		return x%y == 0
	}
	return new(big.Rat).Quo(rational(n.text), q.exact).IsInt()
}

// isWhole tells whether a number is an integer by value, as 1.0 and 1e2 are.
func isWhole(s string, flags uint8) bool {
	switch {
	case flags&(fraction|exponent) == 0:
		return true
	case flags&exponent == 0:
		return strings.Trim(s[strings.IndexByte(s, '.')+1:], "0") == ""
	}
	return rational(s).IsInt()
}

// sameNumber compares by value.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	if x, ok := short(a); ok {
		if y, ok := short(b); ok {
			if x, y, ok := align(x, y); ok {
				return x == y
			}
		}
	}
	return rational(a).Cmp(rational(b)) == 0
}
