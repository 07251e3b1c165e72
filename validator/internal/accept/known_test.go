package accept

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// nearNames differ from each other in one byte, in length, or in what their bytes are.
func nearNames() []string {
	var names []string
	for _, length := range []int{0, 1, 5, 6, 7, 13, 14, 15, 20, 21, 22, 23, 24, 40} {
		name := strings.Repeat("n", length)
		names = append(names, name)
		if length > 0 {
			names = append(names, name[1:]+"m", "m"+name[1:], name[1:]+"é")
		}
	}
	return names
}

// textOf is an object with some of the names, some of them in objects and lists, and values that read as names do.
func textOf(random *rand.Rand, names []string, depth int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, at := range random.Perm(len(names))[:random.IntN(min(6, len(names)))] {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:", names[at])
		switch kind := random.IntN(6); {
		case kind == 0 && depth > 0:
			b.WriteString(textOf(random, names, depth-1))
		case kind == 1 && depth > 0:
			b.WriteString("[" + textOf(random, names, depth-1) + "]")
		case kind == 2:
			fmt.Fprint(&b, random.IntN(100))
		case kind == 3:
			b.WriteString("true")
		default:
			fmt.Fprintf(&b, "%q", names[random.IntN(len(names))])
		}
	}
	b.WriteByte('}')
	return b.String()
}

// TestWhatWasReadBeforeChangesNothing compares the tape of a reader that has read others with that of a new one.
func TestWhatWasReadBeforeChangesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 14))
	names := nearNames()
	var before tape
	again := 0
	var few []string
	for i := range 20_000 {
		if i%16 == 0 {
			from := random.IntN(len(names) - 3)
			few = names[from : from+4]
		}
		text := textOf(random, few, 2)
		if random.IntN(8) == 0 { // cut short
			text = text[:random.IntN(len(text))]
		}
		known := before.known
		var fresh tape
		got, want := before.read([]byte(text)), fresh.read([]byte(text))
		if got != want || want && !slices.Equal(before.tokens, fresh.tokens) {
			t.Fatalf("read %v\n%+v, a new reader %v\n%+v, of\n%s", got, before.tokens, want, fresh.tokens, text)
		}
		for i := range min(len(fresh.tokens), knownNames) {
			if k := &known[i]; fresh.known[i].length > 0 && *k == fresh.known[i] {
				again++
			}
		}
	}
	if again < 2000 {
		t.Errorf("only %d names stood where they stood before", again)
	}
}

// TestNamesAreFoundInTheirOwnObject looks names up by what was found before, in other texts, and by going through the object.
func TestNamesAreFoundInTheirOwnObject(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 16))
	names := []string{"a", "b", "id", "total", "customer_id"}
	before := values{tape: &tape{}}
	there := 0
	for range 20_000 {
		text := textOf(random, names, 2)
		if !before.read([]byte(text)) {
			t.Fatalf("not read: %s", text)
		}
		for i := range before.tokens {
			if before.tokens[i].kind != object {
				continue
			}
			for _, name := range names {
				looking, fresh := container{of: &before, token: int32(i)}, container{of: &values{tape: before.tape}, token: int32(i)}
				got, want := (*tapeObject)(&looking).find(name), (*tapeObject)(&fresh).find(name)
				if got != want {
					t.Fatalf("%q of the object at token %d is at %d, looked for anew at %d, in\n%s", name, i, got, want, text)
				}
				if want >= 0 {
					there++
				}
			}
		}
	}
	if there < 10_000 {
		t.Errorf("only %d names were there", there)
	}
}

// TestNumbersAreReadOnce compares what the tape says of numbers with what their texts are.
func TestNumbersAreReadOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(17, 18))
	digit := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte(byte('0' + random.IntN(10)))
		}
		return b.String()
	}
	var read tape
	both := [2]int{}
	for range 50_000 {
		text := strings.TrimLeft(digit(random.IntN(20)), "0")
		if text == "" {
			text = "0"
		}
		if random.IntN(3) > 0 {
			text += "." + digit(1+random.IntN(19))
		}
		if random.IntN(8) == 0 {
			text += "e" + digit(1)
		}
		if random.IntN(2) == 0 {
			text = "-" + text
		}
		if !read.read([]byte(text)) {
			t.Fatalf("not read: %s", text)
		}
		figure := read.figure(0)
		value, fits := short(text)
		if figure.text != text || figure.fits != fits || fits && figure.short != value {
			t.Fatalf("%s is %+v, and by its text %+v, %v", text, figure, value, fits)
		}
		if fits {
			both[1]++
		} else {
			both[0]++
		}
	}
	if min(both[0], both[1]) < 1000 {
		t.Errorf("of numbers that don't fit and that do, only %v", both)
	}
}
