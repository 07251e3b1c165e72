package normalize

import (
	"context"
	"encoding/json"
	"time"

	"datawatch/pkg/config"
	"datawatch/pkg/event"
)

// Options are what normalizing depends on besides the record.
type Options struct {
	// MaxShapes bounds how many shapes of rows, and how many schemas of envelopes, are remembered (default 1,000). What isn't
	// remembered is read again.
	MaxShapes int
	// Schemas decodes what is in Confluent's wire format; nil takes nothing for that. Events then may fail with what
	// Schemas failed with.
	Schemas Schemas
	// Formats say of streams what else is guessed.
	Formats []config.Format
	// MaxDecoded bounds the JSON that a few bytes of Schemas' formats may stand for (default 64 MiB).
	MaxDecoded int
	// Masker masks what only decoding with Schemas makes readable; nil masks nothing.
	Masker *Masker
}

// Normalizer turns raw records into clean events. It may be used by several goroutines.
type Normalizer struct {
	shapes  *memo[[]event.Column]
	keys    *memo[[]string]
	actors  *memo[*event.Actor]
	schemas *memo[*connectSchema]

	decoders *decoders // nil where there are no schemas
	formats  *formats
	masker   *Masker
}

// New is a Normalizer that has seen nothing yet.
func New(o Options) *Normalizer {
	if o.MaxShapes == 0 {
		o.MaxShapes = 1000
	}
	if o.MaxDecoded == 0 {
		o.MaxDecoded = defaultMaxDecoded
	}
	n := &Normalizer{
		shapes: newMemo[[]event.Column](o.MaxShapes), keys: newMemo[[]string](o.MaxShapes),
		actors: newMemo[*event.Actor](o.MaxShapes), schemas: newMemo[*connectSchema](o.MaxShapes),
		masker: o.Masker, formats: newFormats(o.Formats),
	}
	if o.Schemas != nil {
		n.decoders = newDecoders(o.Schemas, o.MaxShapes, o.MaxDecoded)
	}
	return n
}

// defaultMaxDecoded is far beyond what a record of a topic may be.
const defaultMaxDecoded = 64 << 20

// Events gives the clean events of a raw record, in order. They share the record's bytes. An error is an *Error: the
// record is a dead letter.
func (n *Normalizer) Events(ctx context.Context, r *event.Raw) ([]*event.Clean, error) {
	var clean *event.Clean
	var err *Error
	switch {
	case r.Type == event.GapType:
		clean, err = gap(r)
	case r.Type != event.RawType:
		err = wrong(Unsupported, "records of type %q", r.Type)
	case r.Kind == event.Postgres:
		clean, err = n.row(r)
	case r.Kind == event.Kafka:
		readable, f, err := n.decoded(ctx, r, n.formats.of(r.Stream))
		if err != nil {
			return nil, err
		}
		events, wrong := n.record(readable, f)
		if wrong != nil {
			return nil, wrong
		}
		return events, nil
	case r.Kind == event.MongoDB:
		clean, err = document(r)
	default:
		err = wrong(Unsupported, "records of kind %q", r.Kind)
	}
	if err != nil {
		return nil, err
	}
	return []*event.Clean{clean}, nil
}

// gap passes a gap on.
func gap(r *event.Raw) (*event.Clean, *Error) {
	g := new(event.Gap)
	if err := json.Unmarshal(r.Value, g); err != nil {
		return nil, wrong(Malformed, "gap: %v", err)
	}
	return &event.Clean{ID: r.ID, Stream: r.Stream, Type: event.GapType, Time: utc(r.Time), Gap: g}, nil
}

// changeOf is the event around a change.
func changeOf(r *event.Raw, c *event.Change) *event.Clean {
	c.CapturedAt = r.CapturedAt
	c.Origin.Kind = r.Kind
	c.Origin.Position = r.Position()
	return &event.Clean{ID: r.ID, Stream: r.Stream, Type: event.ChangeType, Time: utc(r.Time), Change: c}
}

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
