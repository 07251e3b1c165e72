package testrig_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/testrig"
)

// roundTrip writes a record to a new topic and reads it back.
func roundTrip(t *testing.T, addr string) {
	t.Helper()
	conf := sarama.NewConfig()
	conf.Version = sarama.V2_8_0_0
	conf.Admin.Timeout = 20 * time.Second
	conf.Producer.Return.Successes = true
	client, err := sarama.NewClient(strings.Split(addr, ","), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	topic := testrig.Prefix(t)
	if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false); err != nil {
		t.Fatal(err)
	}
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	testrig.Eventually(t, 10*time.Second, func() error {
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("hello")})
		return err
	})
	testrig.Eventually(t, 10*time.Second, func() error {
		end, err := client.GetOffset(topic, 0, sarama.OffsetNewest)
		if err == nil && end == 0 {
			err = fmt.Errorf("%s is empty", topic)
		}
		return err
	})
}

func TestEachBrokerTakesRecords(t *testing.T) {
	testrig.EachBroker(t, roundTrip)
}

func TestKafkaIsSharedByTheProcess(t *testing.T) {
	if first, second := testrig.Kafka(t), testrig.Kafka(t); first != second {
		t.Errorf("two servers: %s and %s", first, second)
	}
}

func TestPrivateKafkaKeepsRecordsWhenKilled(t *testing.T) {
	server := testrig.KafkaServer(t)
	addr := server.Addr()
	roundTrip(t, addr)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if server.Addr() != addr {
		t.Errorf("restarted on %s, was on %s", server.Addr(), addr)
	}
	client, err := sarama.NewClient([]string{addr}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	topics, err := client.Topics()
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		if end, err := client.GetOffset(topic, 0, sarama.OffsetNewest); err == nil && end > 0 {
			return
		}
	}
	t.Errorf("no record left in %v", topics)
}

func TestEmbeddedBrokersDoNotKnowEachOther(t *testing.T) {
	if first, second := testrig.Embedded(t), testrig.Embedded(t); first == second {
		t.Errorf("one broker: %s", first)
	}
}
