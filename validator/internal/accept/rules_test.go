package accept_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/validator/internal/accept"
	"datawatch/validator/internal/accept/ordersample"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/verdict"
)

// ruleSchemas have rules of every form, in every place: of few members and of whole objects, of what changed, of the
// event, within elements, references and branches.
var ruleSchemas = []string{
	ordersample.Schema,
	`{"required": ["total"], "properties": {"total": {"type": "number"}, "note": {"type": ["string", "null"]}, "attributes": {"type": "object"}}, "x-rules": [
		{"id": "in-order", "rule": "!has(self.attributes) || self.attributes.map(k, k).join(',') != 'b,a'", "message": "names come sorted"},
		{"id": "soft", "rule": "self.discount.orValue(0) <= self.total", "message": "m"},
		{"id": "optional", "rule": "self.?note == old.?note || op == 'update'", "message": "m"},
		{"id": "whole", "rule": "size(self) < 5 && ('total' in self)", "message": "m"}]}`,
	`{"x-rules": [{"id": "ledger-never-changes", "rule": "old == self", "message": "m"}]}`,
	`{"x-rules": [{"id": "event", "rule": "op in ['insert', 'update', 'read', 'message'] && stream == 'shop-db/public.orders' && time > timestamp('2026-01-01T00:00:00Z')", "message": "m"},
		{"id": "who", "rule": "actor == null || actor.application.orValue('') != 'psql'", "message": "m"},
		{"id": "tagged", "rule": "tag == null || tag.startsWith('t')", "message": "m"},
		{"id": "keyed", "rule": "key == null || key.id == self.id", "message": "m", "on": ["insert", "update"]}]}`,
	`{"properties": {"items": {"items": {"$ref": "#/$defs/item"}}, "total": {"anyOf": [{"type": "string", "x-rules": [{"id": "text", "rule": "decimal(self) > 0", "message": "m"}]},
			{"type": "number", "x-rules": [{"id": "positive", "rule": "self > 0", "message": "m"}]}]},
		"status": {"x-rules": [{"id": "stays", "rule": "old != 'paid' || self == 'paid'", "message": "m"}]}},
		"not": {"required": ["never"], "x-rules": [{"id": "not-asked", "rule": "false", "message": "m"}]},
		"if": {"required": ["gift"]}, "then": {"x-rules": [{"id": "gift", "rule": "self.gift == true || self.total == 0", "message": "m"}]},
		"$defs": {"item": {"required": ["price"], "properties": {"price": {"type": "number"}}, "x-rules": [
			{"id": "price", "rule": "self.price >= 0 && self.price <= root.total", "message": "m"}]}}}`,
	`{"x-rules": [{"id": "on-delete", "rule": "old.status != 'paid'", "on": ["delete"], "message": "m"}]}`,
	`{"x-rules": [{"id": "dynamic", "rule": "self['sta' + 'tus'] != 'x' && self.exists(k, k == 'total')", "message": "m"}]}`,
}

// row is a row of which some rules hold and some don't.
func row(random *rand.Rand) string {
	choose := func(all ...string) string { return all[random.IntN(len(all))] }
	if random.IntN(6) == 0 {
		return ordersample.Row(random.IntN(100), choose(ordersample.RightTotal, ordersample.RightTotal, "172.43", "1.7242e2"))
	}
	var members []string
	add := func(name string, values ...string) {
		if random.IntN(5) > 0 {
			members = append(members, fmt.Sprintf("%q:%s", name, choose(values...)))
		}
	}
	add("id", "1", "2", `"1"`)
	add("total", "10", "10.00", "0", "-1", `"10"`, `"x"`, "1e1", "null", "12345678901234567890.123456789")
	add("discount", "null", "1", "20", `"1"`)
	add("note", "null", `"a"`, `"\u0061"`, `"`+strings.Repeat("long ", 80)+`"`)
	add("status", `"paid"`, `"new"`, "null", `"x"`)
	add("attributes", `{"b":1,"a":2}`, `{"a":1}`, "{}", `{"b":{"z":1,"y":[1]},"a":2}`)
	add("items", "[]", `[{"price":1}]`, `[{"price":1},{"price":-1}]`, `[{"price":99999}]`, `[{"price":"1"}]`)
	add("gift", "true", "false")
	random.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return "{" + strings.Join(members, ",") + "}"
}

// changeOf is an event with a row, in one of the forms that events have.
func changeOf(random *rand.Rand) []byte {
	op := []event.Op{event.Insert, event.Update, event.Update, event.Read, event.Message, event.Delete, event.Truncate}[random.IntN(7)]
	c := event.Clean{ID: "shop-db/1", Stream: stream, Type: event.ChangeType, Time: "2026-11-22T23:59:01.123456Z", Change: &event.Change{
		Op: op, Key: json.RawMessage(`{"id":1}`), After: json.RawMessage(row(random)), CapturedAt: time.Unix(1700000000, 5).UTC(), Changed: []string{"a"},
		Origin: event.Origin{Kind: event.Postgres, Database: "shop", Schema: "public", Table: "orders", Transaction: "7", TransactionIndex: 2, Position: "p"},
	}}
	if op == event.Update || op == event.Delete {
		c.Change.Before = json.RawMessage(row(random))
		if random.IntN(3) == 0 {
			c.Change.Before = c.Change.After
		}
	}
	if op == event.Delete {
		c.Change.After = nil
	}
	mutations := []func(){
		func() { c.Change.Before, c.Change.Incomplete = nil, &event.Incomplete{Before: "unavailable"} },
		func() { c.Change.Incomplete = &event.Incomplete{After: "later"} },
		func() { c.Change.Incomplete = &event.Incomplete{Fields: []string{"status", "total"}} },
		func() { c.Change.After = nil },
		func() { c.Change.Key = nil },
		func() { c.Change.Origin.Actor = &event.Actor{Application: "psql"} },
		func() { c.Change.Origin.Actor = &event.Actor{Application: "shop", Traceparent: "00-1"} },
		func() { c.Change.Origin.Tag = "test" }, func() { c.Change.Origin.Tag = "x\"é" },
		func() { c.Change.MovedTo, c.Change.Encoding = json.RawMessage(`{"id":2}`), "base64" },
		func() {
			c.Change.Origin = event.Origin{Kind: event.Kafka, Topic: "t", Partition: 3, Offset: 1 << 40, ContentType: "application/json",
				Headers: []event.Header{{Name: "a", Value: []byte("b")}, {Name: "c"}}}
		},
		func() {
			c.Change.Origin = event.Origin{Kind: event.MongoDB, Database: "d", Collection: "c", Reason: "drop"}
		},
		func() { c.Time = "2025-11-22T23:59:01Z" },
	}
	if random.IntN(2) == 0 {
		mutations[random.IntN(len(mutations))]()
	}
	return c.AppendJSON(nil)
}

// checkEvent fails where the acceptor is certain of an event with which the judge finds something, or that can't be read.
func checkEvent(t *testing.T, reader *accept.Reader, file *schemas.File, program *accept.Program, value []byte) (accepted bool, result verdict.Result) {
	t.Helper()
	clean, err := event.ParseClean(value)
	var v verdict.Verdict
	if err == nil && clean.Change != nil {
		if v, err = verdict.Judge(t.Context(), file, clean, event.ViolationPosition{}, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	e, ok := reader.Read(value)
	if !ok {
		return false, v.Result
	}
	if err != nil || clean.Change == nil {
		t.Fatalf("read an event that ParseClean doesn't (%v):\n%s", err, value)
	}
	if got := event.StreamOf(e.Source, e.Subject); got != clean.Stream || e.Op != clean.Change.Op || e.Time != clean.Time {
		t.Fatalf("read %s %s %s of\n%s", got, e.Op, e.Time, value)
	}
	if before := clean.Change.HasBefore(); e.HasBefore() != before {
		t.Fatalf("a before image: %v, of\n%s", e.HasBefore(), value)
	}
	if !reader.Accepts(t.Context(), program) {
		return false, v.Result
	}
	if v.Result != verdict.Valid || v.Violation != nil || len(v.Unjudged) > 0 {
		t.Fatalf("accepted, and the judge says %s, %+v, of\n%s", v.Result, v.Violation, value)
	}
	return true, v.Result
}

// TestAcceptedEventsPassTheJudge compares whole events, rules included, and holds that most valid ones are accepted.
func TestAcceptedEventsPassTheJudge(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	reader := accept.NewReader()
	for i, schema := range ruleSchemas {
		file := loadFile(t, schema)
		program := accept.Compile(file)
		valid, accepted := 0, 0
		for range 1200 {
			value := changeOf(random)
			took, result := checkEvent(t, reader, file, program, value)
			if clean, err := event.ParseClean(value); err != nil || clean.Change.Op == event.Truncate {
				continue // always asked, and rare
			}
			if result == verdict.Valid {
				valid++
			}
			if took {
				accepted++
			}
		}
		t.Logf("schema %d: %d valid, %d accepted", i, valid, accepted)
		if accepted == 0 || i != 4 && i != 5 && accepted*4 < valid*3 { // 4: an old value within the row is asked; 5: deletes are
			t.Errorf("schema %d: only %d of %d valid events are accepted", i, accepted, valid)
		}
	}
}

// FuzzAcceptedEventPassesTheJudge fuzzes the record's bytes.
func FuzzAcceptedEventPassesTheJudge(f *testing.F) {
	random := rand.New(rand.NewPCG(9, 10))
	for range 200 {
		f.Add(changeOf(random))
	}
	f.Add([]byte(`{"source":"shop-db","Type":"x","type":"datawatch.change.v1","subject":"s","time":"t","data":{"op":"insert","after":{},"captured_at":"2026-11-22T23:59:01Z"}}`))
	var files []*schemas.File
	var programs []*accept.Program
	for _, schema := range ruleSchemas {
		files = append(files, loadFile(f, schema))
		programs = append(programs, accept.Compile(files[len(files)-1]))
	}
	reader := accept.NewReader()
	f.Fuzz(func(t *testing.T, value []byte) {
		for i := range files {
			checkEvent(t, reader, files[i], programs[i], value)
		}
	})
}

// TestMutatedEventsAreReadAsTheJudgeReadsThem changes single bytes of events.
func TestMutatedEventsAreReadAsTheJudgeReadsThem(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	reader, file := accept.NewReader(), loadFile(t, ruleSchemas[3])
	program := accept.Compile(file)
	for range 6000 {
		value := changeOf(random)
		for range 1 + random.IntN(2) {
			at := random.IntN(len(value))
			switch other := random.IntN(len(value)); random.IntN(4) {
			case 0:
				value[at] ^= 0x20
			case 1:
				value = append(value[:at:at], value[min(at+1+random.IntN(12), len(value)):]...)
			case 2:
				value[at] = value[other]
			default:
				value = append(value[:at:at], append([]byte(`,"data":{},"OP":1,"x":[`)[:random.IntN(24)], value[at:]...)...)
			}
			if len(value) == 0 {
				break
			}
		}
		checkEvent(t, reader, file, program, value)
	}
}
