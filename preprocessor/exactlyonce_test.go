package preprocessor_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"

	"datawatch/preprocessor"
)

// keys is how many rows the load is about.
const keys = 40

// load publishes rows, each with the next number of its key, until it is told to stop.
type load struct {
	stop context.CancelFunc
	sent chan int // how many rows were published, once it has stopped
}

func startLoad(t *testing.T, c preprocessor.Config, topics broker.Topics) *load {
	t.Helper()
	p := publisher(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{stop: cancel, sent: make(chan int, 1)}
	go func() {
		n := 0
		defer func() { l.sent <- n }()
		for ctx.Err() == nil {
			var batch []broker.Record
			for range keys / 2 {
				batch = append(batch, row(topics, int64(n/keys), n%keys, "load"))
				n++
			}
			if err := p.Publish(t.Context(), batch); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(10 * time.Millisecond) // a pace, not a wait
		}
	}()
	return l
}

// assertOnce demands that each key's numbers stand in clean once each, in order.
func assertOnce(t *testing.T, c preprocessor.Config, topics broker.Topics, sent int) {
	t.Helper()
	next := map[string]int{}
	for _, r := range await(t, c, topics.Clean, sent) {
		e, err := event.ParseClean(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`{"id":%s,"note":"load","seq":%d}`, strings.Trim(string(e.Change.Key), `{"id:}`), next[string(r.Key)])
		if string(e.Change.After) != want {
			t.Fatalf("key %s: %s where %s comes next", e.Change.Key, e.Change.After, want)
		}
		next[string(r.Key)]++
	}
	total := 0
	for _, n := range next {
		total += n
	}
	if total != sent {
		t.Errorf("%d events in clean, %d were sent", total, sent)
	}
	if letters, err := committed(t.Context(), c, topics.DeadLetter); err != nil || len(letters) > 0 {
		t.Errorf("%d dead letters, %v", len(letters), err)
	}
}

// awaitWork waits until the instance has committed events.
func (i *instance) awaitWork(t *testing.T) {
	t.Helper()
	testrig.Eventually(t, 40*time.Second, func() error {
		if metric(t, i.env.Metrics, "datawatch_preprocessor_events_normalized_total") == 0 {
			return errors.New("no event was committed")
		}
		return nil
	})
}

func TestStoppedInstancesLoseNothingAndDoubleNothing(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := settings(t, addr)
		l := startLoad(t, c, topics)
		first := start(t, c)
		first.awaitWork(t)
		second := start(t, c) // shares the partitions
		second.awaitWork(t)
		first.stop(t)
		third := start(t, c)
		third.awaitWork(t)
		second.stop(t)
		third.stop(t)
		start(t, c).awaitWork(t)
		l.stop()
		assertOnce(t, c, topics, <-l.sent)
	})
}

// childConfig names the configuration of a test process that is a preprocessor.
const childConfig = "DATAWATCH_TEST_PREPROCESSOR"

// startProcess starts a preprocessor in a process of its own.
func startProcess(t *testing.T, c preprocessor.Config) *exec.Cmd {
	t.Helper()
	file := filepath.Join(t.TempDir(), "datawatch.yaml")
	text := fmt.Sprintf("broker: {addresses: [%q], topic_prefix: %s, partitions: %d, max_record_bytes: %s}\npreprocessor: {listen: %q}\n",
		strings.Join(c.Broker.Addresses, `", "`), c.Broker.TopicPrefix, c.Broker.Partitions, c.Broker.MaxRecordBytes, c.Preprocessor.Listen)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childConfig+"="+file)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(cmd) })
	return cmd
}

// kill ends a process without giving it a chance to say goodbye.
func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

func TestKilledProcessLosesNothingAndDoublesNothing(t *testing.T) {
	c, topics := settings(t, testrig.Kafka(t))
	l := startLoad(t, c, topics)
	cmd := startProcess(t, c)
	seen := len(await(t, c, topics.Clean, 200))
	kill(cmd)
	start(t, c)
	await(t, c, topics.Clean, seen+200)
	l.stop()
	assertOnce(t, c, topics, <-l.sent)
}

// A process that stands still loses its partitions, and its transaction with them; when it wakes up it is somebody of
// yesterday.
func TestPausedZombieThatWakesUpWritesNothing(t *testing.T) {
	c, topics := settings(t, testrig.Kafka(t))
	l := startLoad(t, c, topics)
	zombie := startProcess(t, c)
	await(t, c, topics.Clean, 200)
	if err := zombie.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	paused := time.Now()
	start(t, c)
	seen := len(await(t, c, topics.Clean, 200)) // settled: whatever was left open is over
	await(t, c, topics.Clean, seen+keys)
	t.Logf("readers went on %v after the pause", time.Since(paused).Round(100*time.Millisecond))
	if err := zombie.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	seen = len(await(t, c, topics.Clean, seen))
	await(t, c, topics.Clean, seen+10*keys) // both at work
	l.stop()
	assertOnce(t, c, topics, <-l.sent)
}

// For as long as the dial says, one of two processes is killed at a random moment and another one started.
func TestProcessesKilledAtRandomLoseNothingAndDoubleNothing(t *testing.T) {
	c, topics := settings(t, testrig.Kafka(t))
	l := startLoad(t, c, topics)
	processes := []*exec.Cmd{startProcess(t, c), startProcess(t, c)}
	kills := 0
	for end := time.Now().Add(testrig.Soak()); time.Now().Before(end); kills++ {
		time.Sleep(500*time.Millisecond + rand.N(3*time.Second)) // the moment of the kill
		victim := rand.IntN(len(processes))
		kill(processes[victim])
		processes[victim] = startProcess(t, c)
	}
	l.stop()
	sent := <-l.sent
	assertOnce(t, c, topics, sent)
	t.Logf("%d kills, %d events", kills, sent)
}

func TestBrokerThatDiesAndComesBackLosesNothing(t *testing.T) {
	server := testrig.KafkaServer(t)
	c, topics := settings(t, server.Addr())
	sent := 0
	rows := func(n int) {
		p, err := broker.OpenPublisher(t.Context(), c.Broker, c.Broker.TopicPrefix+"-source-test")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		for range n {
			var batch []broker.Record
			for range keys {
				batch = append(batch, row(topics, int64(sent/keys), sent%keys, "load"))
				sent++
			}
			publish(t, p, batch...)
		}
	}
	rows(50)
	i := start(t, c)
	i.awaitWork(t) // while the rest of the backlog is under way
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows(1)
	assertOnce(t, c, topics, sent)
	i.awaitHealth(t, daemon.Ready)
}
