package testrig

import (
	"context"
	"testing"

	"datawatch/pkg/broker/embedded"
)

// Embedded gives the address of an embedded broker for this test alone.
func Embedded(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan string, 1)
	ended := make(chan error, 1)
	dir := t.TempDir()
	go func() {
		ended <- embedded.Serve(ctx, embedded.Options{DataDir: dir, Ready: func(addr string) { ready <- addr }})
	}()
	select {
	case addr := <-ready:
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("testrig: embedded broker: %v", err)
			}
		})
		return addr
	case err := <-ended:
		cancel()
		t.Fatalf("testrig: embedded broker: %v", err)
		return ""
	}
}

// BrokerCase is a broker that datawatch is to work with.
type BrokerCase struct {
	Name string // embedded or kafka
	Addr string
}

// Brokers gives every broker that datawatch is to work with. Where there is no
// Apache Kafka the test is skipped: see [EachBroker], which skips only that part.
func Brokers(t testing.TB) []BrokerCase {
	t.Helper()
	return []BrokerCase{{"embedded", Embedded(t)}, {"kafka", Kafka(t)}}
}

// EachBroker runs a test once for each broker that datawatch is to work with, as
// the subtests embedded and kafka.
func EachBroker(t *testing.T, run func(t *testing.T, addr string)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { run(t, Embedded(t)) })
	t.Run("kafka", func(t *testing.T) { run(t, Kafka(t)) })
}
