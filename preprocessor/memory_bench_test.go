package preprocessor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/testrig"
)

// How many events wait when the peak of memory is taken, and the dial for it. What the preprocessor holds doesn't depend on
// it: batches and fetches are bounded by bytes. The default is what a bench of all can afford; 5000000 takes some minutes.
const (
	backlogDial    = "DATAWATCH_BENCH_BACKLOG"
	defaultBacklog = 300_000
	mostMemory     = 300 << 20
)

// childProcess names the configuration of a test process that is a preprocessor: see TestMain.
const childProcess = "DATAWATCH_TEST_PREPROCESSOR"

func backlog(tb testing.TB) int {
	text := os.Getenv(backlogDial)
	if text == "" {
		return defaultBacklog
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		tb.Fatalf("%s: %q is not a number of events", backlogDial, text)
	}
	return n
}

// BenchmarkPreprocessorMemory reports the most memory (VmHWM, of a process of its own) that a preprocessor takes to work off
// a backlog of events of about 600 bytes, as many as DATAWATCH_BENCH_BACKLOG says.
func BenchmarkPreprocessorMemory(b *testing.B) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		b.Skip("the peak of a process is read from /proc")
	}
	c := DefaultConfig()
	c.Broker.Addresses = strings.Split(testrig.Kafka(b), ",")
	events := backlog(b)
	peak, rate := 0, 0.0
	for b.Loop() { // each with a backlog of its own
		c.Broker.TopicPrefix = testrig.Prefix(b)
		if err := broker.EnsureTopics(b.Context(), c.Broker, slog.New(slog.DiscardHandler)); err != nil {
			b.Fatal(err)
		}
		loadRaw(b, c, events)
		var high int
		high, rate = workOff(b, c, events)
		if peak = max(peak, high); high > mostMemory {
			b.Errorf("%d MB at most, more than %d", high>>20, mostMemory>>20)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MB")
	b.ReportMetric(float64(events), "events-waiting")
	b.ReportMetric(rate, "events/s")
}

// workOff runs a preprocessor until clean holds all, and gives its peak.
func workOff(b *testing.B, c Config, events int) (peak int, rate float64) {
	file := filepath.Join(b.TempDir(), "datawatch.yaml")
	text := fmt.Sprintf("broker: {addresses: [%q], topic_prefix: %s}\npreprocessor: {listen: \"127.0.0.1:0\"}\n", strings.Join(c.Broker.Addresses, `", "`), c.Broker.TopicPrefix)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childProcess+"="+file)
	output, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, output) }()
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	ctx, cancel := context.WithTimeout(b.Context(), 30*time.Minute)
	defer cancel()
	for lag(b, c) > 0 {
		select {
		case <-ctx.Done():
			b.Fatal("the backlog wasn't worked off in time")
		case <-time.After(200 * time.Millisecond):
		}
	}
	return highWater(b, cmd.Process.Pid), float64(events) / time.Since(began).Seconds()
}

// lag is how many records of raw the group hasn't committed; the end of a partition's last transaction is never read.
func lag(b *testing.B, c Config) (sum int64) {
	s, err := broker.NewScanner(c.Broker, "bench")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	raw := broker.TopicsOf(c.Broker.TopicPrefix).Raw
	committed, err := s.Committed(group(c), raw)
	if err != nil {
		b.Fatal(err)
	}
	for partition, at := range committed {
		end, err := s.End(raw, partition)
		if err != nil {
			b.Fatal(err)
		}
		sum += max(0, end-1-at)
	}
	return sum
}

// highWater is the most memory that a process has had resident.
func highWater(b *testing.B, pid int) int {
	f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				b.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	b.Fatal("the process doesn't tell its peak")
	return 0
}
