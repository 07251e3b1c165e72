package preprocessor_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"

	"datawatch/preprocessor"
)

// blob is a record of shop-kafka/blobs.
func blob(topics broker.Topics, offset int64, value []byte) broker.Record {
	stream := event.StreamOf("shop-kafka", "blobs")
	return rawRecord(topics, &event.Raw{
		Type: event.RawType, Kind: event.Kafka, ID: event.RecordID("shop-kafka", "blobs", 0, event.OffsetPosition(epoch, offset)), Stream: stream,
		Time: time.Now(), RecordKey: event.KeylessRecordKey(stream, 0), Value: value, CapturedAt: time.Now(),
	})
}

// admin changes what a broker is set to.
func admin(t *testing.T, c preprocessor.Config) (sarama.ClusterAdmin, *sarama.Config) {
	t.Helper()
	s, err := broker.ClientConfig(c.Broker.Cluster, "test")
	if err != nil {
		t.Fatal(err)
	}
	a, err := sarama.NewClusterAdmin(c.Broker.Addresses, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a, s
}

// Clean and the dead letters take less than the configuration says, from a moment on at which the preprocessor is at work.
func TestRecordThatTheBrokerRefusesForItsSizeIsACutDeadLetter(t *testing.T) {
	c, topics := settings(t, testrig.Kafka(t))
	a, _ := admin(t, c)
	p := publisher(t, c)
	publish(t, p, row(topics, 0, 7, "before"))
	start(t, c)
	await(t, c, topics.Clean, 1)
	const taken = 100_000
	limit := strconv.Itoa(taken)
	for _, topic := range []string{topics.Clean, topics.DeadLetter} {
		if err := a.AlterConfig(sarama.TopicResource, topic, map[string]*string{"max.message.bytes": &limit}, false); err != nil {
			t.Fatal(err)
		}
	}
	var incompressible []byte
	for i := uint32(1); len(incompressible) < 3*taken; i = i*1664525 + 1013904223 {
		incompressible = append(incompressible, 0xff, byte(i>>24), byte(i>>16))
	}
	large := blob(topics, 1, incompressible)
	// It comes alone: where a request for several partitions fails in part, the client library has a data race of its own (on
	// its transaction manager's lastError), which has no effect, and which the race detector would find.
	publish(t, p, large)
	letters := await(t, c, topics.DeadLetter, 1)
	publish(t, p, blob(topics, 2, incompressible[:taken/2]), blob(topics, 3, incompressible[:taken/2]), row(topics, 4, 7, "fine"))
	await(t, c, topics.Clean, 4) // two that are too large for one batch, too
	l := letters[0]
	if size := header(l, "datawatch_error_size"); size != strconv.Itoa(large.Size()) || header(l, "datawatch_error_class") != "too_large" {
		t.Errorf("%s bytes, not %d, of class %q", size, large.Size(), header(l, "datawatch_error_class"))
	}
	if len(l.Value) < taken/2 || !bytes.HasPrefix(large.Value, l.Value) {
		t.Errorf("%d bytes are kept, which aren't the first", len(l.Value))
	}
	if code, stdout, stderr := execute(t, yamlOf(c), "deadletters", "replay", "--all"); code == 0 || !strings.Contains(stdout, "it was cut: its record had "+strconv.Itoa(large.Size())) {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// Whoever writes to raw with a client of his own can put 20 MB into a few kilobytes.
func TestRecordOf20MBThatCameCompressedIsACutDeadLetter(t *testing.T) {
	c, topics := settings(t, testrig.Kafka(t))
	_, s := admin(t, c)
	s.Producer.Compression, s.Producer.Return.Successes = sarama.CompressionGZIP, true
	s.Producer.MaxMessageBytes, s.Producer.RequiredAcks = 64<<20, sarama.WaitForAll
	p, err := sarama.NewSyncProducer(c.Broker.Addresses, s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	bomb := blob(topics, 1, bytes.Repeat([]byte("0"), 20<<20))
	m := &sarama.ProducerMessage{Topic: topics.Raw, Key: sarama.ByteEncoder(bomb.Key), Value: sarama.ByteEncoder(bomb.Value)}
	for _, h := range bomb.Headers {
		m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.Name), Value: h.Value})
	}
	if _, _, err := p.SendMessage(m); err != nil {
		t.Fatal(err)
	}
	publish(t, publisher(t, c), row(topics, 2, 7, "fine"))
	start(t, c)
	await(t, c, topics.Clean, 1)
	l := await(t, c, topics.DeadLetter, 1)[0]
	if header(l, "datawatch_error_size") != strconv.Itoa(bomb.Size()) || header(l, "datawatch_error_class") != "too_large" {
		t.Errorf("headers %v", l.Headers)
	}
}
