package broker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/config"
	"datawatch/pkg/testrig"
)

// left opens a transaction as the member with a partition would, writes to it, and leaves it: the brokers would end it
// after ten minutes.
func left(t *testing.T, c config.Broker, group string, partition int32) sarama.AsyncProducer {
	t.Helper()
	s, err := producerConfig(c, "dead", transactionalID(group, partition))
	if err != nil {
		t.Fatal(err)
	}
	s.Producer.Transaction.Timeout = 10 * time.Minute
	s.Producer.Partitioner = sarama.NewManualPartitioner
	p, err := sarama.NewAsyncProducer(c.Addresses, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	if err := p.BeginTxn(); err != nil {
		t.Fatal(err)
	}
	p.Input() <- &sarama.ProducerMessage{Topic: TopicsOf(c.TopicPrefix).Clean, Partition: partition, Value: sarama.StringEncoder("never committed")}
	select {
	case <-p.Successes():
	case err := <-p.Errors():
		t.Fatal(err)
	}
	return p
}

// Each partition's member has left something open; the one who takes all over has its own id and ends all of it. What was
// dead then wakes up, and commits nothing.
func TestWhoTakesOverFreesReadersAndFencesTheDead(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := ensured(t, addr)
		stage := copying(c, "a")
		var dead []sarama.AsyncProducer
		for partition := range c.Partitions {
			dead = append(dead, left(t, c, stage.Group, partition))
		}
		p := publisher(t, c, "writer")
		var batch []Record
		for n := range 30 {
			batch = append(batch, Record{Topic: topics.Raw, Key: fmt.Appendf(nil, "%d", n), Value: []byte("x")})
		}
		if err := p.Publish(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- stage.Run(ctx) }()
		testrig.Eventually(t, 40*time.Second, func() error {
			s, err := NewScanner(c, "test")
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			n := 0
			for partition := range c.Partitions {
				end, err := s.End(topics.Clean, partition)
				if err != nil {
					return err
				}
				if err := s.Scan(t.Context(), topics.Clean, partition, 0, end, func(Record) error { n++; return nil }); err != nil {
					return err
				}
			}
			if n != len(batch) {
				return fmt.Errorf("readers see %d of %d", n, len(batch))
			}
			return nil
		})
		for _, zombie := range dead {
			if err := zombie.CommitTxn(); err == nil {
				t.Error("a zombie has committed")
			}
		}
		if n := len(committed(t, c, topics.Clean)); n != len(batch) {
			t.Errorf("clean holds %d records", n)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// leftOffsets opens a transaction as the member with a partition would, adds an offset of the partition to it, and leaves it.
func leftOffsets(t *testing.T, c config.Broker, group string, partition int32) {
	t.Helper()
	s, err := ClientConfig(c.Cluster, "dead")
	if err != nil {
		t.Fatal(err)
	}
	client, err := sarama.NewClient(c.Addresses, s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	id := transactionalID(group, partition)
	var of *sarama.Broker
	testrig.Eventually(t, 40*time.Second, func() error { // the coordinators are elected at the first question
		if of, err = client.TransactionCoordinator(id); err != nil {
			return err
		}
		open, err := of.InitProducerID(&sarama.InitProducerIDRequest{
			Version: 4, TransactionalID: &id, TransactionTimeout: 10 * time.Minute, ProducerID: -1, ProducerEpoch: -1,
		})
		if err != nil || !errors.Is(open.Err, sarama.ErrNoError) {
			return errors.Join(err, open.Err)
		}
		added, err := of.AddOffsetsToTxn(&sarama.AddOffsetsToTxnRequest{TransactionalID: id, GroupID: group, ProducerID: open.ProducerID, ProducerEpoch: open.ProducerEpoch})
		if err != nil || !errors.Is(added.Err, sarama.ErrNoError) {
			return fmt.Errorf("add the group: %w", errors.Join(err, added.Err))
		}
		coordinator, err := client.Coordinator(group)
		if err != nil {
			return err
		}
		topic := TopicsOf(c.TopicPrefix).Raw
		sent, err := coordinator.TxnOffsetCommit(&sarama.TxnOffsetCommitRequest{
			TransactionalID: id, GroupID: group, ProducerID: open.ProducerID, ProducerEpoch: open.ProducerEpoch,
			Topics: map[string][]*sarama.PartitionOffsetMetadata{topic: {{Partition: partition, Offset: 1}}},
		})
		if err != nil {
			return err
		}
		if p := sent.Topics[topic][0]; !errors.Is(p.Err, sarama.ErrNoError) {
			return fmt.Errorf("send an offset: %w", p.Err)
		}
		return nil
	})
}

// While such a transaction is open, brokers don't say from where on the partition is to be read.
func TestOffsetsThatTheDeadLeftOpenKeepNobodyFromBeginning(t *testing.T) {
	c, topics := ensured(t, testrig.Kafka(t))
	stage := copying(c, "a")
	for partition := range c.Partitions {
		leftOffsets(t, c, stage.Group, partition)
	}
	var batch []Record
	for n := range 30 {
		batch = append(batch, Record{Topic: topics.Raw, Key: fmt.Appendf(nil, "%d", n), Value: []byte("x")})
	}
	if err := publisher(t, c, "writer").Publish(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- stage.Run(ctx) }()
	testrig.Eventually(t, 40*time.Second, func() error {
		if n := len(committed(t, c, topics.Clean)); n != len(batch) {
			return fmt.Errorf("clean holds %d of %d records", n, len(batch))
		}
		return nil
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
