package normalize

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"datawatch/pkg/event"
)

// protobuf decodes messages of a .proto file.
type protobuf struct{ file protoreflect.FileDescriptor }

// schemaFile is the name that a schema's own file gets; a registry knows it by its id only.
const schemaFile = "schema.proto"

// decimalProto is the file that Confluent's Protobuf converter refers to, which registries don't always hold
// (https://github.com/confluentinc/schema-registry, protobuf-types/src/main/proto/confluent/type/decimal.proto).
const decimalProto = `syntax = "proto3"; package confluent.type; message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }`

func newProtobuf(s *Schema) (decoder, *Error) {
	files := map[string]string{"confluent/type/decimal.proto": decimalProto}
	for _, r := range s.References {
		files[r.Name] = r.Text
	}
	files[schemaFile] = s.Text
	compiler := protocompile.Compiler{
		MaxParallelism: 1,
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(files)}),
	}
	compiled, err := compiler.Compile(context.Background(), schemaFile)
	if err != nil {
		return nil, wrong(Malformed, "%v", err)
	}
	return &protobuf{compiled[0]}, nil
}

func (p *protobuf) decode(payload []byte, most int) ([]byte, *Error) {
	descriptor, rest, err := p.message(payload)
	if err != nil {
		return nil, err
	}
	if err := (&protoCost{left: maxProtoCost}).message(rest, descriptor, 0); err != nil {
		return nil, err
	}
	m := dynamicpb.NewMessage(descriptor)
	if err := (proto.UnmarshalOptions{RecursionLimit: maxNested}).Unmarshal(rest, m); err != nil {
		return nil, wrong(Malformed, "not a %s: %v", descriptor.FullName(), err)
	}
	return messageWriter{most}.appendMessage(make([]byte, 0, 2*len(payload)+64), m)
}

// messageWriter makes JSON of messages, of so many bytes at most.
type messageWriter struct{ most int }

// message finds which of the file's messages it is: its place, and its place within that; a single 0 is the first one.
func (p *protobuf) message(b []byte) (protoreflect.MessageDescriptor, []byte, *Error) {
	r := &avroReader{b: b} // the same numbers as Avro's
	n, err := r.long()
	if err != nil {
		return nil, nil, err
	}
	places := []int64{0}
	if n != 0 {
		places = places[:0]
		for ; n > 0; n-- {
			place, err := r.long()
			if err != nil {
				return nil, nil, err
			}
			places = append(places, place)
		}
	}
	messages := p.file.Messages()
	var found protoreflect.MessageDescriptor
	for _, place := range places {
		if place < 0 || place >= int64(messages.Len()) {
			return nil, nil, wrong(Malformed, "message %d of %d", place, messages.Len())
		}
		found = messages.Get(int(place))
		messages = found.Messages()
	}
	if found == nil {
		return nil, nil, wrong(Malformed, "no place of a message")
	}
	return found, r.b, nil
}

// appendMessage appends a message with its fields in the order of the file, by their names there. A field that tells
// whether it is set is left out where it isn't; others have their default.
func (w messageWriter) appendMessage(dst []byte, m protoreflect.Message) ([]byte, *Error) {
	if len(m.GetUnknown()) > 0 {
		return nil, wrong(Malformed, "%s has a field that its schema doesn't know", m.Descriptor().FullName())
	}
	if known, ok := wellKnown[m.Descriptor().FullName()]; ok {
		return known(w, dst, m)
	}
	dst = append(dst, '{')
	some := false
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.HasPresence() && !m.Has(f) {
			continue
		}
		if some {
			dst = append(dst, ',')
		}
		some = true
		dst = append(appendName(dst, string(f.Name())), ':')
		var err *Error
		if dst, err = w.appendField(dst, f, m.Get(f)); err != nil {
			return nil, in("field "+string(f.Name()), err)
		}
	}
	return append(dst, '}'), nil
}

func (w messageWriter) appendField(dst []byte, f protoreflect.FieldDescriptor, v protoreflect.Value) ([]byte, *Error) {
	var err *Error
	switch {
	case f.IsMap():
		dst = append(dst, '{')
		some := false
		for _, k := range sortedKeys(v.Map()) {
			if some {
				dst = append(dst, ',')
			}
			some = true
			dst = append(appendName(dst, k.String()), ':')
			if dst, err = w.appendScalar(dst, f.MapValue(), v.Map().Get(k)); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case f.IsList():
		dst = append(dst, '[')
		for i := range v.List().Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = w.appendScalar(dst, f, v.List().Get(i)); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	default:
		return w.appendScalar(dst, f, v)
	}
}

func (w messageWriter) appendScalar(dst []byte, f protoreflect.FieldDescriptor, v protoreflect.Value) ([]byte, *Error) {
	if len(dst) > w.most {
		return nil, tooLong(w.most)
	}
	switch f.Kind() {
	case protoreflect.BoolKind:
		return strconv.AppendBool(dst, v.Bool()), nil
	case protoreflect.EnumKind:
		if value := f.Enum().Values().ByNumber(v.Enum()); value != nil {
			return appendName(dst, string(value.Name())), nil
		}
		return strconv.AppendInt(dst, int64(v.Enum()), 10), nil
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return strconv.AppendUint(dst, v.Uint(), 10), nil
	case protoreflect.FloatKind:
		return appendFloat(dst, float32(v.Float())), nil
	case protoreflect.DoubleKind:
		return appendFloat(dst, v.Float()), nil
	case protoreflect.StringKind:
		return event.AppendString(dst, v.String()), nil
	case protoreflect.BytesKind:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v.Bytes())
		return append(dst, '"'), nil
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return w.appendMessage(dst, v.Message())
	default: // the signed whole numbers
		return strconv.AppendInt(dst, v.Int(), 10), nil
	}
}

// wellKnown are the messages that stand for a value of JSON.
var wellKnown map[protoreflect.FullName]func(messageWriter, []byte, protoreflect.Message) ([]byte, *Error)

func init() { // the table's functions reach it themselves
	wellKnown = map[protoreflect.FullName]func(messageWriter, []byte, protoreflect.Message) ([]byte, *Error){
		"google.protobuf.Timestamp": messageWriter.appendProtoTime, "confluent.type.Decimal": messageWriter.appendProtoDecimal,
		"google.protobuf.BoolValue": messageWriter.appendWrapped, "google.protobuf.Int32Value": messageWriter.appendWrapped, "google.protobuf.Int64Value": messageWriter.appendWrapped,
		"google.protobuf.UInt32Value": messageWriter.appendWrapped, "google.protobuf.UInt64Value": messageWriter.appendWrapped, "google.protobuf.FloatValue": messageWriter.appendWrapped,
		"google.protobuf.DoubleValue": messageWriter.appendWrapped, "google.protobuf.StringValue": messageWriter.appendWrapped, "google.protobuf.BytesValue": messageWriter.appendWrapped,
	}
}

// numbered is a field's value, by its number.
func numbered(m protoreflect.Message, n protoreflect.FieldNumber) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByNumber(n))
}

func (w messageWriter) appendWrapped(dst []byte, m protoreflect.Message) ([]byte, *Error) {
	return w.appendScalar(dst, m.Descriptor().Fields().ByNumber(1), numbered(m, 1))
}

// appendProtoTime appends an instant in RFC 3339.
func (messageWriter) appendProtoTime(dst []byte, m protoreflect.Message) ([]byte, *Error) {
	seconds, nanos := numbered(m, 1).Int(), numbered(m, 2).Int()
	const first, last = -62135596800, 253402300799 // the years 1 to 9999
	if seconds < first || seconds > last || nanos < 0 || nanos >= int64(time.Second) {
		return nil, wrong(Type, "a timestamp out of range")
	}
	return append(append(append(dst, '"'), utc(time.Unix(seconds, nanos))...), '"'), nil
}

// appendProtoDecimal appends Confluent's decimal: an unscaled number in two's complement, and its scale.
func (messageWriter) appendProtoDecimal(dst []byte, m protoreflect.Message) ([]byte, *Error) {
	value := numbered(m, 1).Bytes()
	if len(value) == 0 {
		value = []byte{0}
	}
	return appendUnscaled(dst, quoteBase64(value), int(numbered(m, 3).Int()))
}

// sortedKeys are a map's keys in the order of their text: a map has none of its own.
func sortedKeys(m protoreflect.Map) []protoreflect.MapKey {
	keys := make([]protoreflect.MapKey, 0, m.Len())
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return true
	})
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })
	return keys
}
