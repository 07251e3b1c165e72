package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/deploy/telegramsim"
	"datawatch/pkg/testrig"
)

// takeover is within which another collector goes on.
const takeover = 15 * time.Second

// TestWhenACollectorIsKilledAnotherHearsAndShowsWithin15Seconds kills, of two collectors, the one that hears the chats and
// then the one whose feed shows a source.
func TestWhenACollectorIsKilledAnotherHearsAndShowsWithin15Seconds(t *testing.T) {
	company := testrig.Embedded(t)
	createTopic(t, company, "orders.placed")
	servers := places{Company: company, Internal: testrig.Kafka(t)}
	servers.Sources = fmt.Sprintf("    - name: shop-kafka\n      kafka: {addresses: [%q], topics: [\"*\"]}", company)
	w := newWorldOf(t, servers, servers, telegramsim.Limits{})
	collectors := []string{"collector", "collector-2"}
	w.twin("collector", "collector-2")
	w.start(collectors...)
	producer := producerOf(t, company)
	asked, placed := 0, 0
	for _, one := range []struct {
		part  string
		shows func()
	}{
		{"commands", func() {
			asked++
			w.types(alertsChat, "/status")
			w.answers(alertsChat, "shop-kafka", asked)
		}},
		{"source shop-kafka", func() {
			placed++
			_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "orders.placed", Value: sarama.StringEncoder(fmt.Sprintf(`{"orderId": %d}`, 1000+placed))})
			if err != nil {
				t.Fatal(err)
			}
			w.message(feedChat, fmt.Sprint(1000+placed))
		}},
	} {
		w.doneByOne(one.part, collectors)
		one.shows()
		testrig.Promptly(t, takeover, func() time.Duration {
			does := w.doneByOne(one.part, collectors)
			if err := w.processes[does].Kill(); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			one.shows()
			took := time.Since(began)
			w.start(does)
			return took
		})
	}
}

// twin makes another process of a service possible, with the same configuration but for its address.
func (w *world) twin(of, name string) {
	w.t.Helper()
	w.programs[name], w.Listen[name] = w.programs[of], testrig.FreeAddress(w.t)
	text, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.configs[name] = filepath.Join(w.folder, name+".yaml")
	if err := os.WriteFile(w.configs[name], bytes.Replace(text, []byte(w.Listen[of]), []byte(w.Listen[name]), 1), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// doneByOne waits until one of some processes does a part and the others stand by, and gives that one's name.
func (w *world) doneByOne(part string, among []string) string {
	w.t.Helper()
	var does string
	testrig.Eventually(w.t, time.Minute, func() error {
		does = ""
		for _, name := range among {
			parts, err := w.dependencies(name)
			if err != nil {
				return err
			}
			p, known := parts[part]
			switch {
			case known && strings.HasPrefix(p.Reason, "standby"):
			case !known || p.Status != "ready" || does != "":
				return fmt.Errorf("%s: %s is %+v; %q does it", name, part, p, does)
			default:
				does = name
			}
		}
		if does == "" {
			return fmt.Errorf("nobody does %s", part)
		}
		return nil
	})
	return does
}

// answers waits until a chat has that many messages of the bot with a text.
func (w *world) answers(chat int64, text string, many int) {
	w.t.Helper()
	testrig.Eventually(w.t, time.Minute, func() error {
		got := 0
		for _, m := range w.sim.Messages(chat) {
			if m.FromBot && strings.Contains(m.Text, text) {
				got++
			}
		}
		if got < many {
			return fmt.Errorf("%d of %d answers:%s", got, many, texts(w.sim.Messages(chat)))
		}
		return nil
	})
}

func producerOf(t *testing.T, addr string) sarama.SyncProducer {
	t.Helper()
	c := sarama.NewConfig()
	c.Producer.Return.Successes = true
	producer, err := sarama.NewSyncProducer([]string{addr}, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close() })
	return producer
}
