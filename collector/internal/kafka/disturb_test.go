package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/kafka"
)

// Requests by their keys (https://kafka.apache.org/protocol#protocol_api_keys): none of them changes anything, but for the
// offsets that are for people. Others, as of a group's members or to make a topic, are not to be seen.
var harmless = map[int16]string{1: "Fetch", 2: "ListOffsets", 3: "Metadata", 8: "OffsetCommit", 10: "FindCoordinator", 18: "ApiVersions"}

// TestClusterIsReadWithoutDisturbingIt has an Apache Kafka that makes each topic which somebody asks for, and listens to what
// the source asks: under which name, how much at a time, for committed records only.
func TestClusterIsReadWithoutDisturbingIt(t *testing.T) {
	behind := testrig.FreeAddress(t)
	ear := listenIn(t, behind)
	server := testrig.KafkaServerOf(t, kafka.Options{
		Settings:  map[string]string{"auto.create.topics.enable": "true"},
		Listeners: map[string]kafka.Listener{"WATCHED": {Address: behind, Advertised: ear.addr()}},
	})
	k := newCompany(t, server.Addr())
	orders, gone := k.topic(t, "orders", 2, nil), k.topic(t, "gone", 1, nil)
	before := k.topics(t)
	c := newCapture()
	stop := c.run(t, k.config(func(cfg *Config) {
		cfg.Addresses = []string{ear.addr()}
		cfg.Topics = append(cfg.Topics, "not-there")
	}))
	c.awaitBegun(t)
	k.send(t, message(orders, 0, "a"), message(gone, 0, "b"))
	c.awaitValues(t, "a", "b")
	if err := k.admin.DeleteTopic(gone); err != nil {
		t.Fatal(err)
	}
	testrig.Eventually(t, 30*time.Second, func() error { // the broker hears of it behind the controller's answer
		if k.topics(t)[gone] != 0 {
			return errors.New("the topic is there still")
		}
		return nil
	})
	asked := func(key int16) int { return ear.heard()[key] }
	for metadata := asked(3); asked(3) < metadata+5; { // the source has looked at the cluster without it
		k.send(t, message(orders, 1, "c"))
		testrig.Eventually(t, 30*time.Second, func() error {
			if asked(3) == metadata {
				return errors.New("the source doesn't look again")
			}
			return nil
		})
	}
	testrig.Eventually(t, 30*time.Second, func() error {
		if asked(8) == 0 {
			return errors.New("no offset was shown")
		}
		return nil
	})
	_ = stop()
	delete(before, gone)
	if after := k.topics(t); !maps.Equal(before, after) {
		t.Errorf("the cluster had the topics %v, and has %v", before, after)
	}
	for key := range ear.heard() {
		if harmless[key] == "" {
			t.Errorf("the source sent requests with the key %d", key)
		}
	}
	ear.mu.Lock()
	defer ear.mu.Unlock()
	if names := slices.Collect(maps.Keys(ear.names)); len(names) != 1 || names[0] != "datawatch" {
		t.Errorf("the source is called %q", names)
	}
	if ear.most == 0 || ear.most > fetchAll || ear.uncommitted > 0 {
		t.Errorf("the source asked for %d bytes at a time; %d fetches wanted what isn't committed", ear.most, ear.uncommitted)
	}
}

// topics are the cluster's, without Kafka's own.
func (c *company) topics(t *testing.T) map[string]int32 {
	t.Helper()
	all, err := c.admin.ListTopics()
	if err != nil {
		t.Fatal(err)
	}
	partitions := map[string]int32{}
	for name, detail := range all {
		if name != "__consumer_offsets" {
			partitions[name] = detail.NumPartitions
		}
	}
	return partitions
}

// ear is a listener in front of a broker that notes what is asked.
type ear struct {
	listener net.Listener
	behind   string
	open     sync.WaitGroup

	mu          sync.Mutex
	conns       []net.Conn
	requests    map[int16]int
	names       map[string]bool
	most        int32 // bytes that a fetch asked for
	uncommitted int   // fetches with read_uncommitted
}

func listenIn(t *testing.T, behind string) *ear {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &ear{listener: listener, behind: behind, requests: map[int16]int{}, names: map[string]bool{}}
	e.open.Go(e.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		e.mu.Lock()
		for _, c := range e.conns {
			_ = c.Close()
		}
		e.mu.Unlock()
		e.open.Wait()
	})
	return e
}

func (e *ear) addr() string { return e.listener.Addr().String() }

func (e *ear) heard() map[int16]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.requests)
}

func (e *ear) accept() {
	for {
		in, err := e.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", e.behind)
		if err != nil {
			_ = in.Close()
			continue
		}
		e.mu.Lock()
		e.conns = append(e.conns, in, out)
		e.mu.Unlock()
		e.open.Go(func() {
			_, _ = io.Copy(in, out)
			_ = in.Close()
		})
		e.open.Go(func() {
			_ = e.requestsOf(in, out)
			_ = out.Close()
		})
	}
}

// requestsOf passes requests on, one by one.
func (e *ear) requestsOf(in io.Reader, out io.Writer) error {
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(in, head); err != nil {
			return err
		}
		request := make([]byte, binary.BigEndian.Uint32(head))
		if _, err := io.ReadFull(in, request); err != nil {
			return err
		}
		e.note(request)
		if _, err := out.Write(append(head, request...)); err != nil {
			return err
		}
	}
}

// note reads a request's header: its key, its version, a number, and who asks (https://kafka.apache.org/protocol#protocol_messages).
func (e *ear) note(request []byte) {
	key, version := int16(binary.BigEndian.Uint16(request)), binary.BigEndian.Uint16(request[2:])
	name := 10 + int(binary.BigEndian.Uint16(request[8:]))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests[key]++
	e.names[string(request[10:name])] = true
	if fetch := request[name:]; key == 1 && version == 11 { // replica, max_wait, min_bytes, max_bytes, isolation
		e.most = max(e.most, int32(binary.BigEndian.Uint32(fetch[12:])))
		if fetch[16] != byte(sarama.ReadCommitted) {
			e.uncommitted++
		}
	} else if key == 1 {
		e.names[fmt.Sprintf("somebody with Fetch %d", version)] = true
	}
}

// TestReadingKeepsToItsBytesPerSecond has two shards share the rate.
func TestReadingKeepsToItsBytesPerSecond(t *testing.T) {
	const rate, size, each = 512 << 10, 16 << 10, 48 // of each partition three times what a shard may read in a second
	k := newCompany(t, testrig.Kafka(t))
	topic := k.topic(t, "orders", 2, nil)
	c := newCapture()
	shard := func(n int) *Source {
		return New(Options{Name: "k", Shard: n, Internal: internal(), Reporter: c, Config: k.config(func(cfg *Config) {
			cfg.MaxBytesPerSecond, cfg.Shards, cfg.Start = rate, 2, startEarliest
		})})
	}
	begin := c.runSource(t, shard(0))
	c.awaitBegun(t)
	_ = begin()
	value := string(make([]byte, size))
	for range each {
		k.send(t, message(topic, 0, value), message(topic, 1, value))
	}
	began := time.Now()
	c.runSource(t, shard(0))
	c.runSource(t, shard(1))
	testrig.Eventually(t, time.Minute, func() error {
		if n := len(c.values()); n != 2*each {
			return fmt.Errorf("%d of %d", n, 2*each)
		}
		return nil
	})
	// What came last of each shard, a second's worth at most, wasn't waited for.
	if took := time.Since(began); took < 2*time.Second-50*time.Millisecond {
		t.Errorf("%d bytes came within %s", 2*each*size, took)
	}
}

func TestItsOwnTopicsAreNotReadWhereTheInternalBrokerIsTheWatchedOne(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		k := newCompany(t, addr)
		orders, own := k.topic(t, "orders", 1, nil), k.topic(t, "datawatch.raw", 1, nil)
		c := newCapture()
		s := New(Options{Name: "k", Internal: internal(), Reporter: c, Config: k.config(func(cfg *Config) { cfg.Start = startEarliest })})
		s.selection.own = k.prefix + "." + internal().TopicPrefix + "."
		k.send(t, message(own, 0, "own"), message(orders, 0, "a"))
		c.runSource(t, s)
		c.awaitValues(t, "a")
		k.send(t, message(own, 0, "own"), message(orders, 0, "b"))
		c.awaitValues(t, "a", "b")
		if at := c.at(t, own+"/0"); at.Version != 0 {
			t.Errorf("its own topic has progress: %+v", at)
		}
	})
}

func TestTopicsAndPartitionsAreFoundWithin15Seconds(t *testing.T) {
	k := newCompany(t, testrig.Embedded(t))
	old := k.topic(t, "old", 1, nil)
	var want []string
	c := newCapture()
	c.runSource(t, New(Options{Name: "k", Config: k.config(nil), Internal: internal(), Reporter: c}))
	c.awaitBegun(t)
	partitions := int32(1)
	testrig.Promptly(t, 15*time.Second, func() time.Duration {
		began := time.Now()
		partitions++
		if err := k.admin.CreatePartitions(old, partitions, nil, false); err != nil {
			t.Fatal(err)
		}
		k.send(t, message(k.topic(t, fmt.Sprint("new-", partitions), 1, nil), 0, fmt.Sprint("a", partitions)))
		testrig.Eventually(t, 20*time.Second, func() error {
			_, _, err := k.producer.SendMessage(message(old, partitions-1, fmt.Sprint("b", partitions)))
			return err
		})
		want = append(want, fmt.Sprint("a", partitions), fmt.Sprint("b", partitions))
		c.awaitValues(t, want...)
		return time.Since(began)
	})
}
