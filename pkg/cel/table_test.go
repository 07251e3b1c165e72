package cel

import (
	"bytes"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
)

// golden compares with a file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, []byte(got)) {
		t.Errorf("%s differs (-update writes it):\n%s", path, got)
	}
}

// TestTableOfOperatorsIsWhatTheyDo writes down what the operators give, and compares with operators.md: the page can't say
// anything else.
func TestTableOfOperatorsIsWhatTheyDo(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Operators of rules

A test writes this page from what the operators do. Left of the operator is the row, right of it the column. A cell says the
kind of the result, or why there is none: · the kinds don't go together (at load, where the schema tells them), *null* and
*missing* an operand that is null or absent, *value* a value that the operator isn't for.
`)
	for _, group := range [][]string{{"==", "!="}, {"<", "<=", ">", ">="}, {"in"}, {"+"}, {"-"}, {"*"}, {"%"}} {
		ofKinds(t, &b, group)
	}
	b.WriteString("\n`x == null`, `x != null` and `null in list` are how null is asked for. `/` is allowed inside `round(x, digits, mode)` only.\n")
	b.WriteString("\n# Over decimals\n\nEvery result is exact; sums and products are compared with rational numbers by the test.\n")
	for _, op := range []string{"+", "-", "*", "%", "==", "<", "in", "/"} {
		ofDecimals(t, &b, op)
	}
	golden(t, "operators.md", b.String())
}

// ofKinds is the table of operators that all give the same kinds.
func ofKinds(t *testing.T, b *strings.Builder, group []string) {
	t.Helper()
	kinds := slices.DeleteFunc(slices.Clone(operands), func(o struct {
		name, source string
		kind         Type
	}) bool {
		return o.name == "literal"
	})
	fmt.Fprintf(b, "\n## `%s`\n\n|", strings.Join(group, "` `"))
	for _, y := range kinds {
		b.WriteString(" | " + y.name)
	}
	b.WriteString(" |\n|" + strings.Repeat(" --- |", len(kinds)+1) + "\n")
	for _, x := range kinds {
		fmt.Fprintf(b, "| **%s**", x.name)
		for _, y := range kinds {
			text := ""
			for i, op := range group {
				got := kindOf(t, x.source+" "+op+" "+y.source)
				if want := cell(op, x.kind, y.kind, x.name, y.name); got != want && !(got == "type" && refused(t, x.source+" "+op+" "+y.source)) {
					t.Errorf("%s %s %s gives %s, want %s", x.name, op, y.name, got, want)
				}
				if i > 0 && got != text {
					t.Errorf("%s %s %s gives %s, and %s with %s", x.name, op, y.name, got, text, group[0])
				}
				text = got
			}
			short := map[string]string{"type": "·", "null_operand": "*null*", "missing": "*missing*", "value": "*value*"}
			if s, ok := short[text]; ok {
				text = s
			}
			b.WriteString(" | " + text)
		}
		b.WriteString(" |\n")
	}
}

// refused tells whether an expression is refused at load: a side is of a kind that the operator never takes.
func refused(t *testing.T, source string) bool {
	t.Helper()
	return strings.HasPrefix(result(t, source), "load: ")
}

// kindOf is the kind of an expression's value, or of its error; kinds that are refused at load are "type".
func kindOf(t *testing.T, source string) string {
	t.Helper()
	got := result(t, source)
	if strings.HasPrefix(got, "load: ") {
		return "type"
	}
	p, _ := testEnv(t).Compile(source, Options{Result: Any})
	v, err := p.Value(t.Context(), Bindings{"self": parsed(t, document)})
	if err != nil {
		return got
	}
	return v.Kind().String()
}

// decimals are those of the table.
var decimals = []string{"7", "2.50", "-0.1", "0", "12345678901234567890.123456789"}

// ofDecimals is the table of an operator over decimals.
func ofDecimals(t *testing.T, b *strings.Builder, op string) {
	t.Helper()
	name := op
	source := func(x, y string) string { return x + " " + op + " " + y }
	switch op {
	case "in":
		source = func(x, y string) string { return x + " in [" + y + "]" }
		name = "in [y]"
	case "/":
		source = func(x, y string) string { return "round(" + x + " / " + y + ", 4)" }
		name = "round(x / y, 4)"
	}
	fmt.Fprintf(b, "\n## `%s`\n\n|  | %s |\n|%s\n", name, strings.Join(decimals, " | "), strings.Repeat(" --- |", len(decimals)+1))
	for _, x := range decimals {
		fmt.Fprintf(b, "| **%s**", x)
		for _, y := range decimals {
			got := result(t, source(x, y))
			exact(t, op, x, y, got)
			if got == "value" {
				got = "*value*"
			}
			b.WriteString(" | " + got)
		}
		b.WriteString(" |\n")
	}
}

// exact compares a result with that of rational numbers.
func exact(t *testing.T, op, x, y, got string) {
	t.Helper()
	a, _ := new(big.Rat).SetString(x)
	b, _ := new(big.Rat).SetString(y)
	want := new(big.Rat)
	switch op {
	case "+":
		want.Add(a, b)
	case "-":
		want.Sub(a, b)
	case "*":
		want.Mul(a, b)
	case "==", "in":
		if got != fmt.Sprint(a.Cmp(b) == 0) {
			t.Errorf("%s %s %s is %s", x, op, y, got)
		}
		return
	case "<":
		if got != fmt.Sprint(a.Cmp(b) < 0) {
			t.Errorf("%s %s %s is %s", x, op, y, got)
		}
		return
	case "/":
		if b.Sign() == 0 {
			if got != "value" {
				t.Errorf("%s by zero is %s", x, got)
			}
			return
		}
		text := want.Quo(a, b).FloatString(4) // rounds half away from zero, as half_up does
		want.SetString(text)
	case "%":
		if !a.IsInt() || !b.IsInt() || b.Sign() == 0 {
			if got != "value" {
				t.Errorf("%s %% %s is %s", x, y, got)
			}
			return
		}
		want.SetInt(new(big.Int).Rem(a.Num(), b.Num()))
	}
	r, ok := new(big.Rat).SetString(got)
	if !ok || r.Cmp(want) != 0 {
		t.Errorf("%s %s %s is %s, want %s", x, op, y, got, want)
	}
}
