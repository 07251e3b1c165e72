package infer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// written is a JSON value of a file and where it stands there: what has to be added is put between what people wrote.
type written struct {
	begin, end int // of its text
	kind       kind
	text       string // of strings
	members    []writtenMember
	items      []*written
}

type writtenMember struct {
	name  string
	begin int // of the name
	value *written
}

// get is an object's member, nil where there is none; of a name that stands twice, the last, as for those who read it.
func (w *written) get(name string) *written {
	if w == nil {
		return nil
	}
	for i := len(w.members) - 1; i >= 0; i-- {
		if w.members[i].name == name {
			return w.members[i].value
		}
	}
	return nil
}

func (w *written) index(name string) int {
	for i, m := range w.members {
		if m.name == name {
			return i
		}
	}
	return -1
}

// texts are the strings of a list, or the one string that stands instead.
func (w *written) texts() []string {
	switch {
	case w == nil:
		return nil
	case w.kind == stringKind:
		return []string{w.text}
	}
	var all []string
	for _, item := range w.items {
		if item.kind == stringKind {
			all = append(all, item.text)
		}
	}
	return all
}

// parseText reads a file's text.
func parseText(text []byte) (*written, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	p := &textParser{text, d}
	w, err := p.next()
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not JSON: something stands behind its end")
	}
	return w, nil
}

type textParser struct {
	text    []byte
	decoder *json.Decoder
}

// token is the next token and where it begins.
func (p *textParser) token() (json.Token, int, error) {
	begin := int(p.decoder.InputOffset())
	for begin < len(p.text) && bytes.IndexByte([]byte(" \t\r\n,:"), p.text[begin]) >= 0 {
		begin++
	}
	token, err := p.decoder.Token()
	return token, begin, err
}

func (p *textParser) next() (*written, error) {
	token, begin, err := p.token()
	if err != nil {
		return nil, err
	}
	w := &written{begin: begin}
	switch t := token.(type) {
	case nil:
		w.kind = nullKind
	case bool:
		w.kind = boolKind
	case json.Number:
		w.kind = numberKind
	case string:
		w.kind, w.text = stringKind, t
	case json.Delim:
		if err := p.inside(w, t); err != nil {
			return nil, err
		}
	}
	w.end = int(p.decoder.InputOffset())
	return w, nil
}

func (p *textParser) inside(w *written, open json.Delim) error {
	w.kind = arrayKind
	if open == '{' {
		w.kind = objectKind
	}
	for p.decoder.More() {
		var m writtenMember
		if w.kind == objectKind {
			token, begin, err := p.token()
			if err != nil {
				return err
			}
			m.name, _ = token.(string)
			m.begin = begin
		}
		value, err := p.next()
		if err != nil {
			return err
		}
		if w.kind == arrayKind {
			w.items = append(w.items, value)
			continue
		}
		m.value = value
		w.members = append(w.members, m)
	}
	_, err := p.decoder.Token()
	return err
}
