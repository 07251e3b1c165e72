package event

import (
	"encoding/json"
	"fmt"
	"time"
)

// AppendJSON appends the event as it is written to clean: CloudEvents 1.0, structured mode
// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md).
func (c *Clean) AppendJSON(b []byte) []byte {
	o := open(b)
	o.text("specversion", "1.0")
	o.text("id", c.ID)
	o.text("source", c.Stream.Source())
	o.text("type", c.Type)
	o.text("subject", c.Stream.Entity())
	o.text("time", c.Time)
	o.text("datacontenttype", "application/json")
	o.name("data")
	if c.Gap != nil {
		o.b = c.Gap.appendJSON(o.b)
	} else {
		o.b = c.Change.appendJSON(o.b)
	}
	return o.close()
}

func (c *Change) appendJSON(b []byte) []byte {
	o := open(b)
	o.text("op", string(c.Op))
	o.raw("key", c.Key)
	o.raw("before", c.Before)
	o.raw("after", c.After)
	if c.Op == Update {
		o.texts("changed", c.Changed)
	}
	if c.MovedTo != nil {
		o.raw("moved_to", c.MovedTo)
	}
	if c.MovedFrom != nil {
		o.raw("moved_from", c.MovedFrom)
	}
	o.present("encoding", c.Encoding)
	if c.Incomplete != nil {
		o.name("incomplete")
		o.b = c.Incomplete.appendJSON(o.b)
	}
	o.name("origin")
	o.b = c.Origin.appendJSON(o.b)
	o.text("captured_at", c.CapturedAt.UTC().Format(time.RFC3339Nano))
	return o.close()
}

func (i *Incomplete) appendJSON(b []byte) []byte {
	o := open(b)
	o.present("before", i.Before)
	o.present("after", i.After)
	if len(i.Fields) > 0 {
		o.texts("fields", i.Fields)
	}
	return o.close()
}

func (g *Origin) appendJSON(b []byte) []byte {
	o := open(b)
	o.text("kind", string(g.Kind))
	switch g.Kind {
	case Postgres:
		o.text("database", g.Database)
		o.text("schema", g.Schema)
		o.text("table", g.Table)
	case MongoDB:
		o.text("database", g.Database)
		o.text("collection", g.Collection)
	case Kafka:
		o.text("topic", g.Topic)
		o.integer("partition", int64(g.Partition))
		o.integer("offset", g.Offset)
		o.name("headers")
		o.b = appendHeaders(o.b, g.Headers)
		o.optional("content_type", g.ContentType)
	}
	o.optional("transaction", g.Transaction)
	if g.Transaction == "" {
		o.raw("transaction_index", nil)
	} else {
		o.integer("transaction_index", g.TransactionIndex)
	}
	o.text("position", g.Position)
	o.present("reason", g.Reason)
	if g.Actor == nil {
		o.raw("actor", nil)
	} else {
		o.name("actor")
		o.b = g.Actor.appendJSON(o.b)
	}
	o.optional("tag", g.Tag)
	return o.close()
}

// appendHeaders writes headers as a list of [name, value]; a null is null.
func appendHeaders(b []byte, headers []Header) []byte {
	b = append(b, '[')
	for i, h := range headers {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = AppendString(b, h.Name)
		b = append(b, ',')
		if h.Value == nil {
			b = append(b, "null"...)
		} else {
			b = AppendString(b, string(h.Value))
		}
		b = append(b, ']')
	}
	return append(b, ']')
}

func (a *Actor) appendJSON(b []byte) []byte {
	o := open(b)
	o.optional("application", a.Application)
	o.optional("user", a.User)
	o.optional("client", a.Client)
	o.present("traceparent", a.Traceparent)
	return o.close()
}

// MarshalJSON writes an actor as clean does: what isn't known is null.
func (a Actor) MarshalJSON() ([]byte, error) { return a.appendJSON(nil), nil }

func (g *Gap) appendJSON(b []byte) []byte {
	o := open(b)
	o.text("from", g.From.UTC().Format(time.RFC3339Nano))
	o.text("to", g.To.UTC().Format(time.RFC3339Nano))
	o.text("cause", g.Cause)
	if g.Lost == nil {
		o.raw("lost", nil)
	} else {
		o.integer("lost", *g.Lost)
	}
	o.text("remedy", g.Remedy)
	o.reason("why", g.Why)
	o.reason("do", g.Do)
	return o.close()
}

// MarshalJSON writes a gap as clean does.
func (g Gap) MarshalJSON() ([]byte, error) { return g.appendJSON(nil), nil }

// ParseClean reads the value of a record of clean. The raw messages of the result share b's bytes.
func ParseClean(b []byte) (*Clean, error) {
	var e struct {
		ID      string          `json:"id"`
		Source  string          `json:"source"`
		Type    string          `json:"type"`
		Subject string          `json:"subject"`
		Time    string          `json:"time"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("read clean event: %w", err)
	}
	c := &Clean{ID: e.ID, Stream: StreamOf(e.Source, e.Subject), Type: e.Type, Time: e.Time}
	switch e.Type {
	case GapType:
		c.Gap = new(Gap)
		if err := json.Unmarshal(e.Data, c.Gap); err != nil {
			return nil, fmt.Errorf("read gap %s: %w", e.ID, err)
		}
	case ChangeType:
		change, err := parseChange(e.Data)
		if err != nil {
			return nil, fmt.Errorf("read clean event %s: %w", e.ID, err)
		}
		c.Change = change
	default:
		return nil, fmt.Errorf("read clean event %q: unknown type %q", e.ID, e.Type)
	}
	return c, nil
}

func parseChange(data []byte) (*Change, error) {
	var d struct {
		Op         Op              `json:"op"`
		Key        json.RawMessage `json:"key"`
		Before     json.RawMessage `json:"before"`
		After      json.RawMessage `json:"after"`
		Changed    []string        `json:"changed"`
		MovedTo    json.RawMessage `json:"moved_to"`
		MovedFrom  json.RawMessage `json:"moved_from"`
		Encoding   string          `json:"encoding"`
		Incomplete *Incomplete     `json:"incomplete"`
		CapturedAt time.Time       `json:"captured_at"`
		Origin     struct {
			Kind             Kind         `json:"kind"`
			Database         string       `json:"database"`
			Schema           string       `json:"schema"`
			Table            string       `json:"table"`
			Collection       string       `json:"collection"`
			Topic            string       `json:"topic"`
			Partition        int32        `json:"partition"`
			Offset           int64        `json:"offset"`
			Headers          [][2]*string `json:"headers"`
			ContentType      string       `json:"content_type"`
			Transaction      string       `json:"transaction"`
			TransactionIndex int64        `json:"transaction_index"`
			Position         string       `json:"position"`
			Reason           string       `json:"reason"`
			Actor            *Actor       `json:"actor"`
			Tag              string       `json:"tag"`
		} `json:"origin"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, err
	}
	g := d.Origin
	c := &Change{
		Op: d.Op, Key: orNil(d.Key), Before: orNil(d.Before), After: orNil(d.After), Changed: d.Changed,
		MovedTo: orNil(d.MovedTo), MovedFrom: orNil(d.MovedFrom), Encoding: d.Encoding,
		Incomplete: d.Incomplete, CapturedAt: d.CapturedAt,
		Origin: Origin{
			Kind: g.Kind, Database: g.Database, Schema: g.Schema, Table: g.Table, Collection: g.Collection,
			Topic: g.Topic, Partition: g.Partition, Offset: g.Offset, ContentType: g.ContentType,
			Transaction: g.Transaction, TransactionIndex: g.TransactionIndex, Position: g.Position,
			Reason: g.Reason, Actor: g.Actor, Tag: g.Tag,
		},
	}
	for _, h := range g.Headers {
		if h[0] == nil {
			return nil, fmt.Errorf("origin.headers: a header without a name")
		}
		header := Header{Name: *h[0]}
		if h[1] != nil {
			header.Value = []byte(*h[1])
		}
		c.Origin.Headers = append(c.Origin.Headers, header)
	}
	return c, nil
}

func orNil(m json.RawMessage) json.RawMessage {
	if len(m) == 4 && string(m) == "null" {
		return nil
	}
	return m
}
