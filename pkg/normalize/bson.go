package normalize

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"

	"datawatch/pkg/event"
)

// maxDocumentDepth is how deep documents may be nested; MongoDB takes 100.
const maxDocumentDepth = 1_000

// appendDocument appends a document as a JSON object, its members in their order; a name may stand twice, as it may in
// BSON.
func appendDocument(dst []byte, d bson.Raw, depth int) ([]byte, *Error) {
	if depth++; depth > maxDocumentDepth {
		return nil, wrong(Limit, "nested more than %d deep", maxDocumentDepth)
	}
	elements, err := d.Elements()
	if err != nil {
		return nil, wrong(Malformed, "not BSON: %v", err)
	}
	dst = append(dst, '{')
	for i, e := range elements {
		name, err := e.KeyErr()
		if err != nil {
			return nil, wrong(Malformed, "not BSON: %v", err)
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		var bad *Error
		if dst, bad = appendUTF8(dst, name); bad != nil {
			return nil, in("a member's name", bad)
		}
		if dst, bad = appendBSON(append(dst, ':'), e.Value(), depth); bad != nil {
			return nil, in(fmt.Sprintf("member %q", name), bad)
		}
	}
	return append(dst, '}'), nil
}

func appendList(dst []byte, a bson.Raw, depth int) ([]byte, *Error) {
	if depth++; depth > maxDocumentDepth {
		return nil, wrong(Limit, "nested more than %d deep", maxDocumentDepth)
	}
	values, err := a.Values()
	if err != nil {
		return nil, wrong(Malformed, "not BSON: %v", err)
	}
	dst = append(dst, '[')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		var bad *Error
		if dst, bad = appendBSON(dst, v, depth); bad != nil {
			return nil, in(fmt.Sprintf("element %d", i), bad)
		}
	}
	return append(dst, ']'), nil
}

// appendBSON appends the clean form of a value: TYPES.md has them all.
func appendBSON(dst []byte, v bson.RawValue, depth int) ([]byte, *Error) {
	if err := v.Validate(); err != nil {
		return nil, wrong(Malformed, "not BSON: %v", err)
	}
	switch v.Type {
	case bson.TypeDouble:
		return appendDouble(dst, v.Double()), nil
	case bson.TypeString:
		return appendUTF8(dst, v.StringValue())
	case bson.TypeEmbeddedDocument:
		return appendDocument(dst, v.Document(), depth)
	case bson.TypeArray:
		return appendList(dst, v.Array(), depth)
	case bson.TypeBinary:
		_, data := v.Binary()
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), data)
		return append(dst, '"'), nil
	case bson.TypeObjectID:
		id := v.ObjectID()
		return append(hex.AppendEncode(append(dst, '"'), id[:]), '"'), nil
	case bson.TypeBoolean:
		return strconv.AppendBool(dst, v.Boolean()), nil
	case bson.TypeDateTime:
		return appendDate(dst, v.DateTime()), nil
	case bson.TypeInt32:
		return strconv.AppendInt(dst, int64(v.Int32()), 10), nil
	case bson.TypeInt64:
		return strconv.AppendInt(dst, v.Int64(), 10), nil
	case bson.TypeDecimal128:
		return appendDecimal(dst, v.Decimal128()), nil
	case bson.TypeNull, bson.TypeUndefined:
		return append(dst, "null"...), nil
	default:
		return appendRare(dst, v, depth)
	}
}

// appendRare appends a value of a type that applications seldom store, or that is deprecated.
func appendRare(dst []byte, v bson.RawValue, depth int) ([]byte, *Error) {
	switch v.Type {
	case bson.TypeTimestamp:
		t, i := v.Timestamp()
		return fmt.Appendf(dst, `{"t":%d,"i":%d}`, t, i), nil
	case bson.TypeRegex:
		pattern, options := v.Regex()
		return appendUTF8(dst, "/"+pattern+"/"+options)
	case bson.TypeJavaScript:
		return appendUTF8(dst, v.JavaScript())
	case bson.TypeSymbol:
		return appendUTF8(dst, v.Symbol())
	case bson.TypeCodeWithScope:
		code, scope := v.CodeWithScope()
		dst, err := appendUTF8(append(dst, `{"code":`...), code)
		if err != nil {
			return nil, err
		}
		dst, err = appendDocument(append(dst, `,"scope":`...), scope, depth)
		return append(dst, '}'), err
	case bson.TypeDBPointer:
		collection, id := v.DBPointer()
		dst, err := appendUTF8(append(dst, `{"$ref":`...), collection)
		if err != nil {
			return nil, err
		}
		return fmt.Appendf(dst, `,"$id":"%x"}`, id[:]), nil
	case bson.TypeMinKey:
		return append(dst, `"MinKey"`...), nil
	case bson.TypeMaxKey:
		return append(dst, `"MaxKey"`...), nil
	default:
		return nil, wrong(Type, "BSON type 0x%02x is not known", byte(v.Type))
	}
}

// appendUTF8 appends a string. BSON's are UTF-8, which servers don't insist on; one that isn't has no form in JSON that
// gives it back.
func appendUTF8(dst []byte, s string) ([]byte, *Error) {
	if !utf8.ValidString(s) {
		return nil, wrong(Type, "a string that isn't UTF-8")
	}
	return event.AppendString(dst, s), nil
}

// appendDouble appends the shortest number that gives the same double back, without an exponent where people would write
// none; NaN and the infinities, which JSON has no number for, are strings.
func appendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// appendDecimal appends a decimal digit for digit, its exponent as MongoDB prints it.
func appendDecimal(dst []byte, d primitive.Decimal128) []byte {
	text := d.String()
	if d.IsNaN() || d.IsInf() != 0 {
		return append(append(append(dst, '"'), text...), '"')
	}
	return append(dst, text...)
}

// The years that RFC 3339 can say.
const (
	firstYear = 0
	lastYear  = 9999
)

// appendDate appends milliseconds since 1970 as RFC 3339 in UTC. What lies outside its years has a sign and six digits or
// more, as JavaScript's Date prints it (https://tc39.es/ecma262/#sec-expanded-years).
func appendDate(dst []byte, millis int64) []byte {
	t := time.UnixMilli(millis).UTC()
	dst = append(dst, '"')
	if year := t.Year(); year < firstYear || year > lastYear {
		dst = fmt.Appendf(dst, "%+07d", year)
		return append(t.AppendFormat(dst, "-01-02T15:04:05.999Z"), '"')
	}
	return append(t.AppendFormat(dst, time.RFC3339Nano), '"')
}
