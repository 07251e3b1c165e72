package normalize

import (
	"strconv"
	"strings"
	"testing"
)

func TestMemoryIsBoundedByNumberAndBytes(t *testing.T) {
	m := newMemo[string](10)
	for i := range 1000 {
		if got, err := m.read([]byte(strconv.Quote(strconv.Itoa(i)))); err != nil || got != strconv.Itoa(i) {
			t.Fatalf("%q, %v", got, err)
		}
		if len(m.byText) > 10 {
			t.Fatalf("%d texts are remembered", len(m.byText))
		}
	}
	for i := range 5 {
		if _, err := m.read([]byte(strconv.Quote(strings.Repeat(strconv.Itoa(i), maxMemo/3)))); err != nil {
			t.Fatal(err)
		}
		size := 0
		for text := range m.byText {
			size += len(text)
		}
		if size != m.size || size > maxMemo {
			t.Fatalf("%d bytes are remembered, %d are accounted for", size, m.size)
		}
	}
}
