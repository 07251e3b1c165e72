package reason

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"datawatch/pkg/testrig"
)

// TestEveryCodeIsSaidInEveryLanguage, with the values that the English form has, and in words of its own.
func TestEveryCodeIsSaidInEveryLanguage(t *testing.T) {
	declared := codes(t)
	for language, of := range catalogues {
		if got := slices.Sorted(maps.Keys(of.texts)); !slices.Equal(got, slices.Sorted(maps.Values(declared))) {
			t.Errorf("%s has words for %v", language, got)
		}
		for code, form := range of.texts {
			wants, has := slices.Sorted(slices.Values(code.Names())), map[string]bool{}
			for _, m := range place.FindAllStringSubmatch(form, -1) {
				has[m[1]] = true
			}
			if got := slices.Sorted(maps.Keys(has)); !slices.Equal(got, wants) {
				t.Errorf("%s: %s has the values %v, English %v", language, code, got, wants)
			}
			if left := place.ReplaceAllString(form, ""); strings.ContainsAny(left, "{}") {
				t.Errorf("%s: a value of %s has no name: %s", language, code, form)
			}
		}
	}
	for code, form := range english {
		if said := vietnamese[code]; said == form && regexp.MustCompile(`[a-z]{2}`).MatchString(place.ReplaceAllString(form, "")) {
			t.Errorf("%s is English in Vietnamese: %s", code, form)
		}
	}
}

// TestNoEnglishOfOursIsInAVietnameseText: of each code, no clause of the English form of more than three words stands in
// the Vietnamese one, but for commands, settings and SQL.
func TestNoEnglishOfOursIsInAVietnameseText(t *testing.T) {
	clause := regexp.MustCompile("[^.,;:(){}`]+")
	for code, form := range english {
		said := vietnamese[code]
		for _, part := range clause.FindAllString(form, -1) {
			if part = strings.TrimSpace(part); len(strings.Fields(part)) > 3 && strings.Contains(said, part) && !strings.HasPrefix(part, "alter ") && !strings.HasPrefix(part, "collector ") {
				t.Errorf("%s says %q in Vietnamese", code, part)
			}
		}
	}
}

// TestEveryCodeIsGivenItsValues, wherever in the product one is given: as many as its English form names.
func TestEveryCodeIsGivenItsValues(t *testing.T) {
	declared, given := codes(t), map[string]bool{}
	eachFile(t, func(path string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if gap, ok := n.(*ast.CompositeLit); ok && isGap(gap.Type) {
				for _, e := range gap.Elts {
					if of, ok := e.(*ast.KeyValueExpr); ok && of.Key.(*ast.Ident).Name == "Remedy" {
						t.Errorf("%s says what to do about a gap in words, and not by code: see Gap.Advising", path)
					}
				}
			}
			if at, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := at.X.(*ast.Ident); ok && pkg.Name == "reason" {
					given[at.Sel.Name] = true
				}
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			with, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || with.Sel.Name != "With" {
				return true
			}
			name, ok := with.X.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if code, known := declared[name.Sel.Name]; known && len(call.Args) != len(code.Names()) && len(call.Args) > 0 {
				t.Errorf("%s gives %d values to %s, which has %v", path, len(call.Args), code, code.Names())
			}
			return true
		})
	})
	for name := range declared {
		if !given[name] && !strings.HasPrefix(name, "Letter") && !strings.HasPrefix(name, "Part") { // those are given by their class
			t.Errorf("nobody says %s", name)
		}
	}
}

func isGap(of ast.Expr) bool {
	name, ok := of.(*ast.SelectorExpr)
	if !ok || name.Sel.Name != "Gap" {
		return false
	}
	pkg, ok := name.X.(*ast.Ident)
	return ok && pkg.Name == "event"
}

// TestErrorsAreTheSameByWhatTheySay: a sentinel is found in an error that says the same of something else; phrases aren't.
func TestErrorsAreTheSameByWhatTheySay(t *testing.T) {
	sentinel := New(MongoTooOld.With())
	if err := fmt.Errorf("ask: %w", New(MongoTooOld.With("4.2"))); !errors.Is(err, sentinel) || errors.Is(err, New(MongoNoClock.With())) {
		t.Error("an error isn't known by its code")
	}
	if one, other := New(Phrase("unknown name a")), New(Phrase("unknown name b")); errors.Is(one, other) || !errors.Is(one, one) {
		t.Error("phrases are taken for each other")
	}
}

// TestATextOutlivesItsWayToTheReader as JSON, with what is in it.
func TestATextOutlivesItsWayToTheReader(t *testing.T) {
	down := errors.New("dial tcp 10.0.0.7:9092: connection refused\nand more")
	err := fmt.Errorf("look: %w", Wrap(errors.Join(Wrap(down, KafkaNotConnected.With("b:9092")), down), KafkaUnanswered.With()).Advise(DoKafkaUnanswered.With()))
	why, do := Of(err)
	for language, want := range map[string]string{
		"en": "no broker of the cluster answers: connect to b:9092: dial tcp 10.0.0.7:9092: connection refused",
		"vi": "không broker nào của cụm trả lời: không kết nối được b:9092: dial tcp 10.0.0.7:9092: connection refused",
	} {
		text, err := json.Marshal(why)
		if err != nil {
			t.Fatal(err)
		}
		var read Text
		if err := json.Unmarshal(text, &read); err != nil || read.FirstLine().In(language) != want {
			t.Errorf("%s: %s (%v)", language, read.FirstLine().In(language), err)
		}
	}
	if do.In("vi") != "kiểm tra addresses, mạng, tls và sasl của nguồn" {
		t.Errorf("to do: %s", do.In("vi"))
	}
	for text, want := range map[string]string{
		EventTooLarge.With("x", 12345678, 1024).In("vi"):   "sự kiện x có 12.345.678 byte kể cả header; broker.max_record_bytes chỉ cho phép 1.024",
		EventTooLarge.With("x", 1234567, 1024).In("en"):    "event x has 1,234,567 bytes with its headers; broker.max_record_bytes allows 1,024",
		Quote("connection refused").In("vi"):               "connection refused",
		Quote("connection refused").In("en"):               "connection refused",
		Text{}.In("vi"):                                    "",
		OfCause("rewound: no such token").In("vi"):         "Cụm máy chủ đã quay lại trạng thái cũ hoặc được khôi phục: no such token",
		OfCause("slot_lost").In("en"):                      "The server has dropped what the slot held back.",
		OfCause("the cluster deleted offsets").In("en"):    "the cluster deleted offsets",
		Say("vi", nil, "as written"):                       "as written",
		Say("vi", &Text{Code: "of_tomorrow"}, "written"):   "written",
		Say("vi", SlotNowhere.With().Pointer(), "written"): "nó không có vị trí",
	} {
		if text != want {
			t.Errorf("said %q, want %q", text, want)
		}
	}
}

// TestEveryPartIsCalledSomething: what services tell health of is named for a system, or has a name in each language.
func TestEveryPartIsCalledSomething(t *testing.T) {
	systems := []string{"broker", "telegram", "schemas", "x-pii", "alerts", "clean", "violations", "schema registry"}
	named := regexp.MustCompile(`(?:Health\.Set\(|reporter\(env, |Insist\(ctx, \w+(?:\.\w+)*, |[pP]art *= )"([^"]+)"`)
	found := map[string]bool{}
	for _, pattern := range []string{"collector/*.go", "validator/*.go", "preprocessor/*.go", "pkg/daemon/*.go"} {
		files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range named.FindAllStringSubmatch(string(text), -1) {
				if found[m[1]] = true; OfPart(m[1]).Code == "" && !slices.Contains(systems, m[1]) && !strings.HasSuffix(name, "_test.go") {
					t.Errorf("%s: the part %q has no name in Vietnamese", name, m[1])
				}
			}
		}
	}
	for code := range english {
		if name, ok := strings.CutPrefix(string(code), "part_"); ok && strings.Count(string(code), "partition") == 0 && !found[strings.ReplaceAll(name, "_", " ")] {
			t.Errorf("no part is called %q", name)
		}
	}
}

// TestEveryClassOfADeadLetterIsSaid: those of the collector, of the preprocessor and of who normalizes.
func TestEveryClassOfADeadLetterIsSaid(t *testing.T) {
	class := regexp.MustCompile(`(?m)^\s*(?:const )?(?:[A-Z]\w* +Class = |gapTooLarge *= |gapUnreadable *= |class[A-Z]\w* *= )"(\w+)"`)
	n := 0
	for _, pattern := range []string{"pkg/normalize/error.go", "collector/internal/supervise/prepare.go", "preprocessor/internal/*/*.go"} {
		files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range class.FindAllStringSubmatch(string(text), -1) {
				n++
				if of := OfLetter(m[1]); of.Code == LetterOther {
					t.Errorf("%s: nobody says the class %s", name, m[1])
				}
			}
		}
	}
	if n < 7 {
		t.Errorf("only %d classes were found", n)
	}
	if got := OfLetter("of tomorrow").In("vi"); got != "of tomorrow" {
		t.Errorf("a class that isn't known is said as %q", got)
	}
}

var update = flag.Bool("update", false, "write the golden files anew")

// TestTextsReadAsTheGoldenFilesSay: each code with its values, in each language.
func TestTextsReadAsTheGoldenFilesSay(t *testing.T) {
	for language := range catalogues {
		var b strings.Builder
		for _, code := range Codes() {
			values := make([]any, 0, len(code.Names()))
			for _, name := range code.Names() {
				values = append(values, "‹"+name+"›")
			}
			b.WriteString(string(code) + "\n    " + code.With(values...).In(language) + "\n")
		}
		testrig.Golden(t, "testdata/texts."+language+".golden", b.String(), *update)
	}
}

// codes are the constants of the package, by their names.
func codes(t *testing.T) map[string]Code {
	t.Helper()
	all := map[string]Code{}
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all[spec.Names[0].Name] = Code(value)
		}
		return true
	})
	return all
}

// eachFile gives the product's Go files, but for tests.
func eachFile(t *testing.T, do func(path string, file *ast.File)) {
	t.Helper()
	n := 0
	for _, module := range []string{"collector", "preprocessor", "validator", "pkg", "deploy"} {
		err := filepath.WalkDir(filepath.Join("..", "..", module), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err == nil {
				n++
				do(path, file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 100 {
		t.Fatalf("only %d files", n)
	}
}
