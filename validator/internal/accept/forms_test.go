package accept_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"datawatch/validator/internal/accept"
	"datawatch/validator/internal/accept/ordersample"
)

// scalarsOf are where a text's values are that are no lists or objects, from and to.
func scalarsOf(t *testing.T, text []byte) (all [][2]int) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var inObject []bool
	name := false // whether the next is a name
	for {
		token, err := d.Token()
		if err != nil {
			return all
		}
		end := int(d.InputOffset())
		delimiter, isDelimiter := token.(json.Delim)
		if isDelimiter {
			switch delimiter {
			case '{', '[':
				inObject = append(inObject, delimiter == '{')
			default:
				inObject = inObject[:len(inObject)-1]
			}
			name = len(inObject) > 0 && inObject[len(inObject)-1]
			continue
		}
		within := len(inObject) > 0 && inObject[len(inObject)-1]
		if within && name {
			name = false
			continue
		}
		name = within
		start := end - 1
		if text[start] == '"' {
			for start--; text[start] != '"' || text[start-1] == '\\'; start-- {
			}
		} else {
			for ; start > 0 && !bytes.ContainsRune([]byte(":,[ "), rune(text[start-1])); start-- {
			}
		}
		all = append(all, [2]int{start, end})
	}
}

// others are what a scalar may be instead, and what none may be.
var others = []string{
	"null", "true", "false", "0", "-0.5", "10", "10.00", "172.42", "1e3", "12345678901234567890.123456789", `""`, `"x"`, `"paid"`, `"new"`, `"é"`, `"\u0061\n"`,
	`"2026-11-22T23:59:01Z"`, `"insert"`, `"delete"`, `"a text of more than eight bytes"`, "{}", "[]", "01", "nul", `"`, `"\x"`, "1 ", `1,"more":2`, "1.", "-", "",
}

// sibling is a record with other scalars.
func sibling(t *testing.T, random *rand.Rand, value []byte) []byte {
	t.Helper()
	scalars := scalarsOf(t, value)
	made := slices.Clone(value)
	for range 1 + random.IntN(3) {
		at := random.IntN(len(scalars))
		other := others[random.IntN(len(others))]
		if random.IntN(3) == 0 { // one of its own
			from := scalars[random.IntN(len(scalars))]
			other = string(value[from[0]:from[1]])
		}
		made = slices.Concat(value[:scalars[at][0]], []byte(other), value[scalars[at][1]:])
		if value = made; !json.Valid(made) {
			break
		}
		scalars = scalarsOf(t, made)
	}
	return made
}

// sawAlike has a reader that knows forms and a new one read a record, and fails where they don't say the same of it.
func sawAlike(t *testing.T, knows *accept.Reader, p *accept.Program, value []byte) (byForm, planned, accepted bool) {
	t.Helper()
	fresh := accept.NewReader()
	want, wantOK := fresh.Read(value)
	got, gotOK := knows.Read(value)
	byForm, _ = knows.ByForm(p)
	if gotOK != wantOK {
		t.Fatalf("read: %v, by a new reader %v (by a form: %v)\n%s", gotOK, wantOK, byForm, value)
	}
	if !wantOK {
		return byForm, false, false
	}
	if *got != *want {
		t.Fatalf("read %+v, by a new reader %+v, of\n%s", *got, *want, value)
	}
	accepted = fresh.Accepts(t.Context(), p)
	if knows.Accepts(t.Context(), p) != accepted {
		t.Fatalf("accepted by a new reader: %v, and otherwise by a form (%v), of\n%s", accepted, byForm, value)
	}
	_, planned = knows.ByForm(p)
	return byForm, planned, accepted
}

// TestByAFormARecordIsReadAsWithoutIt reads events and then others that differ in scalars, or hardly at all.
func TestByAFormARecordIsReadAsWithoutIt(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 22))
	var byForm, planned, accepted, refused int
	for _, schema := range ruleSchemas {
		p := accept.Compile(loadFile(t, schema))
		for range 180 {
			reader := accept.NewReader()
			value := changeOf(random)
			sawAlike(t, reader, p, value)
			for range 4 {
				read, plan, took := sawAlike(t, reader, p, sibling(t, random, value))
				for count, is := range map[*int]bool{&byForm: read, &planned: plan, &accepted: read && took, &refused: plan && !took} {
					if is {
						*count++
					}
				}
			}
		}
	}
	t.Logf("%d read by a form, %d with a plan, %d accepted and %d not", byForm, planned, accepted, refused)
	if byForm < 1200 || planned < 400 || accepted < 250 || refused < 150 {
		t.Errorf("%d were read by a form, %d had a plan, %d of the former were accepted and %d of the latter not: too few to compare", byForm, planned, accepted, refused)
	}
}

// FuzzRecordByAForm reads whatever text behind an event whose form is known.
func FuzzRecordByAForm(f *testing.F) {
	random := rand.New(rand.NewPCG(23, 24))
	for range 100 {
		value := changeOf(random)
		f.Add(value, slices.Clone(value))
	}
	var programs []*accept.Program
	for _, schema := range ruleSchemas {
		programs = append(programs, accept.Compile(loadFile(f, schema)))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		for _, p := range programs {
			reader := accept.NewReader()
			sawAlike(t, reader, p, first)
			sawAlike(t, reader, p, second)
			sawAlike(t, reader, p, first)
		}
	})
}

// TestStreamsInTurnKeepTheirForms reads events of many streams and forms, one of each after the other: nearly all are of a
// form that is known. Records that have none cost no more than a look now and then.
func TestStreamsInTurnKeepTheirForms(t *testing.T) {
	p := accept.Compile(loadFile(t, ordersample.Schema))
	reader := accept.NewReader()
	known := func(n int, record func(i int) []byte) (count int) {
		for i := range n {
			if _, ok := reader.Read(record(i)); !ok {
				t.Fatalf("not read: %s", record(i))
			}
			if byForm, _ := reader.ByForm(p); byForm {
				count++
			}
		}
		return count
	}
	streams := [][]byte{[]byte("public.orders"), []byte("public.o"), []byte("public.a_longer_name"), []byte("x")}
	got := known(4000, func(i int) []byte {
		value := bytes.ReplaceAll(record(i, ordersample.RightTotal), streams[0], streams[i%4])
		if i/4%2 == 0 {
			value = bytes.Replace(value, []byte(`{"sku":"SKU-1001","price":49.99,"quantity":1},`), nil, 1)
		}
		return value
	})
	if got < 3980 {
		t.Errorf("only %d of 4000 events of eight forms were of a known one", got)
	}
	if got := known(4000, func(i int) []byte {
		return bytes.Replace(record(i, ordersample.RightTotal), []byte(`"sku"`), []byte(`"sku`+string(rune('a'+i%26))+string(rune('a'+i/26%26))+`"`), 1)
	}); got > 100 {
		t.Errorf("%d of 4000 events that all differ were of a known form", got)
	}
	if got := known(4000, func(i int) []byte { return record(i, ordersample.RightTotal) }); got < 1900 {
		t.Errorf("of 4000 alike behind them only %d", got)
	}
}
