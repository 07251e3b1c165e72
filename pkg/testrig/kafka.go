package testrig

import (
	"context"
	"os"
	"testing"

	"datawatch/pkg/testrig/kafka"
)

// kafkaEnv names the user's own Kafka.
const kafkaEnv = "DATAWATCH_TEST_KAFKA"

var sharedKafka, sharedOlderKafka shared[string]

// OlderKafka gives the bootstrap address of an Apache Kafka of [kafka.OlderVersion] that the tests of this process share.
func OlderKafka(t testing.TB) string {
	t.Helper()
	addr, err := sharedOlderKafka.get(func(ctx context.Context) (string, error) {
		s, err := kafka.Start(ctx, kafka.Options{Version: kafka.OlderVersion})
		if err != nil {
			return "", err
		}
		stopAtEnd(func(context.Context) error { return kill(s) })
		return s.Addr(), nil
	})
	require(t, err)
	return addr
}

// Kafka gives the bootstrap address (host:port, or the comma list that the user
// gave) of the Apache Kafka that the tests of this process share.
func Kafka(t testing.TB) string {
	t.Helper()
	addr, err := sharedKafka.get(func(ctx context.Context) (string, error) {
		if addr := os.Getenv(kafkaEnv); addr != "" {
			return addr, nil
		}
		s, err := kafka.Start(ctx, kafka.Options{})
		if err != nil {
			return "", err
		}
		stopAtEnd(func(context.Context) error { return kill(s) })
		return s.Addr(), nil
	})
	require(t, err)
	return addr
}

// KafkaServer starts an Apache Kafka for this test alone, which it may kill and
// restart.
func KafkaServer(t testing.TB) *kafka.Server {
	t.Helper()
	return KafkaServerOf(t, kafka.Options{})
}

// KafkaServerOf starts an Apache Kafka with options of the test's own.
func KafkaServerOf(t testing.TB, o kafka.Options) *kafka.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), obtainTimeout)
	defer cancel()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := kafka.Start(ctx, o)
	require(t, err)
	t.Cleanup(func() {
		if err := kill(s); err != nil {
			t.Errorf("testrig: %v", err)
		}
	})
	return s
}

// kill is how a server ends whose data nobody needs: an orderly stop takes seconds, and on a busy machine may never end.
func kill(s interface {
	Kill() error
	Stop(context.Context) error
}) error {
	if err := s.Kill(); err != nil {
		return err
	}
	return s.Stop(context.Background()) // of an ended server: removes a temporary folder
}
