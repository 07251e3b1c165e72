package kafka

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/testrig"
)

// eachVersion runs a test on every broker, and on the older Apache Kafka too: for what versions do differently.
func eachVersion(t *testing.T, run func(t *testing.T, addr string)) {
	t.Helper()
	testrig.EachBroker(t, run)
	t.Run("kafka-3.9", func(t *testing.T) { run(t, testrig.OlderKafka(t)) })
}

// company is a company's cluster, as those who write to it see it.
type company struct {
	addr     string
	prefix   string
	admin    sarama.ClusterAdmin
	producer sarama.SyncProducer
}

func newCompany(t testing.TB, addr string) *company {
	t.Helper()
	c := &company{addr: addr, prefix: testrig.Prefix(t)}
	s := clientConfig(t, addr)
	var err error
	if c.admin, err = sarama.NewClusterAdmin(strings.Split(addr, ","), s); err != nil {
		t.Fatal(err)
	}
	if c.producer, err = sarama.NewSyncProducer(strings.Split(addr, ","), s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.producer.Close(), c.admin.Close() })
	return c
}

func clientConfig(t testing.TB, addr string) *sarama.Config {
	t.Helper()
	s, err := broker.ClientConfig(clusterConfig(addr), "test")
	if err != nil {
		t.Fatal(err)
	}
	s.Producer.RequiredAcks = sarama.WaitForAll
	s.Net.MaxOpenRequests = 1
	s.Metadata.RefreshFrequency = 200 * time.Millisecond // new partitions are written to soon
	s.Producer.Return.Successes = true
	s.Producer.MaxMessageBytes = 32 << 20
	s.Producer.Partitioner = sarama.NewManualPartitioner
	return s
}

func clusterConfig(addr string) config.Cluster {
	return config.Cluster{Addresses: strings.Split(addr, ",")}
}

// topic creates a topic; its full name has the test's prefix.
func (c *company) topic(t testing.TB, name string, partitions int32, settings map[string]string) string {
	t.Helper()
	name = c.prefix + "." + name
	entries := map[string]*string{}
	for k, v := range settings {
		entries[k] = &v
	}
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: entries}
	testrig.Eventually(t, 20*time.Second, func() error { // while the one before is being deleted
		return c.admin.CreateTopic(name, detail, false)
	})
	testrig.Eventually(t, 20*time.Second, func() error { return c.led(name) })
	return name
}

func (c *company) led(topic string) error {
	found, err := c.admin.DescribeTopics([]string{topic})
	if err != nil {
		return err
	}
	for _, p := range found[0].Partitions {
		if p.Leader < 0 {
			return fmt.Errorf("%s/%d has no leader", topic, p.ID)
		}
	}
	if len(found[0].Partitions) == 0 {
		return fmt.Errorf("%s is not there", topic)
	}
	return nil
}

func (c *company) send(t testing.TB, messages ...*sarama.ProducerMessage) {
	t.Helper()
	if err := c.producer.SendMessages(messages); err != nil {
		t.Errorf("produce: %v", err)
	}
}

// message is a text on a partition.
func message(topic string, partition int32, value string) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{Topic: topic, Partition: partition, Value: sarama.StringEncoder(value)}
}

// config watches the company's topics of this test.
func (c *company) config(change func(*Config)) Config {
	var cfg Config
	cfg.SetDefaults()
	cfg.Cluster, cfg.Topics = clusterConfig(c.addr), []string{c.prefix + ".*"}
	if change != nil {
		change(&cfg)
	}
	return cfg
}
