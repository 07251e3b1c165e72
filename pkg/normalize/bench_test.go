package normalize

import (
	"encoding/json"
	"os"
	"testing"
)

// BenchmarkEvents is one update of a row, and one JSON record of Kafka, from raw to the bytes in clean.
func BenchmarkEvents(b *testing.B) {
	for _, name := range []string{"postgres-update", "kafka-object"} {
		b.Run(name, func(b *testing.B) {
			text, err := os.ReadFile("testdata/events/" + name + ".json")
			if err != nil {
				b.Fatal(err)
			}
			var c eventCase
			if err := json.Unmarshal(text, &c); err != nil {
				b.Fatal(err)
			}
			t := &testing.T{}
			raw := c.Raw.raw(t)
			n := New(Options{})
			b.SetBytes(int64(len(raw.Value)))
			b.ReportAllocs()
			buffer := make([]byte, 0, 4096)
			for b.Loop() {
				events, err := n.Events(b.Context(), raw)
				if err != nil {
					b.Fatal(err)
				}
				buffer = events[0].AppendJSON(buffer[:0])
			}
		})
	}
}
