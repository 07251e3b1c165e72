package collector

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/collector/internal/remote"
	"datawatch/collector/internal/source"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/testrig"
)

// traffic writes numbered records to every partition of a topic, until it is stopped.
type traffic struct {
	topic    string
	producer sarama.SyncProducer
	mu       sync.Mutex
	next     []int // of each partition
	failed   error
	end      func()

	behind []int64 // what was seen in raw's partitions
	came   []int   // how many records of each partition
}

func newTraffic(t *testing.T, addr, topic string, partitions int32) *traffic {
	t.Helper()
	createTopic(t, addr, topic, partitions)
	s, err := broker.ClientConfig(config.Cluster{Addresses: strings.Split(addr, ",")}, "test")
	if err != nil {
		t.Fatal(err)
	}
	s.Producer.Return.Successes, s.Producer.RequiredAcks, s.Producer.Partitioner = true, sarama.WaitForAll, sarama.NewManualPartitioner
	s.Producer.Idempotent, s.Net.MaxOpenRequests = true, 1
	producer, err := sarama.NewSyncProducer(strings.Split(addr, ","), s)
	if err != nil {
		t.Fatal(err)
	}
	w := &traffic{topic: topic, producer: producer, next: make([]int, partitions)}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				w.write()
			}
		}
	}()
	var once sync.Once
	w.end = func() {
		once.Do(func() {
			close(stop)
			<-stopped
			_ = producer.Close() // every answer was waited for
			if w.failed != nil {
				t.Error(w.failed)
			}
		})
	}
	t.Cleanup(w.end)
	return w
}

// write writes the next record of each partition.
func (w *traffic) write() {
	w.mu.Lock()
	defer w.mu.Unlock()
	messages := make([]*sarama.ProducerMessage, len(w.next))
	for p := range w.next {
		messages[p] = &sarama.ProducerMessage{Topic: w.topic, Partition: int32(p), Value: sarama.StringEncoder(fmt.Sprintf("%d:%d", p, w.next[p]))}
		w.next[p]++
	}
	if err := w.producer.SendMessages(messages); err != nil {
		w.failed = err
	}
}

func (w *traffic) written() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]int(nil), w.next...)
}

// await waits until everything that is written now is in raw, where each partition's records must be once and in order;
// it gives how long that took.
func (w *traffic) await(t *testing.T, c Config) time.Duration {
	t.Helper()
	if w.behind == nil {
		w.behind, w.came = make([]int64, c.Broker.Partitions), make([]int, len(w.next))
	}
	began, want := time.Now(), w.written()
	testrig.WhileMoving(t, time.Minute, func() (far int, err error) {
		for _, r := range rawSince(t, c, w.behind) {
			var partition, number int
			if _, err := fmt.Sscanf(string(r.Value), "%d:%d", &partition, &number); err != nil {
				t.Fatalf("%s: %v", r.Value, err)
			}
			if number != w.came[partition] {
				t.Fatalf("partition %d: %d came where %d was due", partition, number, w.came[partition])
			}
			w.came[partition]++
		}
		for p := range want {
			far += min(w.came[p], want[p])
			if w.came[p] < want[p] {
				err = fmt.Errorf("%d of %d records of partition %d are in raw", w.came[p], want[p], p)
			}
		}
		return far, err
	})
	return time.Since(began)
}

// collectorProcess is a collector as a process of its own.
type collectorProcess struct {
	cmd  *exec.Cmd
	file string
}

// writeConfiguration writes a collector's file with Kafka sources, name by name with its topics.
func writeConfiguration(t *testing.T, file string, c Config, company string, shards int, sources ...[2]string) {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "broker: {addresses: [%q], topic_prefix: %q, partitions: %d}\ncollector:\n  listen: 127.0.0.1:0\n  sources:\n",
		strings.Join(c.Broker.Addresses, `", "`), c.Broker.TopicPrefix, c.Broker.Partitions)
	for _, s := range sources {
		fmt.Fprintf(&text, "    - name: %s\n      kafka: {addresses: [%q], topics: [%q], start: earliest, shards: %d}\n", s[0], company, s[1], shards)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func startProcess(t *testing.T, file string) *collectorProcess {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "collector-*.log")
	if err != nil {
		t.Fatal(err)
	}
	p := &collectorProcess{cmd: exec.Command(os.Args[0]), file: file}
	p.cmd.Env = append(os.Environ(), runEnv+"="+file)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have been killed before
		_ = p.cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("collector %d:\n%s", p.cmd.Process.Pid, text)
		}
		_ = log.Close()
	})
	return p
}

func (p *collectorProcess) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// takeover is within which another collector goes on.
const takeover = 15 * time.Second

func TestKilledAndPausedCollectorsAreReplacedWithin15SecondsAndNothingIsLostOrTwice(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		t.Parallel()
		prefix := testrig.Prefix(t)
		c := configuration(t, addr, addr, prefix)
		w := newTraffic(t, addr, prefix+".numbers", 4)
		file := filepath.Join(t.TempDir(), "datawatch.yaml")
		writeConfiguration(t, file, c, addr, 4, [2]string{"shop-kafka", prefix + ".*"})
		a, b := startProcess(t, file), startProcess(t, file)
		testrig.Eventually(t, 60*time.Second, func() error { return bothAtWork(t, c) })
		w.await(t, c)

		testrig.Promptly(t, takeover, func() time.Duration {
			a.signal(t, syscall.SIGSTOP)
			w.write()
			took := w.await(t, c)
			a.signal(t, syscall.SIGCONT) // it goes on with what it was about to write
			testrig.Eventually(t, 30*time.Second, func() error { return bothAtWork(t, c) })
			w.await(t, c)
			return took
		})
		testrig.Promptly(t, takeover, func() time.Duration {
			b.signal(t, syscall.SIGKILL)
			w.write()
			took := w.await(t, c)
			if took > takeover { // once more, then
				b = startProcess(t, file)
				testrig.Eventually(t, 30*time.Second, func() error { return bothAtWork(t, c) })
			}
			return took
		})
		w.end()
		w.await(t, c)
	})
}

// bothAtWork looks whose signs of life the shards bear.
func bothAtWork(t *testing.T, c Config) error {
	t.Helper()
	scanner, err := broker.NewScanner(c.Broker, "test")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }()
	signs, err := scanner.State(t.Context(), broker.TopicsOf(c.Broker.TopicPrefix).State, "runner/")
	if err != nil {
		return err
	}
	holders := map[string]int{}
	for _, sign := range signs {
		_, holder, _ := strings.Cut(string(sign), `"holder":"`)
		holder, _, _ = strings.Cut(holder, `"`)
		holders[holder]++
	}
	if len(signs) != 4 || len(holders) != 2 {
		return fmt.Errorf("%d shards are at work in %v", len(signs), holders)
	}
	return nil
}

func TestChangingTheNumberOfShardsLosesAndRepeatsNothing(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		t.Parallel()
		prefix := testrig.Prefix(t)
		c := configuration(t, addr, addr, prefix)
		w := newTraffic(t, addr, prefix+".numbers", 6)
		c.Collector.Sources[0].Kafka.Start = "earliest"
		var before *running
		for _, shards := range []int{1, 3, 2, 1} {
			k := *c.Collector.Sources[0].Kafka
			k.Shards = shards
			c.Collector.Sources = []Source{{Name: "shop-kafka", Kafka: &k}}
			now := start(t, c) // beside the one with the former number
			w.await(t, c)
			if before != nil {
				before.stop()
			}
			before = now
			w.await(t, c)
			testrig.Eventually(t, 30*time.Second, func() error { return streamsIn(t, c, shards) })
		}
		w.end()
		w.await(t, c)
	})
}

// streamsIn tells whether the source's status is that of so many shards, all of which stream.
func streamsIn(t *testing.T, c Config, shards int) error {
	seen, err := remote.Look(t.Context(), c.Broker, []string{"shop-kafka"})
	if err != nil {
		return err
	}
	if s := seen["shop-kafka"].Status; s == nil || s.State != source.Streaming || max(s.Shards, 1) != shards {
		return fmt.Errorf("of %d shards the status is %+v", shards, s)
	}
	return nil
}

func TestHangupTakesASourceIn(t *testing.T) {
	addr, prefix := testrig.Embedded(t), testrig.Prefix(t)
	c := configuration(t, addr, addr, prefix)
	w := newTraffic(t, addr, prefix+".numbers", 2)
	other := prefix + "-other.numbers"
	createTopic(t, addr, other, 1)
	file := filepath.Join(t.TempDir(), "datawatch.yaml")
	first, second := [2]string{"one", prefix + ".*"}, [2]string{"two", prefix + "-other.*"}
	writeConfiguration(t, file, c, addr, 1, first)
	p := startProcess(t, file)
	w.await(t, c)
	writeConfiguration(t, file, c, addr, 1, first, second)
	p.signal(t, syscall.SIGHUP)
	w.end()
	w.await(t, c)
	total := len(raw(t, c))
	produce(t, addr, &sarama.ProducerMessage{Topic: other, Value: sarama.StringEncoder("0:0")})
	awaitRaw(t, c, total+1)
}
