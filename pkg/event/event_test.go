package event

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/reason"
)

func TestEntitiesAreEncodedAsTheContractSays(t *testing.T) {
	for got, want := range map[string]string{
		TableEntity("public", "orders"):         "public.orders",
		TableEntity("pub.lic", `Weird "Table"`): "pub%2Elic.Weird%20%22Table%22",
		TableEntity("công", "ty"):               "c%C3%B4ng.ty",
		TableEntity("a%b", "c_d-e"):             "a%25b.c_d-e",
		CollectionEntity("shop", "fs.files"):    "shop.fs.files",
		CollectionEntity("my.db", "a b"):        "my%2Edb.a%20b",
		TopicEntity("payments.captured_v-2"):    "payments.captured_v-2",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestStreamSplitsAtItsFirstSlash(t *testing.T) {
	s := StreamOf("shop-db", "public.orders")
	if s != "shop-db/public.orders" || s.Source() != "shop-db" || s.Entity() != "public.orders" {
		t.Errorf("got %q, %q, %q", s, s.Source(), s.Entity())
	}
}

func TestStreamIsReadableByPeople(t *testing.T) {
	for stream, want := range map[Stream]string{
		StreamOf("db", TableEntity("Sch.ema", `Weird "Tablé"`)): `Sch.ema.Weird "Tablé"`, "db/public.orders": "public.orders", "db/50%": "50%",
	} {
		if got := stream.Readable(); got != want {
			t.Errorf("%s reads %s, want %s", stream, got, want)
		}
	}
}

func TestSourceNames(t *testing.T) {
	for name, valid := range map[string]bool{"shop-db": true, "2nd": true, "": false, "-x": false, "Shop": false, "a/b": false, "a.b": false} {
		if err := CheckSourceName(name); (err == nil) != valid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestPositionsSortInTheOrderOfTheirSources(t *testing.T) {
	older := NewEpoch(time.Date(2026, 11, 22, 10, 15, 0, 5e8, time.UTC), "")
	newer := NewEpoch(time.Date(2026, 11, 22, 10, 15, 0, 9e8, time.UTC), older)
	if older != "20261122T101500Z" || newer != "20261122T101501Z" {
		t.Fatalf("epochs are %s and %s", older, newer)
	}
	for _, ordered := range [][]string{
		{TickPosition(older, 9, 99999), TickPosition(older, 10, 1), TickPosition(older, 10, 1000000), TickPosition(newer, 1, 1)},
		{WALPosition(older, 0x9FFFFFFFF, 2), WALPosition(older, 0xA00000000, 1), WALPosition(newer, 1, 1)},
		{ClusterTimePosition(older, 1700000000, 9, 1), ClusterTimePosition(older, 1700000000, 10, 1), ClusterTimePosition(older, 1700000001, 1, 1)},
		{OffsetPosition(older, 999), OffsetPosition(older, 1000), OffsetPosition(older, 1<<62), OffsetPosition(newer, 0)},
	} {
		if !slices.IsSorted(ordered) {
			t.Errorf("not sorted: %q", ordered)
		}
	}
}

func TestRecordOriginIsReadBackFromItsID(t *testing.T) {
	id := RecordID("shop-kafka", "payments.captured", 3, OffsetPosition("20261122T101500Z", 88172))
	for _, id := range []string{id, id + "#2"} {
		topic, partition, offset, err := RecordOrigin(id)
		if err != nil || topic != "payments.captured" || partition != 3 || offset != 88172 {
			t.Errorf("%s: %s %d %d %v", id, topic, partition, offset, err)
		}
	}
	for _, id := range []string{"", "shop-db/x", "a/b/c/d", "a/b/1/20261122T101500Z.x"} {
		if _, _, _, err := RecordOrigin(id); err == nil {
			t.Errorf("%q was taken for a Kafka record's id", id)
		}
	}
}

func TestCanonicalSortsMembersAndKeepsDigits(t *testing.T) {
	for in, want := range map[string]string{
		` { "b" : 1.50, "a" : "x<&>" } `:               `{"a":"x<&>","b":1.50}`,
		`{"id":12345678901234567890.123456789}`:        `{"id":12345678901234567890.123456789}`,
		`[{"z":null,"y":[true,"é"]}]`:                  `[{"y":[true,"é"],"z":null}]`,
		`1e400`:                                        `1e400`,
		`{"outer":{"b":"\u0041","a":"line\nfeed\/x"}}`: `{"outer":{"a":"line\nfeed/x","b":"A"}}`,
	} {
		got, err := Canonical([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, want %s (%v)", in, got, want, err)
		}
	}
	for _, in := range []string{``, `{`, `{"a":1} x`, `01`} {
		if got, err := Canonical([]byte(in)); err == nil {
			t.Errorf("%q came out as %s", in, got)
		}
	}
}

func TestRecordKeys(t *testing.T) {
	const orders = Stream("shop-db/public.orders")
	for got, want := range map[string]string{
		string(RecordKey(orders, []byte(`{"id":1042}`))):   "shop-db/public.orders\n{\"id\":1042}",
		string(RecordKey(orders, nil)):                     "shop-db/public.orders",
		string(RecordKey(orders, []byte("null"))):          "shop-db/public.orders",
		string(KeylessRecordKey("k/t", 12)):                "k/t\n#12",
		string(SourceRecordKey("k/t", []byte{0, 1, '\n'})): "k/t\n\x00\x01\n",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestRawRecordIsReadBackWhole(t *testing.T) {
	raw := &Raw{
		Type: RawType, Kind: Kafka, ID: "shop-kafka/t/0/20261122T101500Z.0000000000000000001", Stream: "shop-kafka/t",
		Time: time.Date(2026, 11, 22, 23, 59, 1, 123000000, time.UTC), RecordKey: []byte("shop-kafka/t\nk"), Key: []byte("k"), Value: []byte("v"),
		Headers:       []Header{{"a", []byte("1")}, {"a", nil}, {"ce_id", []byte("the application's own")}, {"", []byte{}}},
		TimestampType: "append", CapturedAt: time.Date(2026, 11, 23, 0, 0, 0, 5, time.UTC),
	}
	got, err := ParseRaw(raw.RecordKey, raw.Value, raw.RecordHeaders())
	if err != nil || !reflect.DeepEqual(got, raw) {
		t.Errorf("got  %+v\nwant %+v (%v)", got, raw, err)
	}
}

func TestRawRecordKeepsNullAndEmptyKeysApart(t *testing.T) {
	for _, key := range [][]byte{nil, {}} {
		raw := &Raw{Type: RawType, Kind: Kafka, ID: "s/t/0/e.1", Stream: "s/t", Key: key}
		got, err := ParseRaw(nil, nil, raw.RecordHeaders())
		if err != nil || (got.Key == nil) != (key == nil) {
			t.Errorf("key %#v came back as %#v (%v)", key, got.Key, err)
		}
	}
}

func TestRecordThatIsNotRawIsRefused(t *testing.T) {
	if _, err := ParseRaw([]byte("k"), []byte("v"), []Header{{"x", []byte("y")}}); err == nil {
		t.Error("a record without CloudEvents' attributes was taken")
	}
}

// The example of the contract, in its order of members.
func TestCleanEventIsWrittenAsTheContractShowsIt(t *testing.T) {
	c := &Clean{
		ID: "shop-db/20261122T101500Z.000000000412.000000003", Stream: "shop-db/public.orders", Type: ChangeType, Time: "2026-11-22T23:59:01.123456Z",
		Change: &Change{
			Op: Update, Key: json.RawMessage(`{"id":1042}`), Before: json.RawMessage(`{"id":1042,"status":"new"}`), After: json.RawMessage(`{"id":1042,"status":"paid"}`),
			Changed: []string{"status"}, Incomplete: &Incomplete{Fields: []string{"body"}},
			Origin: Origin{
				Kind: Postgres, Database: "shop", Schema: "public", Table: "orders", Transaction: "81422", TransactionIndex: 2, Position: "20261122T101500Z.000000000412.000000003",
				Actor: &Actor{Application: "order-service", User: "app", Client: "10.2.0.7"}, Tag: "checkout-test",
			},
			CapturedAt: time.Date(2026, 11, 22, 23, 59, 1, 200000000, time.UTC),
		},
	}
	const want = `{"specversion":"1.0","id":"shop-db/20261122T101500Z.000000000412.000000003","source":"shop-db","type":"datawatch.change.v1","subject":"public.orders",` +
		`"time":"2026-11-22T23:59:01.123456Z","datacontenttype":"application/json","data":{"op":"update","key":{"id":1042},"before":{"id":1042,"status":"new"},` +
		`"after":{"id":1042,"status":"paid"},"changed":["status"],"incomplete":{"fields":["body"]},"origin":{"kind":"postgres","database":"shop","schema":"public","table":"orders",` +
		`"transaction":"81422","transaction_index":2,"position":"20261122T101500Z.000000000412.000000003","actor":{"application":"order-service","user":"app","client":"10.2.0.7"},` +
		`"tag":"checkout-test"},"captured_at":"2026-11-22T23:59:01.2Z"}}`
	got := c.AppendJSON(nil)
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	back, err := ParseClean(got)
	if err != nil || !reflect.DeepEqual(back, c) {
		t.Errorf("read back: %+v (%v)", back, err)
	}
}

func TestKafkaEventKeepsHeadersAndNulls(t *testing.T) {
	c := &Clean{
		ID: "k/t/3/e.1", Stream: "k/t", Type: ChangeType, Time: "2026-11-22T23:59:01.123Z",
		Change: &Change{Op: Message, After: json.RawMessage(`"x"`), Origin: Origin{
			Kind: Kafka, Topic: "t", Partition: 3, Offset: 1, Position: "e.1", Headers: []Header{{"h", []byte("1")}, {"h", nil}},
		}},
	}
	back, err := ParseClean(c.AppendJSON(nil))
	if err != nil || !reflect.DeepEqual(back, c) {
		t.Errorf("read back: %+v (%v)", back, err)
	}
	if got := string(c.RecordKey()); got != "k/t\n#3" {
		t.Errorf("a record without a key has the key %q", got)
	}
}

func TestGapIsWrittenAndReadBack(t *testing.T) {
	lost := int64(12)
	for _, l := range []*int64{nil, &lost} {
		g := &Clean{ID: "s/e.1", Stream: "s/public.t", Type: GapType, Time: "2026-11-22T23:59:01Z", Gap: &Gap{
			From: time.Unix(0, 0).UTC(), To: time.Unix(60, 0).UTC(), Cause: "capture was off", Lost: l, Remedy: "collector snapshot --source s",
		}}
		said := *g.Gap // as sources make them now
		said = said.Because(reason.OffsetsExpired.With(7, 9, "e/0")).Advising(reason.DoOffsetsExpired.With())
		for _, gap := range []*Gap{g.Gap, &said} {
			g.Gap = gap
			back, err := ParseClean(g.AppendJSON(nil))
			if err != nil || !reflect.DeepEqual(back, g) {
				t.Errorf("read back: %+v (%v)", back, err)
			}
		}
	}
}

// TestAGapSaysWhyAndWhatToDoInEnglishAndByCode: its record keeps the texts, and whoever knows the codes has them besides.
func TestAGapSaysWhyAndWhatToDoInEnglishAndByCode(t *testing.T) {
	g := Gap{Cause: string(reason.SlotLost)}.Advising(reason.DoSlotLost.With(reason.SlotExceeded.With()))
	want := `"cause":"slot_lost","lost":null,"remedy":"The replication slot was lost (its WAL was removed: max_slot_wal_keep_size was reached), and made anew. ` +
		"Changes in between are not here. `collector snapshot --stream ...` reads the rows as they are now; with --replace those go first that were deleted meanwhile. `collector verify --stream ...` tells which differ.\"," +
		`"do":{"code":"do_slot_lost","texts":{"why":{"code":"slot_exceeded"}}}}`
	if text, err := json.Marshal(g); err != nil || !strings.HasSuffix(string(text), want) {
		t.Errorf("%s (%v)", text, err)
	}
	for said, want := range map[string]string{
		g.Reason().In("vi"):                      "Máy chủ đã bỏ những gì slot giữ lại.",
		Gap{Cause: "in words"}.Reason().In("vi"): "in words",
		Gap{Cause: "c", Why: &reason.Text{Code: "of tomorrow"}}.Reason().In("vi"): "c",
		Gap{}.Because(reason.OffsetsExpired.With(7, 9, "e/0")).Reason().In("vi"):  "cụm Kafka đã xóa offset 7 đến 9 của e/0 trước khi kịp đọc",
		Gap{}.Because(reason.OffsetsExpired.With(7, 9, "e/0")).Cause:              "the cluster deleted offsets 7 to 9 of e/0 before they were read",
	} {
		if said != want {
			t.Errorf("said %q, want %q", said, want)
		}
	}
}

func FuzzStringsAreJSON(f *testing.F) {
	for _, s := range []string{"", "a\"b\\c", "\x00\x1f\n\t\r", "é\u2028😀", "\xff\xfe", "</script>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(AppendString(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if want := string([]rune(s)); got != want {
			t.Errorf("%q came back as %q", s, got)
		}
	})
}

func FuzzParseClean(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","id":"a","source":"s","type":"datawatch.change.v1","subject":"t","time":"x","data":{"op":"message","key":null,"after":1,"origin":{"kind":"kafka","headers":[["a",null]]},"captured_at":"2026-11-22T23:59:01Z"}}`))
	f.Add([]byte(`{"type":"datawatch.gap.v1","data":{"from":"2026-11-22T23:59:01Z"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseClean(b)
		if err != nil {
			return
		}
		if out := c.AppendJSON(nil); !json.Valid(out) {
			t.Errorf("%s came out as %s", b, out)
		}
	})
}
