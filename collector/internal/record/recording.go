package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"datawatch/pkg/event"
)

// MaxBytes bounds a recording's rows: Telegram takes files of 50 MB.
const MaxBytes = 48 << 20

// Recording is what changed between two moments, in the order of each source.
type Recording struct {
	Name         string        `json:"name,omitempty"`
	Tag          string        `json:"tag,omitempty"` // where only what carries it was recorded
	From         time.Time     `json:"from"`
	To           time.Time     `json:"to"`
	Beyond       int           `json:"beyond,omitempty"`        // changes that didn't fit
	BrokenBeyond int           `json:"broken_beyond,omitempty"` // broken rules that didn't
	Transactions []Transaction `json:"-"`
}

// Transaction is what one transaction did, or one record of a topic.
type Transaction struct {
	Source   string       `json:"source"`
	ID       string       `json:"transaction,omitempty"`
	Time     string       `json:"time"`
	Actor    *event.Actor `json:"actor,omitempty"`
	Tag      string       `json:"tag,omitempty"`
	Changes  []Change     `json:"changes"`
	Findings []Broken     `json:"broken,omitempty"`
}

// Change is one change of one row or document, or a record.
type Change struct {
	EventID   string          `json:"id"`
	Stream    event.Stream    `json:"stream"`
	Op        event.Op        `json:"op"`
	Key       json.RawMessage `json:"key,omitempty"`
	Before    json.RawMessage `json:"before,omitempty"`
	After     json.RawMessage `json:"after,omitempty"`
	MovedTo   json.RawMessage `json:"moved_to,omitempty"`
	MovedFrom json.RawMessage `json:"moved_from,omitempty"`
}

// Broken is a rule or a schema that a change broke.
type Broken struct {
	EventID  string `json:"id"`
	Rule     string `json:"rule"` // or the place in the row
	Message  string `json:"message"`
	Actual   string `json:"actual,omitempty"`
	Expected string `json:"expected,omitempty"`
	// Own is that the message is the rule's own; any other is a phrase of the validator's.
	Own bool `json:"-"`
}

// Changes is how many changes the recording holds.
func (r *Recording) Changes() int {
	n := 0
	for _, t := range r.Transactions {
		n += len(t.Changes)
	}
	return n
}

// Broken is how many rules the recorded changes broke, with those that didn't fit.
func (r *Recording) Broken() int {
	n := r.BrokenBeyond
	for _, t := range r.Transactions {
		n += len(t.Findings)
	}
	return n
}

// WriteJSONLines writes a line about the recording, and then one for each transaction.
func (r *Recording) WriteJSONLines(w io.Writer) error {
	out := bufio.NewWriter(w)
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return err
	}
	for _, t := range r.Transactions {
		if err := e.Encode(t); err != nil {
			return err
		}
	}
	return out.Flush()
}

// ReadJSONLines reads what WriteJSONLines wrote.
func ReadJSONLines(text []byte) (*Recording, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	r := &Recording{}
	if err := d.Decode(r); err != nil {
		return nil, fmt.Errorf("read recording: %w", err)
	}
	for {
		var t Transaction
		err := d.Decode(&t)
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read recording, transaction %d: %w", len(r.Transactions)+1, err)
		}
		r.Transactions = append(r.Transactions, t)
	}
}
