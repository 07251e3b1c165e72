package accept

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/validator/internal/schemas"
)

// compileText compiles a schema as package schemas does.
func compileText(schema []byte) (s *jsonschema.Schema, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	c := jsonschema.NewCompiler()
	c.AssertFormat = true
	c.LoadURL = func(string) (io.ReadCloser, error) { return nil, errors.New("nothing is loaded") }
	for _, name := range someFormats {
		if check := schemas.Format(name); check != nil {
			c.Formats[name] = check
		}
	}
	if err := c.AddResource("schemas:///s.json", bytes.NewReader(schema)); err != nil {
		return nil, err
	}
	return c.Compile("schemas:///s.json")
}

// judged is what the library says of a text: nil is valid.
func judged(s *jsonschema.Schema, value []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than a value")
	}
	return s.Validate(v)
}

// worn has read everything before, whatever its schema: nothing that it remembers may change an answer.
var worn = NewReader()

// answerOf is what the acceptor says of a text.
func answerOf(t *testing.T, p *Program, value []byte) answer {
	t.Helper()
	got := answerBy(NewReader(), p, value)
	if again := answerBy(worn, p, value); again != got {
		t.Fatalf("a reader that has read before says %d (no, unknown, yes), a new one %d of\n%s", again, got, value)
	}
	return got
}

func answerBy(r *Reader, p *Program, value []byte) answer {
	if p.hopeless || !r.tape.read(value) {
		return unknown
	}
	r.walk = walk{tape: &r.tape, steps: budget}
	return r.walk.check(p.root, 0)
}

// compare fails where the acceptor is certain of what the library denies, and tells what both said.
func compare(t *testing.T, schema []byte, s *jsonschema.Schema, p *Program, value []byte) (answer, bool) {
	t.Helper()
	got, err := answerOf(t, p, value), judged(s, value)
	if got == yes && err != nil || got == no && err == nil {
		t.Fatalf("the acceptor says %d (no, unknown, yes), the library %v\nschema %s\nvalue  %s", got, err, schema, value)
	}
	return got, err == nil
}

// FuzzAcceptorAgreesWithTheLibrary makes a schema and values of it.
func FuzzAcceptorAgreesWithTheLibrary(f *testing.F) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		f.Add(choices(random))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 1<<13 {
			agree(t, data)
		}
	})
}

func choices(random *rand.Rand) []byte {
	b := make([]byte, 200+random.IntN(400))
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

type tally struct{ pairs, valid, accepted, invalid, rejected, planned int }

// agree compares as many values of one schema as the choices make.
func agree(t *testing.T, data []byte) (sum tally) {
	c := &chooser{data}
	made := c.schema()
	schema, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	s, err := compileText(schema)
	if err != nil {
		return sum
	}
	p := Compile(&schemas.File{Schema: s})
	for range 40 {
		value := c.value(made, made, 4)
		got, valid := compare(t, schema, s, p, []byte(value))
		sum.pairs++
		if planAgrees(t, NewReader(), p, []byte(value)) {
			sum.planned++
		}
		switch {
		case valid:
			if sum.valid++; got == yes {
				sum.accepted++
			}
		default:
			if sum.invalid++; got == no {
				sum.rejected++
			}
		}
		if c.done() {
			break
		}
	}
	return sum
}

// TestAcceptorAgreesWithTheLibraryOnGeneratedSchemas compares many, and holds that the comparison isn't idle: of what the
// library finds valid, and of what it finds invalid, the acceptor is certain of most.
func TestAcceptorAgreesWithTheLibraryOnGeneratedSchemas(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var all tally
	for range 2500 {
		one := agree(t, choices(random))
		all.pairs += one.pairs
		all.valid += one.valid
		all.accepted += one.accepted
		all.invalid += one.invalid
		all.rejected += one.rejected
		all.planned += one.planned
	}
	t.Logf("%+v", all)
	if all.accepted*10 < all.valid*7 || all.rejected*10 < all.invalid*7 || all.valid < 10_000 || all.invalid < 5000 || all.planned < 10_000 {
		t.Errorf("%+v: too little is certain for the comparison to mean anything", all)
	}
}

// FuzzWhateverTextIsJudgedAlike fuzzes the texts of schema and value themselves.
func FuzzWhateverTextIsJudgedAlike(f *testing.F) {
	for _, c := range keywordCases {
		for _, v := range c.values {
			f.Add([]byte(c.schema), []byte(v.value))
		}
	}
	f.Fuzz(func(t *testing.T, schema, value []byte) {
		if bytes.ContainsAny(schema, "eE") && bytes.Contains(schema, []byte("00000")) {
			return // numbers that the folder's reader refuses: the library would take minutes
		}
		s, err := compileText(schema)
		if err != nil || !json.Valid(value) && answerOf(t, Compile(&schemas.File{Schema: s}), value) == unknown {
			return
		}
		if len(value) > 1<<12 || hostile.Match(value) {
			return
		}
		compare(t, schema, s, Compile(&schemas.File{Schema: s}), value)
	})
}

// TestAcceptorAgreesWithTheLibraryOnRealSchemas takes every schema file in the repository, and makes values of it.
func TestAcceptorAgreesWithTheLibraryOnRealSchemas(t *testing.T) {
	var files []string
	for _, root := range []string{"../../../deploy/schemas", "../../testdata", "../../internal"} {
		err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
			if strings.HasSuffix(path, ".json") && !strings.Contains(path, "_tests") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(3, 4))
	compared := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var made any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if d.Decode(&made) != nil {
			continue
		}
		s, err := compileText(text)
		if _, isObject := made.(dict); err != nil || !isObject {
			continue // of several files, or not a schema
		}
		p := Compile(&schemas.File{Schema: s})
		for range 200 {
			c := &chooser{choices(random)}
			value := []byte(c.value(made, made, 5))
			compare(t, text, s, p, value)
			planAgrees(t, NewReader(), p, value)
			compared++
		}
	}
	if compared < 1000 {
		t.Errorf("only %d values were compared", compared)
	}
}
