package wrongrows

import (
	"bytes"
	"fmt"

	"datawatch/pkg/event"
)

// Key is the key of a record in wrong: the row's key in clean, a line feed, the rule.
func Key(row []byte, rule string) []byte {
	key := make([]byte, 0, len(row)+1+len(rule))
	key = append(append(key, row...), '\n')
	return append(key, rule...)
}

// ParseKey splits a record's key: the row's key in clean, its stream, and the rule.
func ParseKey(key []byte) (row []byte, stream event.Stream, rule string, err error) {
	first, last := bytes.IndexByte(key, '\n'), bytes.LastIndexByte(key, '\n')
	if first < 0 || first == last {
		return nil, "", "", fmt.Errorf("key of a wrong row %.100q: not stream, key and rule by lines", key)
	}
	return key[:last], event.Stream(key[:first]), string(key[last+1:]), nil
}
