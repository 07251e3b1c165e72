package validator_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/testrig"
)

// How many events the tools look back on, and the dial for it, and the most memory that they may take: as much for a million.
const (
	backlogDial    = "DATAWATCH_BENCH_BACKLOG"
	defaultBacklog = 300_000
	mostToolMemory = 200 << 20
)

// BenchmarkToolsMemory reports how fast the commands infer and replay work, as processes of their own, and the most memory
// that they take (what the kernel counted), with as many events as DATAWATCH_BENCH_BACKLOG says.
func BenchmarkToolsMemory(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("the peak of a process is counted in other units")
	}
	n := defaultBacklog
	if text := os.Getenv(backlogDial); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n <= 0 {
			b.Fatalf("%s: %q is not a number of events", backlogDial, text)
		}
	}
	w := newTraffic(b, testrig.Kafka(b))
	records := make([]broker.Record, 0, 10_000)
	for i := range n {
		if records = append(records, w.clean(order(i))); len(records) == cap(records) || i == n-1 {
			w.publish(records...)
			records = records[:0]
		}
	}
	program := filepath.Join(b.TempDir(), "validator")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", program, "./cmd/validator").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	now, before := b.TempDir(), b.TempDir()
	writeFile(b, filepath.Join(before, "shop-db", "public.orders.json"), `{"properties": {"id": {"type": "integer"}}}`)
	writeFile(b, filepath.Join(now, "shop-db", "public.orders.json"), `{"required": ["id", "status", "total"], "properties": {"status": {"enum": ["new", "paid"]}, "total": {"type": "number"}},
		"x-rules": [{"id": "not-negative", "rule": "self.total >= 0", "message": "Negative total"}]}`)
	for name, args := range map[string][]string{ // a tenth of the events would newly fail
		"infer": {"infer", "--out", filepath.Join(b.TempDir(), "orders.json"), "--force"}, "replay": {"replay", now, "--against", before},
	} {
		b.Run(name, func(b *testing.B) {
			peak, took := 0, time.Duration(0)
			for b.Loop() {
				cmd := exec.CommandContext(b.Context(), program, append(args, "--stream", string(orders), "--last", strconv.Itoa(n), "--config", w.config)...)
				began := time.Now()
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				} else if name == "replay" && !strings.Contains(string(out), " events would newly fail") {
					b.Fatalf("%s", out)
				}
				took += time.Since(began)
				usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
				if !ok {
					b.Fatal("the process doesn't tell its peak")
				}
				if peak = max(peak, int(usage.Maxrss)<<10); peak > mostToolMemory {
					b.Errorf("%d MB at most, more than %d", peak>>20, mostToolMemory>>20)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(peak)/(1<<20), "peak-MB")
			b.ReportMetric(float64(n), "events")
			b.ReportMetric(float64(n*b.N)/took.Seconds(), "events/s")
		})
	}
}
