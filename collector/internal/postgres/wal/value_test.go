package wal

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pglogrepl"
)

func TestSourcesHaveNamesThatSlotsTake(t *testing.T) {
	seen := map[string]string{}
	for _, source := range []string{"shop-db", "shop-d", "shop-db-inserts", "0", strings.Repeat("a", 80), strings.Repeat("a", 81), strings.Repeat("a", 79) + "-b"} {
		n := namesOf(source)
		for _, name := range []string{n.slot, n.all, n.inserts} {
			if len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
				t.Errorf("%q has the name %q", source, name)
			}
		}
		for _, name := range []string{"slot " + n.slot, n.all, n.inserts} {
			if other, taken := seen[name]; taken {
				t.Errorf("%q and %q share %q", source, other, name)
			}
			seen[name] = source
		}
	}
	if n := namesOf("shop-db"); n.slot != "datawatch_shop_db" {
		t.Errorf("slot %q", n.slot)
	}
}

func TestTransactionIdsBecomeWide(t *testing.T) {
	for _, c := range []struct {
		known uint64
		xid   uint32
		want  uint64
	}{
		{1000, 999, 999}, {1000, 1200, 1200}, {5<<32 + 10, 4294967290, 21474836474}, {5<<32 + 4294967290, 5, 25769803781},
		{5<<32 + 100, 90, 21474836570}, {10, 4294967290, 4294967290},
	} {
		var n nearXID
		n.known.Store(c.known)
		if got := n.widen(c.xid); got != c.want {
			t.Errorf("%d near %d is %d, not %d", c.xid, c.known, got, c.want)
		}
	}
}

// fuzzCodec is of a type with everything in it.
func fuzzCodec() *codec {
	pair := &codec{form: asComposite, delimiter: ',', fields: []codecField{{[]byte(`"a":`), &codec{form: asNumber}}, {[]byte(`"b":`), &codec{}}}}
	pair.fields = append(pair.fields, codecField{[]byte(`"at":`), &codec{form: asTimestamptz}}, codecField{[]byte(`"list":`), &codec{form: asArray, element: pair}})
	return &codec{form: asArray, element: pair}
}

// FuzzLiteral: the text of an array or a composite becomes JSON, or is refused.
func FuzzLiteral(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"(1,x,,)"}`, `{"(1,\"a b\",\"2026-11-22 00:00:00+00\",\"{}\")",NULL}`, `[2:3]={"(,,,)","(,,,)"}`, `{{"(,,,)"},{"(,,,)"}}`, `{"(1,2"}`, `{`, ``, `1 2`, `{"`,
	} {
		f.Add(seed)
	}
	c := fuzzCodec()
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		got, err := c.append(nil, []byte(text))
		if err != nil {
			if !errors.Is(err, errLiteral) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if !json.Valid(got) && !strings.ContainsAny(text, "0123456789") { // numbers are the server's
			t.Errorf("%q became %s", text, got)
		}
	})
}

// insertOfNothing is of a row of a table without columns: the shortest insert there is.
var insertOfNothing = []byte("I\x00\x00\x00\x01N\x00\x00")

// FuzzRowMessage: what is read is what pglogrepl reads, and nothing else is taken.
func FuzzRowMessage(f *testing.F) {
	f.Add([]byte("I\x00\x00\x00\x01N\x00\x02t\x00\x00\x00\x01an"))
	f.Add(insertOfNothing)
	f.Add([]byte("U\x00\x00\x00\x01K\x00\x01t\x00\x00\x00\x01aN\x00\x01u"))
	f.Add([]byte("U\x00\x00\x00\x01N\x00\x00"))
	f.Add([]byte("D\x00\x00\x00\x01O\x00\x01n"))
	f.Add([]byte("D\x00\x00\x00\x01N\x00\x01n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m rowMessage
		if len(b) == 0 || !strings.ContainsRune("IUD", rune(b[0])) || m.read(b) != nil {
			return
		}
		if b[0] == 'I' && len(b) == len(insertOfNothing) { // which pglogrepl takes for cut off
			same(t, m.old, nil)
			same(t, m.new, nil)
			return
		}
		parsed, err := pglogrepl.Parse(b)
		if err != nil {
			t.Fatalf("%q is read, and pglogrepl says %v", b, err)
		}
		var old, fresh *pglogrepl.TupleData
		switch p := parsed.(type) {
		case *pglogrepl.InsertMessage:
			fresh = p.Tuple
		case *pglogrepl.UpdateMessage:
			old, fresh = p.OldTuple, p.NewTuple
		case *pglogrepl.DeleteMessage:
			old = p.OldTuple
		}
		same(t, m.old, old)
		same(t, m.new, fresh)
	})
}

func same(t *testing.T, got []value, want *pglogrepl.TupleData) {
	t.Helper()
	if want == nil {
		want = &pglogrepl.TupleData{}
	}
	if len(got) != len(want.Columns) {
		t.Fatalf("%d columns, not %d", len(got), len(want.Columns))
	}
	for i, c := range want.Columns {
		if got[i].kind != c.DataType || string(got[i].data) != string(c.Data) {
			t.Fatalf("column %d is %c %q, not %c %q", i, got[i].kind, got[i].data, c.DataType, c.Data)
		}
	}
}
