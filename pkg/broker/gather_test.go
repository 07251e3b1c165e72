package broker

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"datawatch/pkg/config"
)

// TestTheRecordsOfATransactionAreSentTogether asks for one request of each kind. A machine that is busy may part what is handed
// over at once, so that not every transaction has to keep it: left alone, the client never does, with that many records.
func TestTheRecordsOfATransactionAreSentTogether(t *testing.T) {
	const produce, addPartitions = 0, 24
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	counts := map[int16]*atomic.Int64{produce: {}, addPartitions: {}}
	for key, n := range counts {
		cluster.ControlKey(key, func(kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			n.Add(1)
			return nil, nil, false
		})
	}
	c := config.DefaultShared().Broker
	c.Addresses = cluster.ListenAddrs()
	if err := EnsureTopics(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	topics := TopicsOf(c.TopicPrefix)
	var records []Record
	for i := range 30 {
		records = append(records, Record{Topic: topics.Raw, Key: fmt.Appendf(nil, "k%d", i), Value: []byte("event")})
	}
	records = append(records, Record{Topic: topics.State, Key: []byte("source/shop"), Value: []byte(`{"version":1}`)})
	p := publisher(t, c, "source")
	for range 200 {
		for _, n := range counts {
			n.Store(0)
		}
		if err := p.Publish(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		if counts[produce].Load() == 1 && counts[addPartitions].Load() == 1 {
			return
		}
	}
	t.Errorf("the last transaction took %d requests with records, and %d with partitions", counts[produce].Load(), counts[addPartitions].Load())
}

// TestTheLastRecordOfATransactionIsNotWaitedWith has a client that waits for more records for longer than a transaction may take.
func TestTheLastRecordOfATransactionIsNotWaitedWith(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	c := config.DefaultShared().Broker
	c.Addresses = cluster.ListenAddrs()
	if err := EnsureTopics(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	p, err := openProducer(t.Context(), c, "datawatch-test", "source", RecordLimit(c))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.close() }()
	p.conf.Producer.Flush.Frequency = 10 * transactionPatience
	topics := TopicsOf(c.TopicPrefix)
	for n := range 20 {
		var records []Record
		for i := range n {
			records = append(records, Record{Topic: topics.Raw, Key: fmt.Appendf(nil, "k%d", i), Value: []byte("event")})
		}
		records = append(records, Record{Topic: topics.State, Key: []byte("source/shop"), Value: []byte(`{"version":1}`)})
		if err := p.transact(t.Context(), records, nil); err != nil {
			t.Fatalf("%d records: %v", len(records), err)
		}
	}
}
