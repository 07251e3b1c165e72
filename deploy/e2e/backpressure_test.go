package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/deploy/telegramsim"
	"datawatch/pkg/broker"
	"datawatch/pkg/testrig"
)

const (
	waitingTopic      = "waiting"
	waitingPartitions = 6
	waitingRecord     = 8 << 10
	// waitingPerSecond is how much waits for each second that the dial says, where waitingEnv doesn't say it.
	waitingPerSecond = 12 << 20
	waitingEnv       = "DATAWATCH_WAITING_MB"
	// slowest is how many bytes a second a collector captures at least, on whatever machine.
	slowest      = 8 << 20
	mostResident = 200 << 20
)

// TestSlowOrAbsentBrokerPausesReadingWithinBoundedMemory has a collector find a lot of records waiting, while its own broker
// is slow, then away, then back: it never holds much, and every record is in raw once.
func TestSlowOrAbsentBrokerPausesReadingWithinBoundedMemory(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("the peak of a process is read from /proc")
	}
	brokers, internal, _ := twoFacedKafka(t)
	servers := places{DSN: testrig.Postgres(t).Database(t), Company: brokers, Internal: brokers}
	via := servers
	via.Internal = internal.addr()
	w := newWorldOf(t, servers, via, telegramsim.Limits{})
	company := newFiller(t, brokers)
	w.start("collector")
	w.end("collector")
	waits := waitingBytes(t)
	records := company.fill(t, waits/waitingRecord, waitingRecord)

	slow := `{"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 1000}}`
	if _, err := internal.proxy.Toxics.AddToxicJson(strings.NewReader(slow)); err != nil {
		t.Fatal(err)
	}
	w.start("collector")
	testrig.Eventually(t, 2*time.Minute, func() error { return w.hasRaw(1) })
	internal.proxy.Stop()
	time.Sleep(testrig.Soak() / 2) // as long as it likes to read on
	testrig.Eventually(t, 10*time.Second, internal.proxy.Start)
	internal.proxy.Toxics.ResetToxics(t.Context())
	testrig.Eventually(t, 5*time.Minute+time.Duration(waits/slowest)*time.Second, func() error { return w.hasRead(int64(records)) })

	peak := highWater(t, w.processes["collector"].PID())
	t.Logf("%d MB waited; the collector held %d MB at most", records*waitingRecord>>20, peak>>20)
	if peak > mostResident {
		t.Errorf("the collector held %d MB at most, more than %d", peak>>20, mostResident>>20)
	}
	w.end("collector")
	if ids := w.rawIDs(); len(ids) != records {
		t.Errorf("raw has %d records, not %d", len(ids), records)
	}
}

// waitingBytes is how much is to wait: DATAWATCH_WAITING_MB=10240 is 10 GB, for which the disk needs twice as much.
func waitingBytes(t *testing.T) int {
	t.Helper()
	text := os.Getenv(waitingEnv)
	if text == "" {
		return int(testrig.Soak().Seconds() * waitingPerSecond)
	}
	megabytes, err := strconv.Atoi(text)
	if err != nil || megabytes < 1 {
		t.Fatalf("%s is %q, not a number of megabytes", waitingEnv, text)
	}
	return megabytes << 20
}

// end stops a service in order.
func (w *world) end(name string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := w.processes[name].Stop(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// filler writes records into the company's Kafka.
type filler struct{ producer sarama.AsyncProducer }

func newFiller(t testing.TB, addr string) filler {
	t.Helper()
	c := sarama.NewConfig()
	c.Version = sarama.V2_8_0_0
	c.Admin.Timeout = 20 * time.Second
	c.Producer.RequiredAcks, c.Producer.Return.Successes = sarama.WaitForAll, true
	c.Producer.Partitioner = sarama.NewRoundRobinPartitioner
	admin, err := sarama.NewClusterAdmin([]string{addr}, c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	if err := admin.CreateTopic(waitingTopic, &sarama.TopicDetail{NumPartitions: waitingPartitions, ReplicationFactor: 1}, false); err != nil {
		t.Fatal(err)
	}
	producer, err := sarama.NewAsyncProducer([]string{addr}, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close() })
	return filler{producer}
}

// fill writes n records of a size that no compression makes smaller, and gives n.
func (f filler) fill(t testing.TB, n, size int) int {
	t.Helper()
	noise := make([]byte, 1<<20)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	go func() {
		for i := range n {
			value := make([]byte, 0, size)
			value = binary.BigEndian.AppendUint64(value, uint64(i))
			from := i * 7919 % (len(noise) - size)
			f.producer.Input() <- &sarama.ProducerMessage{Topic: waitingTopic, Value: sarama.ByteEncoder(append(value, noise[from:from+size-8]...))}
		}
	}()
	for range n {
		select {
		case <-f.producer.Successes():
		case err := <-f.producer.Errors():
			t.Fatal(err)
		}
	}
	return n
}

// hasRaw tells whether raw has that many offsets, those of markers included.
func (w *world) hasRaw(n int64) error {
	_, topics := w.broker()
	sum, err := w.settled(topics.Raw)
	if err != nil {
		return err
	}
	if sum < n {
		return fmt.Errorf("raw has %d of %d", sum, n)
	}
	return nil
}

// hasRead tells whether the collector has committed that it is behind the waiting topic's n records. They are in raw then: one
// transaction holds both. (raw's own offsets don't tell, for markers have some too.)
func (w *world) hasRead(n int64) error {
	c, topics := w.broker()
	s, err := broker.NewScanner(c, "e2e")
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	progress, err := s.State(w.t.Context(), topics.State, "source/shop-kafka/"+waitingTopic+"/")
	if err != nil {
		return err
	}
	var sum int64
	for partition, text := range progress {
		var at struct {
			Offset int64 `json:"offset"`
		}
		if err := json.Unmarshal(text, &at); err != nil {
			return fmt.Errorf("%s: %w", partition, err)
		}
		sum += at.Offset
	}
	if sum != n {
		return fmt.Errorf("%d of %d records are read", sum, n)
	}
	return nil
}

// rawIDs are the ids of what raw holds of the waiting topic; none may be there twice.
func (w *world) rawIDs() map[string]bool {
	w.t.Helper()
	c, topics := w.broker()
	s, err := broker.NewScanner(c, "e2e")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	partitions, err := s.Partitions(topics.Raw)
	if err != nil {
		w.t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, p := range partitions {
		end, err := s.Settled(w.t.Context(), topics.Raw, p)
		if err != nil {
			w.t.Fatal(err)
		}
		err = s.Scan(w.t.Context(), topics.Raw, p, 0, end, func(r broker.Record) error {
			for _, h := range r.Headers {
				if h.Name != "ce_id" || !strings.HasPrefix(string(h.Value), "shop-kafka/"+waitingTopic+"/") {
					continue
				}
				if ids[string(h.Value)] {
					return fmt.Errorf("%s is there twice", h.Value)
				}
				ids[string(h.Value)] = true
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return ids
}

// highWater is the most memory that a process has had resident.
func highWater(t testing.TB, pid int) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
