package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/testrig"
)

// TestOverlappingTransactionsAreTakenApart: in one partition lie records of two transactions that were open at the same time,
// of which one was aborted, and of no transaction; each side's later transaction ended the other way.
func TestOverlappingTransactionsAreTakenApart(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		k := newCompany(t, addr)
		topic := k.topic(t, "orders", 1, nil)
		a, b := k.transactional(t, "a"), k.transactional(t, "b")
		c := newCapture()
		stop := c.run(t, k.config(nil))
		c.awaitBegun(t)
		do := func(step func() error) {
			t.Helper()
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		put := func(p sarama.SyncProducer, value string) {
			t.Helper()
			do(func() error { _, _, err := p.SendMessage(message(topic, 0, value)); return err })
		}
		overlap := func(number string, endA, endB func() error) {
			t.Helper()
			do(a.BeginTxn)
			put(a, "a1-"+number)
			do(b.BeginTxn)
			put(b, "b1-"+number)
			put(k.producer, "plain-"+number)
			do(endB)
			put(a, "a2-"+number)
			do(endA)
		}
		overlap("1", a.AbortTxn, b.CommitTxn)
		c.awaitValues(t, "b1-1", "plain-1")
		_ = stop()
		overlap("2", a.CommitTxn, b.AbortTxn) // and as one fetch
		overlap("3", a.AbortTxn, b.CommitTxn)
		c.run(t, k.config(nil))
		c.awaitValues(t, "b1-1", "plain-1", "a1-2", "plain-2", "a2-2", "b1-3", "plain-3")
		c.awaitEnd(t, topic, 18)
	})
}

// transactional is a producer with a transactional id.
func (c *company) transactional(t *testing.T, id string) sarama.SyncProducer {
	t.Helper()
	s := clientConfig(t, c.addr)
	s.Producer.Transaction.ID, s.Producer.Idempotent = c.prefix+"-"+id, true
	s.Producer.Transaction.Retry.Max = 100
	s.Producer.Transaction.Timeout = time.Minute
	producer, err := sarama.NewSyncProducer(strings.Split(c.addr, ","), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close() })
	return producer
}
