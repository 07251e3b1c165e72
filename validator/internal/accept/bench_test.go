package accept_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/validator/internal/accept"
	"datawatch/validator/internal/accept/ordersample"
	"datawatch/validator/internal/verdict"
)

func record(n int, total string) []byte { return ordersample.Event(n, total).AppendJSON(nil) }

// BenchmarkAcceptor compares, event by event in one run on one core: encoding/json and the library on the row alone,
// without envelope or rules; the judge without the acceptor; and the acceptor with the judge behind it, envelope and
// rules included, on valid events and on those of which one in a hundred is invalid.
func BenchmarkAcceptor(b *testing.B) {
	file := loadFile(b, ordersample.Schema)
	program := accept.Compile(file)
	const n = 1000
	var rows, right, mixed [][]byte
	for i := range n {
		rows = append(rows, []byte(ordersample.Row(i, ordersample.RightTotal)))
		right = append(right, record(i, ordersample.RightTotal))
		mixed = append(mixed, record(i, ordersample.RightTotal))
		if i%100 == 50 {
			mixed[i] = record(i, "172.43")
		}
	}
	b.Logf("a row has %d bytes, an event %d", len(rows[0]), len(right[0]))
	library := func() {
		for _, row := range rows {
			d := json.NewDecoder(bytes.NewReader(row))
			d.UseNumber()
			var v any
			if err := d.Decode(&v); err != nil {
				b.Fatal(err)
			}
			if err := file.Schema.Validate(v); err != nil {
				b.Fatal(err)
			}
		}
	}
	judge := func(value []byte) {
		clean, err := event.ParseClean(value)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := verdict.Judge(b.Context(), file, clean, event.ViolationPosition{}, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
	reader, asked := accept.NewReader(), 0
	ours := func(records [][]byte) {
		asked = 0
		for _, value := range records {
			if _, ok := reader.Read(value); ok {
				if reader.Accepts(b.Context(), program) {
					continue
				}
			}
			asked++
			judge(value)
		}
	}
	took := map[string]time.Duration{}
	measure := func(name string, run func()) {
		begin := time.Now()
		run()
		took[name] += time.Since(begin)
	}
	share := map[string]float64{}
	for b.Loop() {
		measure("library", library)
		measure("valid", func() { ours(right) })
		share["valid"] = 1 - float64(asked)/n
		measure("mixed", func() { ours(mixed) })
		share["mixed"] = 1 - float64(asked)/n
		measure("judge", func() {
			for _, value := range right {
				judge(value)
			}
		})
	}
	rate := func(name string) float64 { return float64(n*b.N) / took[name].Seconds() }
	b.ReportMetric(0, "ns/op")
	for _, name := range []string{"library", "judge", "valid", "mixed"} {
		b.ReportMetric(rate(name), name+"-events/s")
	}
	b.ReportMetric(rate("valid")/rate("library"), "valid-of-library")
	b.ReportMetric(rate("mixed")/rate("library"), "mixed-of-library")
	b.ReportMetric(share["valid"], "valid-fast-share")
	b.ReportMetric(share["mixed"], "mixed-fast-share")
}

// BenchmarkParts says what an event costs on one core: its index alone, and with schema and rules.
func BenchmarkParts(b *testing.B) {
	program := accept.Compile(loadFile(b, ordersample.Schema))
	plain := accept.Compile(loadFile(b, ordersample.SchemaWithoutRules()))
	value := record(1, ordersample.RightTotal)
	reader := accept.NewReader()
	for name, program := range map[string]*accept.Program{"index": nil, "index and schema": plain, "index, schema and rules": program} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(value)))
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := reader.Read(value); !ok || program != nil && !reader.Accepts(b.Context(), program) {
					b.Fatal("not accepted")
				}
			}
		})
	}
}
