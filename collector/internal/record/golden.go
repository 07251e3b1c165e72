package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Golden is the text of a file that says what a recording is to be like: a line for each change, as it is compared.
func Golden(lines []Line) ([]byte, error) {
	var out bytes.Buffer
	for _, l := range lines {
		text, err := marshal(l)
		if err != nil {
			return nil, err
		}
		out.Write(append(text, '\n'))
	}
	return out.Bytes(), nil
}

// ParseGolden reads what Golden wrote, and people edited.
func ParseGolden(text []byte) ([]Line, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var lines []Line
	for {
		var raw struct {
			Line
			Key    json.RawMessage `json:"key"`
			Before json.RawMessage `json:"before"`
			After  json.RawMessage `json:"after"`
		}
		err := d.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return nil, fmt.Errorf("change %d: %w", len(lines)+1, err)
		}
		l := raw.Line
		l.Key, l.Before, l.After = literal(raw.Key), literal(raw.Before), literal(raw.After)
		lines = append(lines, l)
	}
}

// literal is a value as it stands.
func literal(raw json.RawMessage) any {
	return tree(raw, "", func(_ string, raw json.RawMessage) any { return raw })
}
