package normalize

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/x/bsonx/bsoncore"

	"datawatch/pkg/event"
)

// maskDocument masks both images, the values that the server says were set, and the key.
func maskDocument(r *event.Raw, rules []maskRule) error {
	d, err := readDocument(r.Value)
	if err != nil {
		return err
	}
	rules = keepKeys(rules, []string{"_id"})
	for _, image := range []*bson.Raw{&d.Key, &d.Before, &d.After} {
		if *image == nil {
			continue
		}
		if *image, err = appendMaskedDocument(nil, *image, rules, 0); err != nil {
			return in("document", err)
		}
	}
	if d.UpdateDescription != nil {
		if d.UpdateDescription, err = hideUpdated(d.UpdateDescription, rules); err != nil {
			return in("updateDescription", err)
		}
	}
	if d.Key != nil {
		key, err := documentKey(d.Key)
		if err != nil {
			return err
		}
		r.Key, r.RecordKey = key, event.RecordKey(r.Stream, key)
	}
	r.Value = d.AppendBSON(nil)
	return nil
}

// appendMaskedDocument appends a document, or an array in BSON's form of one, with its members masked.
func appendMaskedDocument(dst []byte, d bson.Raw, rules []maskRule, depth int) ([]byte, *Error) {
	if depth++; depth > maxDocumentDepth {
		return nil, wrong(Limit, "nested more than %d deep", maxDocumentDepth)
	}
	elements, err := d.Elements()
	if err != nil {
		return nil, wrong(Malformed, "not BSON: %v", err)
	}
	start, dst := bsoncore.AppendDocumentStart(dst)
	for _, e := range elements {
		how, nested := rulesOf(rules, e.Key())
		var bad *Error
		if dst, bad = appendMaskedElement(dst, e, how, nested, depth); bad != nil {
			return nil, bad
		}
	}
	dst, _ = bsoncore.AppendDocumentEnd(dst, start) // the start is above
	return dst, nil
}

func appendMaskedElement(dst []byte, e bson.RawElement, how string, nested []maskRule, depth int) ([]byte, *Error) {
	v := e.Value()
	switch {
	case how == maskDrop:
		return dst, nil
	case how != "":
		clean, err := appendBSON(nil, v, depth)
		if err != nil {
			return nil, err
		}
		if string(clean) == "null" {
			return append(dst, e...), nil
		}
		return bsoncore.AppendStringElement(dst, e.Key(), textOf(appendHidden(nil, clean, how))), nil
	case len(nested) == 0:
		return append(dst, e...), nil
	case v.Type == bson.TypeEmbeddedDocument:
		return appendMaskedDocument(bsoncore.AppendHeader(dst, bson.TypeEmbeddedDocument, e.Key()), v.Document(), nested, depth)
	case v.Type == bson.TypeArray:
		return appendMaskedArray(bsoncore.AppendHeader(dst, bson.TypeArray, e.Key()), v.Array(), nested, depth)
	default:
		return append(dst, e...), nil
	}
}

// appendMaskedArray masks each element: rules speak of members, so an array's indexes aren't names.
func appendMaskedArray(dst []byte, a bson.Raw, rules []maskRule, depth int) ([]byte, *Error) {
	if depth++; depth > maxDocumentDepth {
		return nil, wrong(Limit, "nested more than %d deep", maxDocumentDepth)
	}
	elements, err := a.Elements()
	if err != nil {
		return nil, wrong(Malformed, "not BSON: %v", err)
	}
	start, dst := bsoncore.AppendDocumentStart(dst)
	for _, e := range elements {
		var bad *Error
		if dst, bad = appendMaskedElement(dst, e, "", rules, depth); bad != nil {
			return nil, bad
		}
	}
	dst, _ = bsoncore.AppendArrayEnd(dst, start) // the start is above
	return dst, nil
}

// hideUpdated takes the values out of updatedFields whose top-level member a rule speaks of: paths there may lead into, or
// end above, what is to be hidden. The names stay.
func hideUpdated(description bson.Raw, rules []maskRule) (bson.Raw, *Error) {
	elements, err := description.Elements()
	if err != nil {
		return nil, wrong(Malformed, "not BSON: %v", err)
	}
	start, dst := bsoncore.AppendDocumentStart(nil)
	for _, e := range elements {
		fields, ok := e.Value().DocumentOK()
		if e.Key() != "updatedFields" || !ok {
			dst = append(dst, e...)
			continue
		}
		set, err := fields.Elements()
		if err != nil {
			return nil, wrong(Malformed, "not BSON: %v", err)
		}
		var inner int32
		inner, dst = bsoncore.AppendDocumentElementStart(dst, e.Key())
		for _, f := range set {
			if touches(rules, f.Key()) {
				dst = bsoncore.AppendNullElement(dst, f.Key())
			} else {
				dst = append(dst, f...)
			}
		}
		dst, _ = bsoncore.AppendDocumentEnd(dst, inner) // the start is above
	}
	dst, _ = bsoncore.AppendDocumentEnd(dst, start) // as is this one's
	return dst, nil
}

func touches(rules []maskRule, path string) bool {
	top, _, _ := strings.Cut(path, ".")
	return slices.ContainsFunc(rules, func(r maskRule) bool {
		first, _, _ := strings.Cut(r.path, ".")
		return first == top
	})
}
