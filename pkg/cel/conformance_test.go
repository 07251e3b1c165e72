package cel

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cel.dev/expr"
	_ "cel.dev/expr/conformance/proto2" // messages that test files hold
	_ "cel.dev/expr/conformance/proto3"
	conformance "cel.dev/expr/conformance/test"
	"google.golang.org/protobuf/encoding/prototext"
)

// TestConformanceCasesOfCEL runs the language's own conformance tests, those of its repository, and compares with
// testdata/conformance.golden, in which every case stands that gives another value than CEL says. Those that this package
// refuses, at load or by an error, are counted: bytes, messages, types as values, numbers as int, uint and double.
func TestConformanceCasesOfCEL(t *testing.T) {
	var b strings.Builder
	passed := 0
	for _, path := range conformanceFiles(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var file conformance.SimpleTestFile
		if err := prototext.Unmarshal(text, &file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		var passes, refused int
		var differ []string
		for _, section := range file.GetSection() {
			for _, test := range section.GetTest() {
				switch got, want := conform(t, test); {
				case want == "" || strings.HasPrefix(got, "refused"):
					refused++
				case same(got, want):
					passes++
				default:
					differ = append(differ, fmt.Sprintf("  %s/%s: %s\n    is %s, in CEL %s\n", section.GetName(), test.GetName(), strings.Join(strings.Fields(test.GetExpr()), " "), got, want))
				}
			}
		}
		passed += passes
		slices.Sort(differ)
		fmt.Fprintf(&b, "%s: %d as CEL says, %d refused or not ours, %d differ\n%s", file.GetName(), passes, refused, len(differ), strings.Join(differ, ""))
	}
	if passed < 500 {
		t.Errorf("only %d cases apply and pass", passed)
	}
	golden(t, filepath.Join("testdata", "conformance.golden"), b.String())
}

// same compares by value: 6.250 is 6.25, and members have no order.
func same(got, want string) bool {
	a, errA := ParseJSON([]byte(got))
	b, errB := ParseJSON([]byte(want))
	if errA != nil || errB != nil {
		return got == want
	}
	equals, err := equal(&frame{ctx: context.Background(), limit: DefaultCostLimit, check: DefaultCostLimit}, a, b)
	return err == nil && equals
}

// conformanceFiles are those of the module that the parser depends on.
func conformanceFiles(t *testing.T) []string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "cel.dev/expr").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "tests", "simple", "testdata", "*.textproto"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no conformance tests in %s: %v", dir, err)
	}
	return files
}

// conform runs a case; want is empty where it isn't about values that this package has.
func conform(t *testing.T, test *conformance.SimpleTest) (got, want string) {
	t.Helper()
	switch m := test.GetResultMatcher().(type) {
	case nil:
		want = "true"
	case *conformance.SimpleTest_Value:
		var ok bool
		if want, ok = jsonOf(m.Value); !ok {
			return "", ""
		}
	case *conformance.SimpleTest_EvalError:
		want = "an error"
	default:
		return "", ""
	}
	if test.GetContainer() != "" || test.GetCheckOnly() || test.GetDisableMacros() {
		return "", ""
	}
	var variables []Variable
	bindings := Bindings{}
	for name, bound := range test.GetBindings() {
		v, ok := valueOf(bound.GetValue())
		if !ok {
			return "", ""
		}
		variables, bindings[name] = append(variables, Variable{Name: name, Type: anything}), v
	}
	env, err := NewEnv(variables...)
	if err != nil {
		return "", ""
	}
	p, issues := env.Compile(test.GetExpr(), Options{Result: Any | Timestamp | Duration})
	if p == nil {
		if want == "an error" {
			return want, want
		}
		return "refused: " + issues[0].Message, want
	}
	v, err := p.Value(context.Background(), bindings)
	switch {
	case err != nil && want != "an error":
		return "refused: " + err.Error(), want
	case err != nil:
		return want, want
	}
	return v.JSON(), want
}

// jsonOf is how a value of a test is written here.
func jsonOf(v *expr.Value) (string, bool) {
	ours, ok := valueOf(v)
	return ours.JSON(), ok
}

// valueOf is a value of a test; false for what this package has no value for.
func valueOf(v *expr.Value) (Value, bool) {
	switch k := v.GetKind().(type) {
	case *expr.Value_NullValue:
		return NullValue, true
	case *expr.Value_BoolValue:
		return BoolValue(k.BoolValue), true
	case *expr.Value_Int64Value:
		return IntValue(k.Int64Value), true
	case *expr.Value_Uint64Value:
		return numberFrom(fmt.Sprint(k.Uint64Value)), true
	case *expr.Value_DoubleValue:
		n := FromAny(k.DoubleValue)
		return n, n.Kind() == Number
	case *expr.Value_StringValue:
		return StringValue(k.StringValue), true
	case *expr.Value_ListValue:
		var all []Value
		for _, item := range k.ListValue.GetValues() {
			one, ok := valueOf(item)
			if !ok {
				return Value{}, false
			}
			all = append(all, one)
		}
		return newList(all), true
	case *expr.Value_MapValue:
		m := &members{}
		for _, entry := range k.MapValue.GetEntries() {
			name := entry.GetKey().GetStringValue()
			if _, text := entry.GetKey().GetKind().(*expr.Value_StringValue); !text {
				return Value{}, false
			}
			value, ok := valueOf(entry.GetValue())
			if !ok {
				return Value{}, false
			}
			m.names, m.values = append(m.names, name), append(m.values, value)
		}
		return ObjectOf(m), true
	}
	return Value{}, false
}
