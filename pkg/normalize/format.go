package normalize

import (
	"encoding/json"
	"path"
	"sync"
	"unicode/utf8"

	"datawatch/pkg/config"
	"datawatch/pkg/event"
)

// What the configuration may say of a key or a value (plain, too: what is left of auto without the registry), and of
// envelopes; "" is auto.
const (
	formatAuto     = "auto"
	formatJSON     = "json"
	formatText     = "text"
	formatBytes    = "bytes"
	formatRegistry = "registry"

	envelopeDebezium    = "debezium"
	envelopeMaxwell     = "maxwell"
	envelopeCanal       = "canal"
	envelopeCloudEvents = "cloudevents"
)

// format is what is known of a stream's records without looking at them.
type format struct{ key, value, envelope string }

// allows tells whether an envelope is to be looked for.
func (f format) allows(envelope string) bool {
	return f.envelope == "" || f.envelope == formatAuto || f.envelope == envelope
}

// formats finds the entry of the configuration that counts for a stream.
type formats struct {
	entries []config.Format

	mu       sync.Mutex
	byStream map[event.Stream]format
}

func newFormats(entries []config.Format) *formats {
	return &formats{entries: entries, byStream: map[event.Stream]format{}}
}

func (f *formats) of(stream event.Stream) format {
	if len(f.entries) == 0 {
		return format{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	known, ok := f.byStream[stream]
	if !ok {
		for _, e := range f.entries {
			if matches, err := path.Match(e.Stream, string(stream)); err == nil && matches { // the configuration has seen to the glob
				known = format{e.Key, e.Value, e.Envelope}
				break
			}
		}
		f.byStream[stream] = known
	}
	return known
}

// formattedValue is a value as its stream's format says.
func formattedValue(value []byte, as string) (after json.RawMessage, encoding string, err *Error) {
	switch as {
	case formatBytes:
		return quoteBase64(value), base64Encoding, nil
	case formatJSON:
		if !utf8.Valid(value) {
			return nil, "", notAs(as)
		}
		after, err = oneValue(value)
		return after, "", err
	case formatText:
		if !utf8.Valid(value) {
			return nil, "", notAs(as)
		}
		return event.AppendString(make([]byte, 0, len(value)+2), string(value)), "", nil
	default:
		return recordValue(value)
	}
}

// formattedKey is a key as its stream's format says. As JSON it may be of any kind: the key 1042 is a number.
func (n *Normalizer) formattedKey(key []byte, as string) (json.RawMessage, *Error) {
	if key == nil {
		return nil, nil
	}
	switch as {
	case formatBytes:
		return quoteBase64(key), nil
	case formatJSON:
		if !utf8.Valid(key) {
			return nil, notAs(as)
		}
		value, err := oneValue(key)
		if err != nil || string(value) == "null" {
			return nil, err
		}
		return canonical(value)
	case formatText:
		if !utf8.Valid(key) {
			return nil, notAs(as)
		}
		return appendCanonicalString(nil, string(key)), nil
	default:
		return n.key(key)
	}
}

func notAs(as string) *Error {
	return wrong(Malformed, "not %s, as the configuration says (formats)", as)
}
