package embedded

import (
	"errors"
	"fmt"
	"log/slog"
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
	defer keepHouse(cluster, slog.New(slog.DiscardHandler), 10*time.Millisecond)()
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

// A transaction that is aborted leaves each key as it was before, also when the
// topic was compacted while it was open.
func TestWhatAnAbortedTransactionWroteReplacesNothing(t *testing.T) {
	const topic = "state"
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), noCompactionOfItsOwn)
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	if err := cluster.CreateTopic(topic, 1, map[string]string{"cleanup.policy": "compact"}); err != nil {
		t.Fatal(err)
	}
	conf := sarama.NewConfig()
	conf.Producer.Return.Successes = true
	plain, err := sarama.NewSyncProducer(cluster.ListenAddrs(), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	inTransaction := sarama.NewConfig()
	inTransaction.Producer.Return.Successes = true
	inTransaction.Producer.RequiredAcks = sarama.WaitForAll
	inTransaction.Producer.Idempotent = true
	inTransaction.Producer.Transaction.ID = "collector"
	inTransaction.Net.MaxOpenRequests = 1
	open, err := sarama.NewSyncProducer(cluster.ListenAddrs(), inTransaction)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	put := func(by sarama.SyncProducer, key, value string) {
		t.Helper()
		record := &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(key), Value: sarama.StringEncoder(value)}
		if _, _, err := by.SendMessage(record); err != nil {
			t.Fatal(err)
		}
	}

	put(plain, "progress", "0")
	put(plain, "progress", "1")
	if err := open.BeginTxn(); err != nil {
		t.Fatal(err)
	}
	put(open, "progress", "2")
	put(plain, "other", "")
	if err := compact(t.Context(), cluster, 3*openTransactionWait); !errors.Is(err, errOpenTransaction) {
		t.Fatalf("compacted beside an open transaction: %v", err)
	}
	if err := open.AbortTxn(); err != nil {
		t.Fatal(err)
	}
	put(plain, "other", "")
	if err := compact(t.Context(), cluster, time.Minute); err != nil {
		t.Fatal(err)
	}

	if start := cluster.PartitionInfo(topic, 0).LogStartOffset; start != 1 {
		t.Fatalf("the topic begins with record %d, want 1: the record before is replaced", start)
	}
	reader, err := sarama.NewConsumer(cluster.ListenAddrs(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	records, err := reader.ConsumePartition(topic, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer records.Close()
	select {
	case first := <-records.Messages():
		if string(first.Key) != "progress" || string(first.Value) != "1" {
			t.Fatalf("the first record is %s=%s, want progress=1", first.Key, first.Value)
		}
	case <-time.After(time.Minute):
		t.Fatal("nothing to read")
	}
}
