package schemas

import "datawatch/pkg/cel"

// formats are those that JSON Schema lacks and our field needs. Values that are no strings pass, as with all formats.
var formats = map[string]func(any) bool{
	"decimal":  text(isDecimal),
	"currency": text(isCurrency),
	"objectid": text(isObjectID),
}

func text(valid func(string) bool) func(any) bool {
	return func(v any) bool {
		s, ok := v.(string)
		return !ok || valid(s)
	}
}

// isDecimal accepts a number as JSON writes it.
func isDecimal(s string) bool {
	_, err := cel.NumberValue(s)
	return err == nil
}

// isCurrency accepts the alphabetic codes of ISO 4217.
func isCurrency(s string) bool {
	_, ok := cel.MinorUnits(s)
	return ok
}

// isObjectID accepts MongoDB's ObjectId as hex.
func isObjectID(s string) bool {
	if len(s) != 24 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}
