package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// within bounds every wait of these tests.
const within = 2 * time.Minute

func clientConfig() *sarama.Config {
	conf := sarama.NewConfig()
	conf.Version = sarama.V2_8_0_0
	conf.Admin.Timeout = 20 * time.Second
	conf.Producer.RequiredAcks = sarama.WaitForAll
	conf.Producer.Return.Successes = true
	conf.Producer.Idempotent = true
	conf.Net.MaxOpenRequests = 1
	conf.Consumer.Offsets.Initial = sarama.OffsetOldest
	conf.Consumer.IsolationLevel = sarama.ReadCommitted
	return conf
}

func createTopic(t *testing.T, addr, topic string, configs map[string]string) {
	t.Helper()
	admin, err := sarama.NewClusterAdmin([]string{addr}, clientConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	detail := &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1, ConfigEntries: make(map[string]*string)}
	for name, value := range configs {
		detail.ConfigEntries[name] = &value
	}
	if err := admin.CreateTopic(topic, detail, false); err != nil {
		t.Fatal(err)
	}
}

// txnProducer opens a transactional producer, fencing the one before.
func txnProducer(t *testing.T, addr, id string) sarama.SyncProducer {
	t.Helper()
	conf := clientConfig()
	conf.Producer.Transaction.ID = id
	producer, err := sarama.NewSyncProducer([]string{addr}, conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { producer.Close() })
	return producer
}

// write puts the numbers [from, to) into a topic, and ends the transaction as said.
func write(t *testing.T, producer sarama.SyncProducer, topic string, from, to int, commit bool) {
	t.Helper()
	if err := producer.BeginTxn(); err != nil {
		t.Fatal(err)
	}
	for i := from; i < to; i++ {
		text := sarama.StringEncoder(strconv.Itoa(i))
		if _, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Key: text, Value: text}); err != nil {
			t.Fatal(err)
		}
	}
	end := producer.AbortTxn
	if commit {
		end = producer.CommitTxn
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
}

// take reads n records of a topic as a member of a group, and commits its offsets.
func take(t *testing.T, addr, group, topic string, n int) []string {
	t.Helper()
	consumer, err := sarama.NewConsumerGroup([]string{addr}, group, clientConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	values := make(chan string)
	ended := make(chan error, 1)
	go func() { ended <- consumer.Consume(ctx, []string{topic}, handler{values}) }()

	var got []string
	for len(got) < n {
		select {
		case v := <-values:
			got = append(got, v)
		case err := <-ended:
			t.Fatalf("group %s ended with %d of %d records: %v", group, len(got), n, err)
		}
	}
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return got
}

type handler struct{ values chan<- string }

func (handler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim marks what somebody took: sarama commits that when the session ends.
func (h handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case <-session.Context().Done():
			return nil
		case msg, open := <-claim.Messages():
			if !open {
				return nil
			}
			select {
			case h.values <- string(msg.Value):
				session.MarkMessage(msg, "")
			case <-session.Context().Done():
				return nil
			}
		}
	}
}

// expectNumbers checks that got is the numbers [from, to), each once, in any order.
func expectNumbers(t *testing.T, got []string, from, to int) {
	t.Helper()
	seen := make(map[string]int)
	for _, v := range got {
		seen[v]++
	}
	for i := from; i < to; i++ {
		if n := seen[strconv.Itoa(i)]; n != 1 {
			t.Errorf("%d was read %d times", i, n)
		}
	}
	if len(seen) != to-from {
		t.Errorf("%d different records, not %d: %s", len(seen), to-from, fmt.Sprint(got))
	}
}
