package clean

import (
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"
)

func TestMain(m *testing.M) { testrig.Main(m) }

// TestWhatIsHeldIsHeldByEachPartition: retention takes more away from a partition with more records.
func TestWhatIsHeldIsHeldByEachPartition(t *testing.T) {
	c := config.Broker{TopicPrefix: testrig.Prefix(t), MaxRecordBytes: 8 << 20}
	c.Addresses = []string{testrig.Kafka(t)}
	settings, err := broker.ClientConfig(c.Cluster, "test")
	if err != nil {
		t.Fatal(err)
	}
	settings.Producer.Return.Successes = true
	settings.Producer.Partitioner = sarama.NewManualPartitioner
	admin, err := sarama.NewClusterAdmin(c.Addresses, settings)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	producer, err := sarama.NewSyncProducer(c.Addresses, settings)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	topic := broker.TopicsOf(c.TopicPrefix).Clean
	if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, false); err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Add(-100 * time.Hour).Truncate(time.Second)
	day := func(n int) time.Time { return begin.Add(time.Duration(n) * 24 * time.Hour) }
	for n := range 4 {
		for partition := range int32(3) {
			if _, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Partition: partition, Timestamp: day(n), Value: sarama.StringEncoder("{}")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	held := func() *Reader {
		t.Helper()
		r, err := Open(t.Context(), c, "test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	}
	if r := held(); !r.HeldSince.Equal(day(0)) || !r.All(day(-1)) {
		t.Errorf("nothing was taken away: %s", r.Held())
	}
	take := func(to map[int32]int64) {
		t.Helper()
		if err := admin.DeleteRecords(topic, to); err != nil {
			t.Fatal(err)
		}
	}
	take(map[int32]int64{0: 1, 1: 3})
	r := held()
	if !r.HeldSince.Equal(day(3)) || r.All(day(2)) || !r.All(day(3)) {
		t.Errorf("%s; of partition 1, nothing before %v is left", r.Held(), day(3))
	}
	if err := r.Since(day(2)); !errors.Is(err, daemon.ErrTooFarBack) {
		t.Errorf("from a time on that partition 1 doesn't hold: %v", err)
	}
	take(map[int32]int64{2: 4})
	if r := held(); r.All(day(3)) {
		t.Error("nobody knows when the last record of partition 2 was written")
	}
}
