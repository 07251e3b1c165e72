package preprocessor_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"

	"datawatch/preprocessor"
)

// mostHeap is what a preprocessor may hold whatever it reads.
const mostHeap = 300 << 20

// repeated is a record of shop-kafka/blobs whose value is one digit, many times.
func repeated(topics broker.Topics, offset int64, digit byte, times int) testrig.Repeated {
	r := blob(topics, offset, nil)
	var headers []kmsg.Header
	for _, h := range r.Headers {
		headers = append(headers, kmsg.Header{Key: h.Name, Value: h.Value})
	}
	return testrig.Repeated{Key: r.Key, Value: digit, Times: times, Headers: headers}
}

// One batch of 30 KB is one record of 300 MB; another one is forty records of 600 KB each, of which every one is fine.
func TestBatchThatUnfoldsToHundredsOfMegabytesGrowsNobodyAndHoldsUpNothing(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := settings(t, addr)
		p := publisher(t, c)
		const large, many, size = 300 << 20, 40, 600_000
		bomb := repeated(topics, 1, '0', large)
		testrig.SendUnfolding(t, addr, topics.Raw, 0, repeated(topics, 0, '1', 1), bomb, repeated(topics, 2, '3', 1))
		var all []testrig.Repeated
		for i := range int64(many) {
			all = append(all, repeated(topics, 10+i, '1'+byte(i%9), size))
		}
		testrig.SendUnfolding(t, addr, topics.Raw, 0, all...)
		publish(t, p, row(topics, 1, 7, "behind"))
		peak := testrig.PeakHeap()
		start(t, c)
		letters := await(t, c, topics.DeadLetter, 1)
		awaitRead(t, c, topics.Raw, 3+many)
		if most := peak(); most > mostHeap {
			t.Errorf("the heap grew to %d MB", most>>20)
		} else {
			t.Logf("the heap grew to %d MB", most>>20)
		}
		assertBlobs(t, c.Broker, topics, many, size)
		l := letters[0]
		whole := broker.Record{Key: bomb.Key}
		for _, h := range bomb.Headers {
			whole.Headers = append(whole.Headers, event.Header{Name: h.Key, Value: h.Value})
		}
		if len(letters) != 1 || header(l, "datawatch_error_class") != "too_large" || header(l, "datawatch_error_size") != strconv.Itoa(whole.Size()+large) ||
			!strings.HasPrefix(header(l, "datawatch_error_reason"), "the record has 31457") || header(l, "ce_id") != "shop-kafka/blobs/0/20261122T101500Z.0000000000000000001" {
			t.Errorf("%d letters: %s bytes, %s, %s, %s", len(letters), header(l, "datawatch_error_size"), header(l, "datawatch_error_class"), header(l, "datawatch_error_reason"), header(l, "ce_id"))
		}
		if len(l.Value) < 1<<20 || len(bytes.Trim(l.Value, "0")) > 0 {
			t.Errorf("the letter has %d bytes of the record", len(l.Value))
		}
	})
}

// awaitRead waits until the preprocessor has committed so many records of each partition of raw that has any.
func awaitRead(t *testing.T, c preprocessor.Config, topic string, offset int64) {
	t.Helper()
	testrig.Eventually(t, time.Minute, func() error {
		s, err := broker.NewScanner(c.Broker, "test")
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		next, err := s.Committed(c.Broker.TopicPrefix+"-preprocessor", topic)
		if err != nil {
			return err
		}
		for p, at := range next {
			end, err := s.End(topic, p)
			if err != nil {
				return err
			}
			if at < min(end, offset) {
				return fmt.Errorf("partition %d is read to %d", p, at)
			}
		}
		return nil
	})
}

// assertBlobs reads clean one by one: the records that were small, and those of the second batch in their order.
func assertBlobs(t *testing.T, b config.Broker, topics broker.Topics, many, size int) {
	t.Helper()
	s, err := broker.NewScanner(b, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var values []string
	for p := range b.Partitions {
		end, err := s.Settled(t.Context(), topics.Clean, p)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Scan(t.Context(), topics.Clean, p, 0, end, func(r broker.Record) error {
			e, err := event.ParseClean(r.Value)
			if err == nil && e.Stream == "shop-kafka/blobs" {
				values = append(values, fmt.Sprintf("%d × %.1s", len(e.Change.After), e.Change.After))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"1 × 1", "1 × 3"}
	for i := range many {
		want = append(want, fmt.Sprintf("%d × %c", size, '1'+byte(i%9)))
	}
	if strings.Join(values, ", ") != strings.Join(want, ", ") {
		t.Errorf("clean holds %.500v", values)
	}
}

// The same by what the system says of a process of its own.
func TestProcessStaysSmallWhateverUnfolds(t *testing.T) {
	testrig.WithoutRaceDetector(t, "the detector's own memory would be measured")
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("the peak of a process is read from /proc")
	}
	addr := testrig.Kafka(t)
	c, topics := settings(t, addr)
	var all []testrig.Repeated
	for i := range int64(50) {
		all = append(all, repeated(topics, i, '7', 1<<20-1000))
	}
	for p := range c.Broker.Partitions {
		testrig.SendUnfolding(t, addr, topics.Raw, p, append(all[:len(all):len(all)], repeated(topics, 1000, '0', 300<<20))...)
	}
	cmd := startProcess(t, c)
	await(t, c, topics.DeadLetter, int(c.Broker.Partitions))
	awaitRead(t, c, topics.Raw, 51)
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MB at most", kilobytes>>10)
	if kilobytes<<10 > mostHeap {
		t.Errorf("the process had %d MB", kilobytes>>10)
	}
}
