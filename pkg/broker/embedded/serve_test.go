package embedded_test

import (
	"context"
	"errors"
	"testing"

	"github.com/IBM/sarama"

	"datawatch/pkg/broker/embedded"
)

// serve runs a broker in this process until the test ends.
func serve(t *testing.T, o embedded.Options) (addr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan string, 1)
	ended := make(chan error, 1)
	o.Ready = func(addr string) { ready <- addr }
	if o.DataDir == "" {
		o.DataDir = t.TempDir()
	}
	go func() { ended <- embedded.Serve(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case addr = <-ready:
		return addr
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
		return ""
	}
}

func expectConfig(t *testing.T, addr, topic, name, want string) {
	t.Helper()
	admin, err := sarama.NewClusterAdmin([]string{addr}, clientConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	resource := &sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{name}}
	results, err := admin.DescribeConfigs([]*sarama.ConfigResource{resource}, sarama.DescribeConfigsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 1 || len(results[0].Configs) != 1 || results[0].Configs[0].Name != name || results[0].Configs[0].Value != want {
		t.Errorf("DescribeConfigs of %s says %+v, want %s=%s", topic, results, name, want)
	}
}

func TestTopicConfigurationIsKeptAndTold(t *testing.T) {
	addr := serve(t, embedded.Options{})
	configs := map[string]string{"retention.ms": "604800000", "cleanup.policy": "compact", "max.message.bytes": "8400000"}
	createTopic(t, addr, "state", configs)
	for name, value := range configs {
		expectConfig(t, addr, "state", name, value)
	}
}

func TestAskingForATopicDoesNotMakeIt(t *testing.T) {
	ask := func(addr string) error {
		client, err := sarama.NewClient([]string{addr}, clientConfig())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		_, err = client.Partitions("misspelt")
		return err
	}
	if err := ask(serve(t, embedded.Options{})); !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		t.Errorf("by default, asking gave %v", err)
	}
	if err := ask(serve(t, embedded.Options{AutoCreateTopics: true})); err != nil {
		t.Errorf("with AutoCreateTopics, asking gave %v", err)
	}
}

func TestAbortedTransactionIsNotRead(t *testing.T) {
	addr := serve(t, embedded.Options{})
	createTopic(t, addr, "orders", nil)
	producer := txnProducer(t, addr, "source-1")
	write(t, producer, "orders", 500, 600, false)
	write(t, producer, "orders", 0, 50, true)
	expectNumbers(t, take(t, addr, "readers", "orders", 50), 0, 50)
}

func TestNewProducerFencesTheOneBefore(t *testing.T) {
	addr := serve(t, embedded.Options{})
	createTopic(t, addr, "orders", nil)
	before := txnProducer(t, addr, "source-1")
	if err := before.BeginTxn(); err != nil {
		t.Fatal(err)
	}
	stale := &sarama.ProducerMessage{Topic: "orders", Value: sarama.StringEncoder("stale")}
	if _, _, err := before.SendMessage(stale); err != nil {
		t.Fatal(err)
	}
	write(t, txnProducer(t, addr, "source-1"), "orders", 0, 10, true)
	if err := before.CommitTxn(); err == nil {
		t.Error("the producer of before could still commit")
	}
	expectNumbers(t, take(t, addr, "readers", "orders", 10), 0, 10)
}

func TestOnlyLoopbackIsServed(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "example.org:9092", "127.0.0.1"} {
		err := embedded.Serve(t.Context(), embedded.Options{DataDir: t.TempDir(), Listen: listen})
		if err == nil {
			t.Errorf("listened on %q", listen)
		}
	}
	for _, listen := range []string{"127.0.0.1:0", "localhost:0"} {
		serve(t, embedded.Options{Listen: listen})
	}
}
