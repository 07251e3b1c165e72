package normalize

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"datawatch/pkg/event"
)

// eventCase is a file of testdata/events: a raw record, and the clean events or the error that it becomes.
type eventCase struct {
	About string            `json:"about"`
	Raw   rawCase           `json:"raw"`
	Clean []json.RawMessage `json:"clean,omitempty"`
	Class Class             `json:"class,omitempty"`
	Error string            `json:"error,omitempty"`
}

type rawCase struct {
	Type       string          `json:"type,omitempty"` // default event.RawType
	Kind       event.Kind      `json:"kind"`
	ID         string          `json:"id"`
	Stream     event.Stream    `json:"stream"`
	Time       time.Time       `json:"time"`
	Key        *string         `json:"key,omitempty"`
	KeyBytes   []byte          `json:"key_base64,omitempty"`
	Row        json.RawMessage `json:"row,omitempty"`
	Text       *string         `json:"text,omitempty"`
	Bytes      []byte          `json:"base64,omitempty"`
	Headers    [][2]*string    `json:"headers,omitempty"`
	CapturedAt time.Time       `json:"captured_at"`
}

func (c *rawCase) raw(t *testing.T) *event.Raw {
	t.Helper()
	r := &event.Raw{
		Type: event.RawType, Kind: c.Kind, ID: c.ID, Stream: c.Stream, Time: c.Time, Key: c.KeyBytes, Value: c.Bytes, CapturedAt: c.CapturedAt,
	}
	if c.Type != "" {
		r.Type = c.Type
	}
	if c.Key != nil {
		r.Key = []byte(*c.Key)
	}
	switch {
	case c.Row != nil:
		r.Value = []byte(compacted(t, c.Row))
	case c.Text != nil:
		r.Value = []byte(*c.Text)
	}
	for _, h := range c.Headers {
		header := event.Header{Name: *h[0]}
		if h[1] != nil {
			header.Value = []byte(*h[1])
		}
		r.Headers = append(r.Headers, header)
	}
	return r
}

func eachEvent(t *testing.T, run func(t *testing.T, file string, c *eventCase)) {
	t.Helper()
	eachGolden(t, "events", func() any { return new(eventCase) }, func(t *testing.T, file string, c any) {
		run(t, file, c.(*eventCase))
	})
}

func TestEveryRawRecordBecomesItsEvents(t *testing.T) {
	n := New(Options{})
	eachEvent(t, func(t *testing.T, file string, c *eventCase) {
		events, err := n.Events(t.Context(), c.Raw.raw(t))
		var got eventCase
		if wrong, ok := errors.AsType[*Error](err); ok {
			got.Class, got.Error = wrong.Class, wrong.Reason
		}
		for _, e := range events {
			got.Clean = append(got.Clean, e.AppendJSON(nil))
		}
		if *update {
			got.About, got.Raw = c.About, c.Raw
			writeGolden(t, file, got)
			return
		}
		if got.Class != c.Class || got.Error != c.Error {
			t.Errorf("error %q, %q; not %q, %q", got.Class, got.Error, c.Class, c.Error)
		}
		if len(got.Clean) != len(c.Clean) {
			t.Fatalf("%d events, not %d", len(got.Clean), len(c.Clean))
		}
		for i, clean := range got.Clean {
			if want := compacted(t, c.Clean[i]); string(clean) != want {
				t.Errorf("event %d is\n%s\nnot\n%s", i, clean, want)
			}
		}
	})
}

// The key of a row that the collector computes is the one that stands in clean: for every golden row.
func TestRowKeyIsTheKeyInClean(t *testing.T) {
	checked := 0
	eachEvent(t, func(t *testing.T, _ string, c *eventCase) {
		if c.Raw.Kind != event.Postgres || c.Raw.Row == nil || c.Error != "" || c.Raw.Key == nil {
			return
		}
		var row event.RowChange
		if err := json.Unmarshal(c.Raw.Row, &row); err != nil {
			t.Fatal(err)
		}
		image := row.After
		if row.Op == event.Delete {
			image = row.Before
		}
		key, err := RowKey(row.Columns, row.KeyColumns, image)
		if err != nil {
			t.Fatal(err)
		}
		if string(key) != *c.Raw.Key {
			t.Errorf("key %s, not %s", key, *c.Raw.Key)
		}
		checked++
	})
	if checked == 0 {
		t.Error("no row was checked")
	}
}

func TestCleanEventsAreReadBackAsTheyWereWritten(t *testing.T) {
	eachEvent(t, func(t *testing.T, _ string, c *eventCase) {
		for _, clean := range c.Clean {
			text := compacted(t, clean)
			e, err := event.ParseClean([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(e.AppendJSON(nil)); got != text {
				t.Errorf("read back as\n%s\nnot\n%s", got, text)
			}
		}
	})
}
