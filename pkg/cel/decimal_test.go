package cel

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

func rat(t testing.TB, text string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is no number", text)
	}
	return r
}

// randomNumber writes a number as sources do: short, long, with trailing
// zeros, an exponent, at the edges of int64.
func randomNumber(r *rand.Rand) string {
	digits := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte(byte('0' + r.IntN(10)))
		}
		return b.String()
	}
	sign := []string{"", "-"}[r.IntN(2)]
	switch r.IntN(7) {
	case 0:
		return sign + fmt.Sprint(r.IntN(100))
	case 1:
		return sign + fmt.Sprint(r.IntN(1000)) + "." + digits(2)
	case 2:
		return sign + "0." + digits(1+r.IntN(20))
	case 3:
		return sign + "1" + digits(r.IntN(40)) + "." + digits(1+r.IntN(20))
	case 4:
		return sign + []string{"9223372036854775807", "9223372036854775808", "922337203685477580.7", "0", "0.00"}[r.IntN(5)]
	case 5:
		return sign + fmt.Sprintf("%d.%se%d", r.IntN(10), digits(2), r.IntN(60)-30)
	}
	return sign + fmt.Sprint(r.Uint32()) + "00"
}

func TestArithmeticIsThatOfRationalNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		x, y := randomNumber(r), randomNumber(r)
		checkArithmetic(t, x, y, int32(r.IntN(8)-2), modes[r.IntN(len(modes))])
		if t.Failed() {
			return
		}
	}
}

func FuzzArithmeticIsThatOfRationalNumbers(f *testing.F) {
	for _, s := range [][2]string{{"0.1", "0.2"}, {"-9223372036854775808", "1"}, {"1e400", "1e-400"}, {"-0.0", "0"}, {"1e-30", "99999999999999999999"}} {
		f.Add(s[0], s[1], int8(2), uint8(0))
	}
	f.Fuzz(func(t *testing.T, x, y string, digits int8, m uint8) {
		if _, err := parseDecimal(x); err != nil {
			return
		}
		if _, err := parseDecimal(y); err != nil {
			return
		}
		checkArithmetic(t, x, y, int32(digits)%maxRoundDigits, modes[int(m)%len(modes)])
	})
}

func checkArithmetic(t *testing.T, x, y string, digits int32, m mode) {
	t.Helper()
	a, errA := parseDecimal(x)
	b, errB := parseDecimal(y)
	if errA != nil || errB != nil {
		t.Fatalf("%s, %s: %v, %v", x, y, errA, errB)
	}
	p, q := rat(t, x), rat(t, y)
	same := func(what string, got decimal, err error, want *big.Rat) {
		t.Helper()
		if errors.Is(err, ErrLimit) {
			return
		}
		if err != nil || rat(t, got.String()).Cmp(want) != 0 {
			t.Errorf("%s of %s and %s: got %v (%v), want %s", what, x, y, got, err, want.RatString())
		}
	}
	same("text", a, nil, p)
	same("negation", a.neg(), nil, new(big.Rat).Neg(p))
	got, err := a.add(b)
	same("sum", got, err, new(big.Rat).Add(p, q))
	got, err = a.sub(b)
	same("difference", got, err, new(big.Rat).Sub(p, q))
	got, err = a.mul(b)
	same("product", got, err, new(big.Rat).Mul(p, q))
	if c := a.cmp(b); (c > 0) != (p.Cmp(q) > 0) || (c < 0) != (p.Cmp(q) < 0) {
		t.Errorf("%s against %s: got %d", x, y, c)
	}
	if q.Sign() == 0 {
		return
	}
	quo, err := whole(a).quo(whole(b))
	if err == nil {
		got, err = quo.round(digits, m)
	}
	same(fmt.Sprintf("quotient to %d, %s,", digits, m), got, err, rounded(new(big.Rat).Quo(p, q), digits, m))
	if err == nil && got.exp != -digits {
		t.Errorf("%v hasn't %d digits", got, digits)
	}
}

// rounded rounds by the definition of each mode: the neighbours, and the
// distance to them.
func rounded(v *big.Rat, digits int32, m mode) *big.Rat {
	unit := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(digits, -digits))), nil))
	if digits > 0 {
		unit.Inv(unit)
	}
	scaled := new(big.Rat).Quo(v, unit)
	below := new(big.Int).Div(scaled.Num(), scaled.Denom()) // Euclidean: towards minus infinity
	above := new(big.Int).Set(below)
	if !scaled.IsInt() {
		above.Add(above, big.NewInt(1))
	}
	inner, outer := below, above
	if scaled.Sign() < 0 {
		inner, outer = above, below
	}
	toInner := new(big.Rat).Sub(scaled, new(big.Rat).SetInt(inner))
	half := toInner.Abs(toInner).Cmp(big.NewRat(1, 2))
	pick := inner
	switch {
	case m == up, m == floor && below == outer, m == ceiling && above == outer,
		(m == halfUp || m == halfDown || m == halfEven) && half > 0,
		m == halfUp && half == 0, m == halfEven && half == 0 && inner.Bit(0) == 1:
		pick = outer
	}
	return unit.Mul(unit, new(big.Rat).SetInt(pick))
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	for text, want := range map[string]string{
		"149.90": "149.90", "0": "0", "-0": "0", "0.00": "0.00", "1e3": "1000", "1.5e1": "15", "1e-7": "0.0000001",
		"12345678901234567890.123456789": "12345678901234567890.123456789", "1e400": "1e+400", "-2.5e-300": "-2.5e-300",
		"123456789012345678901234567890123456789012345678901234567890.12": "123456789012345678901234567890123456789012345678901234567890.12",
	} {
		v, err := NumberValue(text)
		if err != nil || v.Text() != want {
			t.Errorf("%s: got %s, %v, want %s", text, v, err, want)
		}
	}
}

func TestHostileNumbersAreRefusedBeforeTheyCost(t *testing.T) {
	for _, text := range []string{"1e1000001", "1e-1000001", "1e401", "-1e-401", "1e99999999999999999999", strings.Repeat("9", 65), "0." + strings.Repeat("0", 70)} {
		if _, err := NumberValue(text); !errors.Is(err, ErrLimit) {
			t.Errorf("%.20s: got %v, want ErrLimit", text, err)
		}
		if _, err := ParseJSON([]byte(`{"a": [` + text + `]}`)); !errors.Is(err, ErrLimit) {
			t.Errorf("%.20s in JSON: got %v, want ErrLimit", text, err)
		}
	}
	for _, text := range []string{"", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "NaN", "Infinity", "1_000", "1 ", "--1", "1.2.3", "1e1.5"} {
		if _, err := NumberValue(text); !errors.Is(err, ErrNumber) {
			t.Errorf("%q: got %v, want ErrNumber", text, err)
		}
	}
}

func TestArithmeticThatGrowsOutOfBoundsIsALimit(t *testing.T) {
	for _, source := range []string{
		`self.a * self.a * self.a * self.a * self.a * self.a > 0`,
		`self.a * self.a * self.a + self.b * self.b * self.b > 0`,
		`decimal("1e-400") * decimal("1e-400") * decimal("1e-400") * decimal("1e-400") * decimal("1e-400") * decimal("1e-400") == 0`,
	} {
		_, err := compiled(t, source, Options{}).Eval(context.Background(), Bindings{"self": parsed(t, `{"a": 1e400, "b": 1e-400}`)})
		var e *EvalError
		if !errors.As(err, &e) || e.Kind != LimitError || !errors.Is(err, ErrLimit) {
			t.Errorf("%s: got %v, want a LimitError", source, err)
		}
	}
}
