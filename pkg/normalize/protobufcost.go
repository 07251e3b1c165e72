package normalize

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// What a decoded message costs in memory, about: a message of two bytes becomes some hundred, an element of a list 24.
const (
	maxProtoCost  = 64 << 20
	messageCost   = 256
	elementCost   = 24
	maxProtoDepth = maxNested
)

// protoCost estimates what decoding a payload costs, before it is decoded: a few megabytes may stand for hundreds.
type protoCost struct{ left int }

func (c *protoCost) spend(n int) *Error {
	if c.left -= n; c.left < 0 {
		return wrong(Limit, "a message of too many parts: decoding it would take more than %d bytes", maxProtoCost)
	}
	return nil
}

// message walks through a message. What isn't well-formed is left to the decoder, which says what is wrong.
func (c *protoCost) message(b []byte, of protoreflect.MessageDescriptor, depth int) *Error {
	if err := c.spend(messageCost); err != nil || depth > maxProtoDepth {
		return err
	}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(number, kind, b)
		if size < 0 {
			return nil
		}
		value := b[:size]
		b = b[size:]
		if err := c.field(value, kind, of.Fields().ByNumber(number), depth); err != nil {
			return err
		}
	}
	return nil
}

func (c *protoCost) field(value []byte, kind protowire.Type, f protoreflect.FieldDescriptor, depth int) *Error {
	switch {
	case f == nil:
		return nil // kept as it is, and refused later
	case kind == protowire.BytesType && f.Message() != nil:
		inner, n := protowire.ConsumeBytes(value)
		if n < 0 {
			return nil
		}
		return c.message(inner, f.Message(), depth+1)
	case kind == protowire.StartGroupType: // two bytes a message at least
		return c.spend(messageCost / 2 * len(value))
	case kind == protowire.BytesType && f.IsList() && isPackable(f.Kind()):
		return c.spend(elementCost * packed(value, f.Kind()))
	default:
		return c.spend(elementCost + len(value))
	}
}

// packed is how many elements there are, about.
func packed(b []byte, kind protoreflect.Kind) (n int) {
	switch kind {
	case protoreflect.DoubleKind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return len(b) / 8
	case protoreflect.FloatKind, protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return len(b) / 4
	}
	for _, c := range b { // a number's last byte has no high bit
		n += int(1 - c>>7)
	}
	return n
}

func isPackable(kind protoreflect.Kind) bool {
	return kind != protoreflect.StringKind && kind != protoreflect.BytesKind
}
