package reason

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// compilers are where phrases are made: every text in these files that people could read is one, but for those that are
// named as none.
var compilers = []string{
	"pkg/cel/*.go", "validator/internal/schemas/*.go", "validator/internal/lint/*.go", "validator/internal/verdict/*.go", "pkg/config/*.go",
	"collector/config.go", "collector/internal/*/config.go", "preprocessor/config.go", "pkg/event/stream.go",
	"pkg/normalize/*.go", "pkg/broker/unfold/*.go", "preprocessor/internal/transform/*.go", "preprocessor/internal/pipeline/p*.go",
}

// noPhrases are texts of these files that no message shows: layouts, names of library errors, the log, the command line.
var noPhrases = regexp.MustCompile(strings.Join([]string{
	`^[A-Z]{3}( [A-Z]{3})+$`, `^2006-01-02`, `^\^`, `^ ?.? .?$`, `^ ?and $|^not $|^or $|^not in$|^ or $`, `^\[ \\t\]$`, `^ \\t`, `^ \t`,
	`^Syntax error: $|^(code point size|double literal|int literal)$`, `^jsonschema: $|^yaml: $|^line %s:$| not found$`,
	`^(warning: |%s: |: |%s %s|%s: %s|%s \(%s\)|%s = %s| \(%s\)|  |::%s %s::%s|, | \| |\{ … \}|\[?\{"id", "rule", "message"\}\]?|%s:%s: %s: %s)$`, `^an? %s$`,
	`^variable %s: |^make the parser`, // faults of the program, found by its tests
	`^(%s: )?(%s at byte|it ends|the number at byte)|^(after|inside|where) |^invalid JSON$`, // JSON that isn't: part of what the validator says of the record
	`^schema (file|in force|removed)|^schemas can't be read`,                                // the log
	`^datawatch validator lint$|^the path is the stream: `,                                  // the command line, the log
	`^(< |> |<= |>= )%s$`, `^a (\$ref that|glob that|pattern that|rule that) |^an enum that accepts|^bounds between|^required asks|^the service can't load|^the text isn't`, // what the checks are for, in --help and SARIF
	`^(can't (be true|fail)|compares %s with|names old, and|reads self, which)|^ beside "pattern"|^rule %s %s$`, // parts of phrases, which are there whole
	`^(syntax = "proto3"| 15:04:05| BC|T |%s %s %s$|a record made the pre|dead letter$)|not in the schema$`,     // layouts, the log
	`(CERT|cert)_file`, `is not a stream of|is not an entity`,
}, "|"))

// TestEveryPhraseOfACompilerIsSaidInVietnamese: a new one without words fails here.
func TestEveryPhraseOfACompilerIsSaidInVietnamese(t *testing.T) {
	known := map[string]bool{}
	for _, phrases := range []map[string]string{kindPhrases, rulePhrases, schemaPhrases, lintPhrases, verdictPhrases, configurationPhrases, letterPhrases} {
		for english, said := range phrases {
			known[english] = true
			if strings.Count(english, "%s") != strings.Count(said, "%s") {
				t.Errorf("%q has other values than %q", said, english)
			}
		}
	}
	made := map[string]bool{}
	for _, pattern := range compilers {
		files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pattern)))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range texts(file) {
				made[text] = true
				if !known[text] && !noPhrases.MatchString(text) {
					t.Errorf("%s: nobody says %q in Vietnamese", filepath.Base(name), text)
				}
			}
		}
	}
	if len(made) < 250 {
		t.Errorf("only %d texts were found", len(made))
	}
	for _, phrase := range slices.Sorted(maps.Keys(known)) {
		if !made[phrase] && strings.Count(phrase, " ") > 2 && !strings.HasPrefix(phrase, "rule %s ") && !strings.Contains(phrase, " beside ") {
			t.Errorf("no compiler says %q any more", phrase)
		}
	}
}

var verbs = regexp.MustCompile(`%[-+#0-9.]*[a-zA-Z]`)

// texts are the forms of the texts in a file that hold a space, the outermost of what is put together.
func texts(file *ast.File) []string {
	var all []string
	ast.Inspect(file, func(n ast.Node) bool {
		e, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		if text := verbs.ReplaceAllString(formOf(e), "%s"); strings.Contains(strings.ReplaceAll(text, "%s", ""), " ") {
			all = append(all, text)
			return false
		}
		return true
	})
	return all
}

// formOf is the text that an expression makes, with %s for what isn't known.
func formOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return formOf(e.X) + formOf(e.Y)
		}
	case *ast.CallExpr:
		if f, ok := e.Fun.(*ast.SelectorExpr); ok && (f.Sel.Name == "Sprintf" || f.Sel.Name == "Errorf") && len(e.Args) > 0 {
			return formOf(e.Args[0])
		}
	}
	return "%s"
}

// TestPhrasesReadAsAVietnameseWouldWriteThem: with their values, which are phrases themselves, and their hints.
func TestPhrasesReadAsAVietnameseWouldWriteThem(t *testing.T) {
	for english, want := range map[string]string{
		"1:14: error: the expression ends too early":                                  "1:14: lỗi: biểu thức kết thúc quá sớm",
		"1:1: error: unknown name nope (there are: self, old, root)":                  "1:1: lỗi: không có tên nope (có: self, old, root)",
		"self.total is null (write self.total.orValue(0) for what it then counts as)": "self.total is null (write self.total.orValue(0) for what it then counts as)",
		"self.total is null (write self.total.orValue(…) for what it then counts as)": "self.total là null (hãy viết self.total.orValue(…) với giá trị được tính thay)",
		"+ has no meaning between a number and a string or null":                      "không dùng được + giữa số và chuỗi hoặc null",
		"matches() takes a string here, not a number":                                 "matches() ở đây nhận chuỗi, không nhận số",
		"the left side of && is a number, not a bool":                                 "vế trái của && là số, không phải bool",
		"has to be an integer or null":                                                "phải là số nguyên hoặc null",
		`"currency" is missing`:                                                       `thiếu "currency"`,
		"a multiple of 0.01":                                                          "bội số của 0.01",
		"new | paid | 3 more":                                                         "new | paid | còn 3", "more, or less, than 3 more": "more, or less, than 3 more",
		"row: column total (numeric): not a time":                          "dòng: cột total (numeric): không phải thời gian",
		"the user's own words":                                             "the user's own words",
		`at 1:3 of the rule: unknown function foo() (did you mean floor?)`: "tại 1:3 của quy tắc: không có hàm foo() (ý bạn là floor?)",
	} {
		if got := Phrase(english).In("vi"); got != want {
			t.Errorf("%q is said as %q, want %q", english, got, want)
		}
		if got := Phrase(english).In("en"); got != english {
			t.Errorf("%q is said as %q", english, got)
		}
	}
}
