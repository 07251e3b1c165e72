package feed

import (
	"encoding/json"
	"fmt"
	"sort"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
)

// at is when the shop of the tests did something.
var at = time.Date(2026, 11, 22, 7, 3, 7, 412_345_000, time.UTC)

const epoch = event.Epoch("20261122T000000Z")

// did is a row change of the source shop-db, as its outbox would hand it over.
type did struct {
	tick, n       int64
	table         string // of the schema public, or with its schema
	op            event.Op
	key           []string
	before, after string
	tx            string
	app, tag      string
	to, from      bool // a key that moved
	incomplete    *event.Incomplete
	reason        string
	at            time.Time
}

func (d did) raw() event.Raw {
	schema, table := "public", d.table
	if s, t, ok := cutDot(d.table); ok {
		schema, table = s, t
	}
	row := d.after
	if row == "" || d.to {
		row = d.before
	}
	columns := columnsOf(d.before, d.after)
	change := event.RowChange{
		Version: 1, Op: d.op, Database: "shop", Schema: schema, Table: table, Columns: columns, KeyColumns: d.key,
		Before: rawJSON(d.before), After: rawJSON(d.after), MovedTo: d.to, MovedFrom: d.from,
		Transaction: d.tx, TransactionIndex: d.n, Tag: d.tag, Incomplete: d.incomplete, Reason: d.reason,
	}
	if d.app != "" {
		change.Actor = &event.Actor{Application: d.app, User: "app"}
	}
	value, err := json.Marshal(change)
	if err != nil {
		panic(err)
	}
	stream := event.StreamOf("shop-db", event.TableEntity(schema, table))
	var key json.RawMessage
	if row != "" {
		if key, err = normalize.RowKey(columns, d.key, rawJSON(row)); err != nil {
			panic(err)
		}
	}
	when := d.at
	if when.IsZero() {
		when = at
	}
	return event.Raw{
		Type: event.RawType, Kind: event.Postgres, Stream: stream, Time: when, Key: key, RecordKey: event.RecordKey(stream, key),
		ID: event.ID("shop-db", event.TickPosition(epoch, d.tick, d.n)), Value: value, CapturedAt: when,
	}
}

func cutDot(s string) (string, string, bool) {
	for i := range s {
		if s[i] == '.' {
			return s[:i], s[i+1:], true
		}
	}
	return "", s, false
}

func rawJSON(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}

// columnsOf guesses a shape from the rows.
func columnsOf(rows ...string) []event.Column {
	bases := map[string]string{}
	for _, r := range rows {
		if r == "" {
			continue
		}
		members, err := membersOf(rawJSON(r))
		if err != nil {
			panic(err)
		}
		for _, m := range members {
			base := "numeric"
			switch m.value[0] {
			case '"':
				base = "text"
			case '{', '[':
				base = "jsonb"
			case 't', 'f':
				base = "bool"
			case 'n':
				base = ""
			}
			if base != "" || bases[m.name] == "" {
				bases[m.name] = base
			}
		}
	}
	var columns []event.Column
	for name, base := range bases {
		if base == "" {
			base = "text"
		}
		columns = append(columns, event.Column{Name: name, Type: base, Base: base})
	}
	sort.Slice(columns, func(i, j int) bool { return columns[i].Name < columns[j].Name })
	return columns
}

// recorded is a record of the source shop-kafka.
func recorded(topic string, partition int32, offset int64, key, value []byte, headers ...event.Header) event.Raw {
	stream := event.StreamOf("shop-kafka", event.TopicEntity(topic))
	return event.Raw{
		Type: event.RawType, Kind: event.Kafka, Stream: stream, Time: at.Add(18 * time.Millisecond), Key: key, Value: value, Headers: headers,
		ID:         event.RecordID("shop-kafka", topic, partition, event.OffsetPosition(epoch, offset)),
		RecordKey:  event.SourceRecordKey(stream, key),
		CapturedAt: at, TimestampType: "create",
	}
}

// insertOf is a transaction of one insert.
func insertOf(tick int64, id int) event.Raw {
	return did{
		tick: tick, n: 1, table: "orders", op: event.Insert, key: []string{"id"},
		after: fmt.Sprintf(`{"id":%d,"status":"new"}`, id), tx: fmt.Sprint(80_000 + id), at: at.Add(time.Duration(id) * time.Millisecond),
	}.raw()
}
