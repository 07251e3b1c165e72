package cel

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestShortWayGivesWhatTheLongWayGives compares both on expressions and values at random: results, failures, their words and
// places, and how many steps are allowed.
func TestShortWayGivesWhatTheLongWayGives(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	env, err := NewEnv(Variables("self")...)
	if err != nil {
		t.Fatal(err)
	}
	numbers, failures := 0, 0
	for range 4000 {
		source := comparisonAt(random)
		value := rowAt(random)
		var decoded any
		d := json.NewDecoder(strings.NewReader(value))
		d.UseNumber()
		if err := d.Decode(&decoded); err != nil {
			t.Fatal(err)
		}
		self := FromAny(decoded)
		limit := uint64(DefaultCostLimit)
		if random.IntN(4) == 0 {
			limit = uint64(1 + random.IntN(60))
		}
		text := func(longWay bool) string {
			p, issues := env.Compile(source, Options{CostLimit: DefaultCostLimit, longWay: longWay})
			if p == nil {
				return fmt.Sprint(issues)
			}
			p.limit = limit
			holds, err := p.Eval(t.Context(), Bindings{"self": self})
			return fmt.Sprintf("%v %v", holds, err)
		}
		long, short := text(true), text(false)
		if long != short {
			t.Fatalf("%s of %s, %d steps:\n%s by the long way\n%s by the short one", source, value, limit, long, short)
		}
		if strings.HasSuffix(long, "<nil>") {
			numbers++
		} else {
			failures++
		}
	}
	if numbers < 500 || failures < 500 {
		t.Errorf("%d results and %d failures: too few of one", numbers, failures)
	}
}

func comparisonAt(random *rand.Rand) string {
	op := []string{"==", "!=", "<", "<=", ">", ">="}[random.IntN(6)]
	return numberAt(random, 3) + " " + op + " " + numberAt(random, 3)
}

// numberAt is an expression that gives a number, where the row has what it reads.
func numberAt(random *rand.Rand, depth int) string {
	if depth > 0 && random.IntN(3) > 0 {
		a, b := numberAt(random, depth-1), numberAt(random, depth-1)
		switch random.IntN(6) {
		case 0:
			return "sum(self.items.map(i, i." + fieldAt(random) + " * " + b + "))"
		case 1:
			return "-(" + a + ")"
		case 2:
			return "sum(self.items.map(i, i." + fieldAt(random) + "))"
		}
		return "(" + a + " " + []string{"+", "-", "*", "%"}[random.IntN(4)] + " " + b + ")"
	}
	switch random.IntN(4) {
	case 0:
		return []string{"0", "1", "2.50", "-3", "9223372036854775807", "0.1"}[random.IntN(6)]
	case 1:
		return "self.inner." + fieldAt(random)
	}
	return "self." + fieldAt(random)
}

func fieldAt(random *rand.Rand) string { return []string{"a", "b", "c"}[random.IntN(3)] }

// rowAt is a row that mostly has numbers.
func rowAt(random *rand.Rand) string {
	value := func() string {
		if random.IntN(12) == 0 {
			return []string{"null", `"x"`, "true", "[]", "{}", "1e999", "12345678901234567890123456789"}[random.IntN(7)]
		}
		return []string{"0", "1", "-1", "2.50", "149.98", "0.01", "1e3", "9223372036854775807", "-0.000000001"}[random.IntN(9)]
	}
	object := func() string {
		var members []string
		for _, name := range []string{"a", "b", "c"} {
			if random.IntN(15) > 0 {
				members = append(members, fmt.Sprintf("%q:%s", name, value()))
			}
		}
		return strings.Join(members, ",")
	}
	var items []string
	for range random.IntN(4) {
		items = append(items, "{"+object()+"}")
	}
	list := "[" + strings.Join(items, ",") + "]"
	if random.IntN(15) == 0 {
		list = value()
	}
	return `{"x":1` + comma(object()) + `,"inner":{` + object() + `},"items":` + list + "}"
}

func comma(members string) string {
	if members == "" {
		return ""
	}
	return "," + members
}
