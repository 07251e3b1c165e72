package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
)

var errPack = errors.New("the pack is not an array of objects")

// errEncoding says that a row has bytes that are no text, which a database without encoding takes for it.
var errEncoding = errors.New("it has text that is not UTF-8")

// rowsOf splits a pack's array into its rows, which share its bytes.
func rowsOf(array []byte) ([]json.RawMessage, error) {
	if len(array) == 0 {
		return nil, nil
	}
	if array[0] != '[' || array[len(array)-1] != ']' {
		return nil, errPack
	}
	var rows []json.RawMessage
	for at := 1; at < len(array)-1; {
		switch array[at] {
		case ' ', '\n', '\t', '\r', ',':
			at++
			continue
		case '{':
		default:
			return nil, errPack
		}
		end, err := endOf(array, at)
		if err != nil {
			return nil, err
		}
		rows = append(rows, array[at:end:end])
		at = end
	}
	return rows, nil
}

// endOf is the place behind the object, array or string that begins at at.
func endOf(b []byte, at int) (int, error) {
	depth := 0
	for i := at; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		default:
			continue
		}
		if depth == 0 {
			if i >= len(b) {
				break
			}
			return i + 1, nil
		}
	}
	return 0, fmt.Errorf("%w: it ends too early", errPack)
}

// namesOf are the names of a row's members, in order.
func namesOf(row []byte) ([]string, error) {
	var names []string
	inName := true
	for at := 1; at < len(row)-1; {
		switch c := row[at]; {
		case c == ',':
			inName = true
			at++
		case c == ':':
			inName = false
			at++
		case c == '"' || c == '{' || c == '[':
			end, err := endOf(row, at)
			if err != nil {
				return nil, err
			}
			if inName {
				var name string
				if err := json.Unmarshal(row[at:end], &name); err != nil {
					return nil, fmt.Errorf("%w: %w", errPack, err)
				}
				names = append(names, name)
			}
			at = end
		default:
			at++
		}
	}
	return names, nil
}

// firstRow is what there is of the first row of an array that was cut.
func firstRow(array []byte) []byte {
	if len(array) < 2 {
		return nil
	}
	return array[1:]
}

// wholeMembers is the object of the members that a row that was cut has whole.
func wholeMembers(row []byte) []byte {
	end := 1
	for at := 1; at < len(row); {
		switch c := row[at]; {
		case c == '"' || c == '{' || c == '[':
			next, err := endOf(row, at)
			if err != nil {
				return append(row[:end:end], '}')
			}
			at = next
		case c == ',' || c == '}':
			end = at
			at++
		default:
			at++
		}
	}
	return append(row[:min(end, len(row)):min(end, len(row))], '}')
}
