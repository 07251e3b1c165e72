package embedded

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
)

// The broker's own timer doesn't come back after a restart; ours must.
func TestRetentionIsAppliedToTopicsOfAnEarlierRun(t *testing.T) {
	const topic = "orders"
	dir := kfake.DataDir(t.TempDir())
	cluster, err := kfake.NewCluster(dir, kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	small := map[string]string{"retention.bytes": "10000", "segment.bytes": "1000"}
	if err := cluster.CreateTopic(topic, 1, small); err != nil {
		t.Fatal(err)
	}
	conf := sarama.NewConfig()
	conf.Producer.Return.Successes = true
	producer, err := sarama.NewSyncProducer(cluster.ListenAddrs(), conf)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		record := &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(strings.Repeat("x", 500))}
		if _, _, err := producer.SendMessage(record); err != nil {
			t.Fatal(err)
		}
	}
	if err := producer.Close(); err != nil {
		t.Fatal(err)
	}
	cluster.Close()

	cluster, err = kfake.NewCluster(dir, kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	if kept := cluster.PartitionInfo(topic, 0).NumBytes; kept < 100_000 {
		t.Fatalf("%d bytes before there was any housekeeping", kept)
	}
	defer keepHouse(cluster, 10*time.Millisecond)()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		info := cluster.PartitionInfo(topic, 0)
		if info.LogStartOffset > 0 && info.NumBytes < 20_000 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("retention was not applied: " + fmt.Sprintf("%+v", *info))
		}
	}
}
