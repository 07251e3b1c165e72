package preprocessor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"datawatch/pkg/event"

	"datawatch/preprocessor/internal/deadletter"
)

// summary is a dead letter without what it holds, as JSON.
type summary struct {
	ID        string       `json:"id"`
	Stream    event.Stream `json:"stream"`
	Stage     string       `json:"stage"`
	Class     string       `json:"class"`
	Reason    string       `json:"reason"`
	Time      time.Time    `json:"time"`
	Origin    string       `json:"origin"`
	Partition int32        `json:"partition"`
	Offset    int64        `json:"offset"`
	Size      int          `json:"cut_from_bytes,omitempty"`
}

func summaryOf(f *deadletter.Found) summary {
	return summary{f.ID, f.Stream, f.Stage, f.Class, f.Reason, f.Time.UTC(), f.Origin, f.Partition, f.Offset, f.Size}
}

// whole is a dead letter with its bytes: base64 each, for they may be anything.
type whole struct {
	summary
	Key     []byte         `json:"key_base64"`
	Value   []byte         `json:"value_base64"`
	Headers []headerOfJSON `json:"headers"`
}

type headerOfJSON struct {
	Name  string `json:"name"`
	Value []byte `json:"value_base64"`
}

func wholeOf(f *deadletter.Found) whole {
	w := whole{summary: summaryOf(f), Key: f.Record.Key, Value: f.Record.Value, Headers: []headerOfJSON{}}
	for _, h := range f.Record.Headers {
		w.Headers = append(w.Headers, headerOfJSON{h.Name, h.Value})
	}
	return w
}

// replayed is what became of a letter that was to be sent again.
type replayed struct {
	Result string `json:"result"` // sent | would be sent | refused
	Why    string `json:"why,omitempty"`
	summary
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func printWhole(w io.Writer, f *deadletter.Found) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  class   %s\n  reason  %s\n  time    %s\n  origin  %s\n", f.Name(), f.Class, f.Reason, f.Time.UTC().Format(time.RFC3339), f.Origin)
	if f.Size > 0 {
		fmt.Fprintf(&b, "  cut     of %d bytes\n", f.Size)
	}
	for _, h := range f.Record.Headers {
		fmt.Fprintf(&b, "  header  %s: %s\n", readable([]byte(h.Name)), readable(h.Value))
	}
	fmt.Fprintf(&b, "  key     %s\n  value   %s\n\n", readable(f.Record.Key), readable(f.Record.Value))
	_, err := io.WriteString(w, b.String())
	return err
}

// readable is text as it is where a terminal can show it, else quoted, so that no byte of a record commands the terminal.
func readable(b []byte) string {
	if b == nil {
		return "null"
	}
	if utf8.Valid(b) && !strings.ContainsFunc(string(b), func(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 }) {
		return string(b)
	}
	return fmt.Sprintf("%q", b)
}
