package collector

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/broker"
	"datawatch/pkg/hide"
	"datawatch/pkg/testrig"
)

// log is a log that tests may read while it is written.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestFeedHidesWhatTheValidatorWrote runs the collector from a company's topic to the message, which without a token is in
// the log, through a change of what is hidden.
func TestFeedHidesWhatTheValidatorWrote(t *testing.T) {
	addr := testrig.Embedded(t)
	prefix := testrig.Prefix(t)
	c := configuration(t, addr, addr, prefix)
	c.Collector.Sources[0].Feed = true
	topic := prefix + ".users"
	createTopic(t, addr, topic, 1)
	if err := broker.EnsureTopics(t.Context(), c.Broker, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	publish := func(pointers ...string) {
		t.Helper()
		if _, err := hide.Publish(t.Context(), c.Broker, "test", []hide.File{{Stream: "shop-kafka/" + topic, Hide: pointers}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	publish("/email")
	var out log
	startLogging(t, c, io.MultiWriter(&out, t.Output()))
	send := func(n int) {
		t.Helper()
		produce(t, addr, &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder("ann@secret.io"),
			Value: sarama.StringEncoder(fmt.Sprintf(`{"email":"ann@secret.io","phone":"phone-%d"}`, n))})
	}
	shown := func(n int) string {
		t.Helper()
		var message string
		testrig.Eventually(t, time.Minute, func() error {
			for line := range strings.SplitSeq(out.String(), "\n") {
				if strings.Contains(line, fmt.Sprintf("offset %d", n)) && strings.Contains(line, "•••") {
					message = line
					return nil
				}
			}
			return errors.New("not shown")
		})
		return message
	}
	send(0)
	if m := shown(0); !strings.Contains(m, "phone-0") {
		t.Errorf("shown: %s", m)
	}
	publish("/email", "/phone")
	n := 0
	testrig.Eventually(t, time.Minute, func() error {
		n++
		send(n)
		if strings.Contains(shown(n), fmt.Sprint("phone-", n)) {
			return errors.New("what is hidden doesn't change")
		}
		return nil
	})
	if strings.Contains(out.String(), "secret") {
		t.Error("what x-pii names is shown")
	}
}
