package normalize

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"datawatch/pkg/event"
)

// Schemas finds schemas by their id in Confluent's registry. It answers what it was asked before without asking anybody,
// or at once; what it can't find or reach is an *Unavailable.
type Schemas interface {
	Schema(ctx context.Context, id int) (*Schema, error)
}

// Schema is a registered schema with the texts that it refers to.
type Schema struct {
	Type       SchemaType
	Text       string
	References []Reference // each before those that need it
}

// Reference is a schema that another one names: an Avro type, or a .proto file.
type Reference struct {
	Name string
	Text string
}

// SchemaType is the language of a schema.
type SchemaType string

// The languages that a registry knows.
const (
	Avro       SchemaType = "AVRO"
	Protobuf   SchemaType = "PROTOBUF"
	JSONSchema SchemaType = "JSON"
)

// Unavailable says that a record can't be decoded for now: it is not the record's fault, and waiting may mend it.
type Unavailable struct {
	What     string // "schema 7 of http://registry", "schema registry http://registry"
	Schema   int    // the id, where the registry has answered that it has none; 0 where the registry itself is away
	Registry string // its address
	Err      error
}

func (e *Unavailable) Error() string { return fmt.Sprintf("%s: %v", e.What, e.Err) }

// Unwrap is the cause.
func (e *Unavailable) Unwrap() error { return e.Err }

// decoder makes JSON of a payload.
type decoder interface {
	decode(payload []byte, most int) ([]byte, *Error)
}

// decoders are made of schemas, and kept: a schema's id never gets another schema.
type decoders struct {
	schemas Schemas
	max     int
	most    int // bytes of one payload's JSON
	mu      sync.Mutex
	byID    map[int]decoderOrError
}

type decoderOrError struct {
	decoder decoder
	err     *Error
}

func newDecoders(s Schemas, max, most int) *decoders {
	return &decoders{schemas: s, max: max, most: most, byID: map[int]decoderOrError{}}
}

// get gives a schema's decoder; the error is an *Error where the schema can't be read, and whatever else keeps it away.
func (d *decoders) get(ctx context.Context, id int) (decoder, error) {
	d.mu.Lock()
	known, ok := d.byID[id]
	d.mu.Unlock()
	if !ok {
		schema, err := d.schemas.Schema(ctx, id)
		if err != nil {
			return nil, err
		}
		known = newDecoder(schema)
		d.mu.Lock()
		if len(d.byID) >= d.max {
			clear(d.byID)
		}
		d.byID[id] = known
		d.mu.Unlock()
	}
	if known.err != nil {
		return nil, in(fmt.Sprintf("schema %d", id), known.err)
	}
	return known.decoder, nil
}

func newDecoder(s *Schema) (d decoderOrError) {
	switch s.Type {
	case Avro:
		d.decoder, d.err = newAvro(s)
	case Protobuf:
		d.decoder, d.err = newProtobuf(s)
	case JSONSchema:
		d.decoder = plainJSON{}
	default:
		d.err = wrong(Unsupported, "a schema in %q", s.Type)
	}
	return d
}

// plainJSON is a payload that is JSON already.
type plainJSON struct{}

func (plainJSON) decode(payload []byte, _ int) ([]byte, *Error) { return oneValue(payload) }

// wireHeader is a zero byte and a schema's id, big-endian
// (https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format).
const wireHeader = 5

func isWire(b []byte) bool { return len(b) >= wireHeader && b[0] == 0 }

// decoded gives the record with the JSON of what is in Confluent's wire format in its key and its value, masked; what was
// decoded is to be guessed from then on. A key that is a string is its text.
func (n *Normalizer) decoded(ctx context.Context, r *event.Raw, f format) (*event.Raw, format, error) {
	key, err := n.inWire(r.Key, f.key)
	if err != nil {
		return nil, f, within("key", err)
	}
	value, err := n.inWire(r.Value, f.value)
	if err != nil {
		return nil, f, within("value", err)
	}
	if !key && !value {
		return r, f, nil
	}
	d := *r
	if key {
		f.key = formatAuto
		if d.Key, err = n.unwire(ctx, r.Key); err != nil {
			return nil, f, within("key", err)
		}
		if d.Key[0] == '"' && !hasLoneSurrogate(d.Key) {
			d.Key = unquote(d.Key)
		}
	}
	if value {
		f.value = formatAuto
		if d.Value, err = n.unwire(ctx, r.Value); err != nil {
			return nil, f, within("value", err)
		}
	}
	if n.masker != nil {
		if err := n.masker.Apply(&d); err != nil {
			return nil, f, err
		}
	}
	return &d, f, nil
}

// inWire tells whether bytes are to be decoded; it is an error where they are said to be, and can't.
func (n *Normalizer) inWire(b []byte, as string) (bool, error) {
	switch {
	case as == formatRegistry && b != nil && (n.decoders == nil || !isWire(b)):
		return false, wrong(Malformed, "not in the schema registry's format, as the configuration says (formats, schema_registry)")
	case as == "" || as == formatAuto || as == formatRegistry:
		return n.decoders != nil && isWire(b), nil
	default:
		return false, nil
	}
}

func (n *Normalizer) unwire(ctx context.Context, b []byte) ([]byte, error) {
	decoder, err := n.decoders.get(ctx, int(binary.BigEndian.Uint32(b[1:wireHeader])))
	if err != nil {
		return nil, err
	}
	value, wrong := decoder.decode(b[wireHeader:], n.decoders.most)
	if wrong != nil {
		return nil, wrong
	}
	return value, nil
}

// within puts the place before the reason of an *Error, and leaves others as they are.
func within(place string, err error) error {
	if wrong, ok := errors.AsType[*Error](err); ok {
		return in(place, wrong)
	}
	return err
}

// tooLong says that a payload stands for more JSON than may be: a few bytes may be an array of any length.
func tooLong(most int) *Error { return wrong(Limit, "more than %d bytes once decoded", most) }

// maxNested bounds how deep a payload's types may be nested.
const maxNested = 500

// appendFloat appends a number as JSON: the shortest that gives the same back. NaN and the infinities are strings.
func appendFloat[F float32 | float64](dst []byte, f F) []byte {
	switch v := float64(f); {
	case v != v:
		return append(dst, `"NaN"`...)
	case v > 0 && v == v*2:
		return append(dst, `"Infinity"`...)
	case v < 0 && v == v*2:
		return append(dst, `"-Infinity"`...)
	}
	text, err := json.Marshal(f)
	if err != nil {
		return append(dst, "null"...) // finite numbers always are JSON
	}
	return append(dst, text...)
}
