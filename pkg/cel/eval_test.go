package cel

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func testEnv(t testing.TB) *Env {
	t.Helper()
	env, err := NewEnv(append(Variables("self", "old", "root", "key"),
		Variable{"op", String}, Variable{"time", Timestamp})...)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func compiled(t testing.TB, source string, opts Options) *Program {
	t.Helper()
	p, issues := testEnv(t).Compile(source, opts)
	if p == nil {
		t.Fatalf("%s: %v", source, issues)
	}
	return p
}

func parsed(t testing.TB, text string) Value {
	t.Helper()
	v, err := ParseJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const document = `{"n": 2, "half": 0.5, "price": 49.99, "long": 12345678901234567890.123456789, "zero": 0,
	"text": "abc", "numeral": "10.50", "yes": true, "no": false, "nothing": null, "list": [1, 2, 3], "empty": [],
	"object": {"a": 1, "b": null}, "tags": ["x", "y"], "at": "2026-11-22T10:00:00+07:00", "day": "2026-11-22",
	"items": [{"price": 49.99, "quantity": 3, "sku": "a"}, {"price": 0.01, "quantity": 1, "sku": "b"}],
	"nested": {"deep": {"x": 7}}, "mixed": [1, null, "a"], "currency": "VND", "odd name": 4, "ünï": "čć"}`

// result evaluates to a text: the value's JSON, or the kind of the error.
func result(t testing.TB, source string) string {
	t.Helper()
	p, issues := testEnv(t).Compile(source, Options{Result: Any})
	if p == nil {
		return "load: " + issues[0].Message
	}
	at := time.Date(2026, 11, 22, 23, 59, 1, 0, time.UTC)
	v, err := p.Value(context.Background(), Bindings{"self": parsed(t, document), "op": StringValue("update"), "time": TimeValue(at)})
	if err != nil {
		var e *EvalError
		if !errors.As(err, &e) {
			t.Fatalf("%s: %T is no EvalError", source, err)
		}
		return string(e.Kind)
	}
	return v.JSON()
}

func TestExpressionsGiveWhatTheLanguageSays(t *testing.T) {
	for _, c := range []struct{ group, source, want string }{
		{"exact", `0.1 + 0.2 == 0.3`, "true"},
		{"exact", `1 + 2.5`, "3.5"},
		{"exact", `2 == 2.0 && 2u == 2 && 0x10 == 16`, "true"},
		{"exact", `1 == self.n - 1 && self.n == 2`, "true"},
		{"exact", `self.n in [1, 2]`, "true"},
		{"exact", `self.n in [1.0, 2.0]`, "true"},
		{"exact", `0 < self.n && self.n < 2.01`, "true"},
		{"exact", `self.long`, "12345678901234567890.123456789"},
		{"exact", `self.long + 0.000000001`, "12345678901234567890.123456790"},
		{"exact", `12345678.12345678901234567890 - 0.1`, "12345678.02345678901234567890"},
		{"exact", `self.price * 3`, "149.97"},
		{"exact", `sum(self.items.map(i, i.price * i.quantity))`, "149.98"},
		{"exact", `50.00 * 2.00`, "100.00"},
		{"exact", `-self.price`, "-49.99"},
		{"exact", `- 5 + .5`, "-4.5"},
		{"exact", `7 % 3 + -7 % 3`, "0"},
		{"exact", `7.5 % 2`, "value"},
		{"exact", `7 % self.zero`, "value"},
		{"exact", `9007199254740993 == 9007199254740992`, "false"},
		{"exact", `9223372036854775807 + 1`, "9223372036854775808"},
		{"exact", `{"a": [1, 2.0]} == {"a": [1.0, 2]}`, "true"},
		{"exact", `self.list == [1, 2, 3.00]`, "true"},
		{"exact", `decimal("12345678901234567890.123456789") == self.long`, "true"},

		{"round", `round(2.345, 2)`, "2.35"},
		{"round", `round(2.345, 2, "half_even")`, "2.34"},
		{"round", `round(2.345, 2, "half_down")`, "2.34"},
		{"round", `round(2.341, 2, "up")`, "2.35"},
		{"round", `round(2.349, 2, "down")`, "2.34"},
		{"round", `round(-2.341, 2, "floor")`, "-2.35"},
		{"round", `round(-2.349, 2, "ceiling")`, "-2.34"},
		{"round", `round(-2.345, 2)`, "-2.35"},
		{"round", `round(10 / 3, 2)`, "3.33"},
		{"round", `round(self.price * 10 / 100, 2, "half_even")`, "5.00"},
		{"round", `round(1 / 3 + 1 / 3 + 1 / 3, 10)`, "1.0000000000"},
		{"round", `round(-(1 / 8) * 4 - 1 / 2, 1)`, "-1.0"},
		{"round", `round(self.yes ? 1 / 4 : 2, 2)`, "0.25"},
		{"round", `round(1 / self.zero, 2)`, "value"},
		{"round", `round(1234.5, -2)`, "1200"},
		{"round", `round(1.5, 0.5)`, "value"},
		{"round", `round(self.nothing / 2, 2)`, "null_operand"},
		{"round", `round(self.text / 2, 2)`, "type"},

		{"functions", `abs(-3.50)`, "3.50"},
		{"functions", `scale(1.250)`, "2"},
		{"functions", `scale(100.00)`, "0"},
		{"functions", `scale(decimal("1e-7"))`, "7"},
		{"functions", `minor_units("USD") + minor_units(self.currency) + minor_units("KWD")`, "5"},
		{"functions", `minor_units(self.text)`, "value"},
		{"functions", `decimal(self.numeral)`, "10.50"},
		{"functions", `decimal(self.text)`, "value"},
		{"functions", `decimal(self.n)`, "2"},
		{"functions", `int("7") + int(7.9) + int(-7.9)`, "7"},
		{"functions", `int("7.5")`, "value"},
		{"functions", `string(1.50) + string(true)`, `"1.50true"`},
		{"functions", `sum([])`, "0"},
		{"functions", `sum(self.mixed)`, "null_operand"},
		{"functions", `sum(self.tags)`, "type"},
		{"functions", `sum([1, 2.5, 0.5])`, "4.0"},
		{"functions", `size(self.list) + self.text.size() + size(self.object)`, "8"},
		{"functions", `size("ünï")`, "3"},

		{"null", `self.nothing + 1`, "null_operand"},
		{"null", `1 < self.nothing`, "null_operand"},
		{"null", `self.nothing == 1`, "null_operand"},
		{"null", `self.nothing == self.nothing`, "null_operand"},
		{"null", `self.nothing == null && null == self.nothing && self.n != null`, "true"},
		{"null", `self.absent == null`, "missing"},
		{"null", `self.absent + 1`, "missing"},
		{"null", `self.nothing.x`, "null_operand"},
		{"null", `self.nothing in [1]`, "null_operand"},
		{"null", `null in self.mixed`, "true"},
		{"null", `!self.nothing`, "null_operand"},
		{"null", `-self.nothing`, "null_operand"},
		{"null", `self.nothing ? 1 : 2`, "null_operand"},
		{"null", `self.nothing.all(i, true)`, "null_operand"},
		{"null", `size(self.nothing)`, "null_operand"},
		{"null", `self.object == {"a": 1, "b": null}`, "true"},
		{"null", `old.x == 1`, "missing"},

		{"optional", `self.nothing.orValue(0) + self.absent.orValue(1) + self.n.orValue(9)`, "3"},
		{"optional", `self.absent.deep.x.orValue(5)`, "5"},
		{"optional", `self.nothing.deep.x.orValue(5)`, "5"},
		{"optional", `self.nested.deep.x.orValue(5)`, "7"},
		{"optional", `self.text.deep.orValue(5)`, "type"},
		{"optional", `self.?absent.orValue(1) + self.?nothing.orValue(1) + self.?n.orValue(9)`, "4"},
		{"optional", `self.?nested.deep.x.orValue(5)`, "7"},
		{"optional", `self.?absent.deep.x.orValue(5)`, "5"},
		{"optional", `self.?absent == old.?absent`, "missing"},
		{"optional", `self.?absent == self.?nothing`, "true"},
		{"optional", `self.?n == optional.of(2)`, "true"},
		{"optional", `self.?n.hasValue() && !self.?nothing.hasValue()`, "true"},
		{"optional", `self.?absent.or(self.?n).value()`, "2"},
		{"optional", `optional.none().value()`, "null_operand"},
		{"optional", `self.list[?7].orValue(-1) + self.list[?0].orValue(-1)`, "0"},
		{"optional", `self.list[7].orValue(-1)`, "-1"},
		{"optional", `self.?n.optMap(n, n * 2).orValue(0)`, "4"},
		{"optional", `self.?n.optFlatMap(n, self.?absent).orValue(0)`, "0"},
		{"optional", `self.mixed[self.n - 1].orValue(3)`, "3"},
		{"optional", `self.object[self.absent].orValue(3)`, "missing"},
		{"optional", `old.x.orValue(1)`, "1"},
		{"optional", `has(self.nothing) && !has(self.absent) && has(self.nested.deep)`, "true"},
		{"optional", `has(self.absent.x)`, "missing"},
		{"optional", `has(self.text.x)`, "type"},

		{"logic", `self.no && self.nothing`, "false"},
		{"logic", `self.nothing && self.no`, "false"},
		{"logic", `self.absent || self.yes`, "true"},
		{"logic", `self.absent || self.no`, "missing"},
		{"logic", `self.n && self.yes`, "type"},
		{"logic", `self.yes ? "a" : "b"`, `"a"`},
		{"logic", `self.no == false && !self.no`, "true"},

		{"index", `self.list[0] + self.list[2.0]`, "4"},
		{"index", `self.list[3]`, "missing"},
		{"index", `self.list[-1]`, "missing"},
		{"index", `self.list[0.5]`, "missing"},
		{"index", `self["odd name"] + self.` + "`odd name`", "8"},
		{"index", `self.object[self.tags[0]]`, "missing"},
		{"index", `self.text[0]`, "type"},
		{"index", `[10, 20][self.n - 1]`, "20"},

		{"macros", `self.list.all(i, i > 0) && self.list.exists(i, i == 3) && self.list.exists_one(i, i > 2)`, "true"},
		{"macros", `self.list.filter(i, i % 2 == 1)`, "[1,3]"},
		{"macros", `self.list.map(i, i > 1, i * 10)`, "[20,30]"},
		{"macros", `self.items.map(i, i.sku)`, `["a","b"]`},
		{"macros", `self.items.all(i, self.list.exists(j, j == i.quantity))`, "true"},
		{"macros", `self.empty.all(i, false) && !self.empty.exists(i, true)`, "true"},
		{"macros", `self.mixed.all(i, i > 1)`, "false"},
		{"macros", `self.mixed.all(i, i > 0)`, "null_operand"},
		{"macros", `self.mixed.exists(i, i == 1)`, "true"},
		{"macros", `self.object.map(k, k)`, `["a","b"]`},
		{"macros", `self.text.all(i, true)`, "type"},
		{"macros", `self.mixed.exists_one(i, i > 0)`, "null_operand"},

		{"in", `"a" in self.object && !("z" in self.object) && "x" in self.tags`, "true"},
		{"in", `1 in self.text`, "type"},
		{"in", `self.text in ["abc", "d"]`, "true"},

		{"strings", `self.text.startsWith("a") && self.text.endsWith("c") && self.text.contains("b")`, "true"},
		{"strings", `self.text.matches("^[a-c]+$") && !matches(self.text, "^b")`, "true"},
		{"strings", `self.text.matches(self.currency)`, "false"},
		{"strings", `" Ab ".trim().lowerAscii() + "ab".upperAscii()`, `"abAB"`},
		{"strings", `"a,b,c".split(",") == ["a", "b", "c"] && "a,b,c".split(",", 2) == ["a", "b,c"]`, "true"},
		{"strings", `"banana".replace("a", "o") + "banana".replace("a", "o", 1)`, `"bononobonana"`},
		{"strings", `self.ünï`, "load: syntax: unexpected character"},
		{"strings", `self["ünï"].substring(1) + "tacocat".substring(0, 4) + "abc".charAt(1)`, `"ćtacob"`},
		{"strings", `"abcabc".indexOf("c") + "ačbc".lastIndexOf("c") + "a".indexOf("z")`, "4"},
		{"strings", `["a", "b"].join("-") + "abc".reverse()`, `"a-bcba"`},
		{"strings", `"abc".substring(2, 1)`, "value"},
		{"strings", `"b" > "a" && "10" < "9" && self.text + "d" == "abcd"`, "true"},

		{"time", `timestamp(self.at) == timestamp("2026-11-22T03:00:00Z")`, "true"},
		{"time", `timestamp(self.at) < time`, "true"},
		{"time", `time - timestamp(self.at) == duration("20h59m1s")`, "true"},
		{"time", `timestamp(self.at) + duration("24h")`, "2026-11-23T03:00:00Z"},
		{"time", `date(time, "Asia/Ho_Chi_Minh")`, `"2026-11-23"`},
		{"time", `date(time, "+07:00") > self.day && date(time, "UTC") == self.day`, "true"},
		{"time", `date(time, self.text)`, "value"},
		{"time", `timestamp(self.text)`, "value"},
		{"time", `timestamp(self.day)`, "value"},
		{"time", `timestamp(self.day, "Asia/Ho_Chi_Minh")`, "2026-11-21T17:00:00Z"},
		{"time", `timestamp("2026-11-22T10:00:00.5", "UTC").getMilliseconds()`, "500"},
		{"time", `time.getHours() + time.getHours("+07:00")`, "29"},
		{"time", `time.getFullYear() == 2026 && time.getMonth() == 10 && time.getDate() == 22 && time.getDayOfWeek() == 0`, "true"},
		{"time", `(time - timestamp(self.at)).getMinutes()`, "1259"},
		{"time", `duration("1h") - duration("90m") < duration("0s")`, "true"},
		{"time", `timestamp("9999-12-31T00:00:00Z") + duration("48h")`, "limit"},
		{"time", `int(timestamp("1970-01-01T00:01:00Z"))`, "60"},
	} {
		t.Run(c.group+"/"+c.source, func(t *testing.T) {
			if got := result(t, c.source); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// operands of each kind, for the table of operators.
var operands = []struct {
	name, source string
	kind         Type
}{
	{"whole", "self.n", Number}, {"decimal", "self.half", Number}, {"literal", "2", Number},
	{"text", "self.text", String}, {"bool", "self.yes", Bool}, {"null", "self.nothing", Null},
	{"absent", "self.absent", 0}, {"list", "self.list", List}, {"object", "self.object", Map},
	{"time", "timestamp(self.at)", Timestamp}, {"duration", `duration("1h")`, Duration}, {"optional", "self.?n", optional},
}

// cell is what an operator gives between two operands, by the language's rules
// as doc.go states them: a result's kind or an error.
func cell(op string, a, b Type, x, y string) string {
	switch {
	case a == 0 || b == 0:
		return "missing"
	case op == "==" || op == "!=":
		if a == Null || b == Null {
			return "null_operand"
		}
		return "bool"
	}
	if a == Null || b == Null {
		return "null_operand"
	}
	fits := false
	result := a
	switch op {
	case "<", "<=", ">", ">=":
		fits, result = a == b && a&(Bool|Number|String|Timestamp|Duration) != 0, Bool
	case "in":
		fits, result = b == List || b == Map && a == String, Bool
	case "+":
		fits = a == b && a&(Number|String|List|Duration) != 0 || a == Timestamp && b == Duration
		if a == Duration && b == Timestamp {
			fits, result = true, Timestamp
		}
	case "-":
		fits = a == b && a&(Number|Duration) != 0 || a == Timestamp && b == Duration
		if a == Timestamp && b == Timestamp {
			fits, result = true, Duration
		}
	case "*":
		fits = a == Number && b == Number
	case "%":
		fits = a == Number && b == Number
		if fits && (x == "decimal" || y == "decimal") {
			return "value"
		}
	}
	if !fits {
		return "type"
	}
	return result.String()
}

// TestEveryOperatorOverEveryPairOfKinds tests each cell twice: with fields of
// unknown type, and with a shape that tells the types, where a cell that can't
// work has to be found at load.
func TestEveryOperatorOverEveryPairOfKinds(t *testing.T) {
	shape := &Shape{Type: Map, Properties: map[string]*Shape{
		"n": {Type: Number}, "half": {Type: Number}, "text": {Type: String}, "yes": {Type: Bool}, "nothing": {Type: Null | Number},
		"absent": {Type: Number}, "list": {Type: List}, "object": {Type: Map}, "at": {Type: String},
	}}
	self := parsed(t, document)
	for _, op := range []string{"==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "%"} {
		for _, x := range operands {
			for _, y := range operands {
				source := x.source + " " + op + " " + y.source
				want := cell(op, x.kind, y.kind, x.name, y.name)
				for name, opts := range map[string]Options{"untyped": {Result: Any}, "typed": {Result: Any, Shapes: map[string]*Shape{"self": shape}}} {
					p, issues := testEnv(t).Compile(source, opts)
					if p == nil {
						known := x.kind != 0 && y.kind != 0 && x.kind != Null && y.kind != Null
						if known && want != "type" && !(x.kind != y.kind && want == "bool") {
							t.Errorf("%s, %s: want %s, but %v", source, name, want, issues)
						}
						continue
					}
					if name == "typed" && want == "type" {
						t.Errorf("%s: loads, although its types don't fit", source)
					}
					v, err := p.Value(context.Background(), Bindings{"self": self})
					got := v.Kind().String()
					var e *EvalError
					if errors.As(err, &e) {
						got = string(e.Kind)
					}
					if got != want {
						t.Errorf("%s, %s: got %s, want %s", source, name, got, want)
					}
				}
			}
		}
	}
}

func TestErrorsSayTheFieldAndThePlaceButNoValue(t *testing.T) {
	self := parsed(t, `{"a": {"b": null}, "secret": "hunter2"}`)
	for source, want := range map[string]string{
		`1 == 1 && self.a.b + 1 > 0`: "1:17: self.a.b is null (write self.a.b.orValue(…) for what it then counts as)",
		`self.a.c > 1`:               "1:7: self.a.c is absent (write self.a.c.orValue(…) for what it then counts as, or test has(self.a.c))",
		`self.secret + 1 == 2`:       "1:13: + has no meaning between a string and a number",
		`decimal(self.secret) > 1`:   "1:8: a text is not a number",
		"true &&\n self.secret < 3":  "2:14: < has no meaning between a string and a number",
	} {
		p, issues := testEnv(t).Compile(source, Options{})
		if p == nil {
			t.Fatal(issues)
		}
		_, err := p.Eval(context.Background(), Bindings{"self": self})
		if err == nil {
			t.Fatalf("%s: no error", source)
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error tells the value: %v", source, err)
		}
		if err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", source, err, want)
		}
	}
	p := compiled(t, `self.a.b > 1`, Options{})
	_, err := p.Eval(context.Background(), Bindings{"self": self})
	var e *EvalError
	if !errors.As(err, &e) || strings.Join(e.Path, ".") != "self.a.b" {
		t.Errorf("the error doesn't name the path: %#v", err)
	}
}
