package preprocessor_test

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// wireRecord is a record of a topic, of a string in Avro.
func wireRecord(topics broker.Topics, offset int64, schema uint32, text string) broker.Record {
	stream := event.StreamOf("shop-kafka", "orders")
	value := append(binary.BigEndian.AppendUint32([]byte{0}, schema), byte(2*len(text)))
	return rawRecord(topics, &event.Raw{
		Type: event.RawType, Kind: event.Kafka, ID: event.RecordID("shop-kafka", "orders", 0, event.OffsetPosition(epoch, offset)), Stream: stream,
		Time: time.Now(), RecordKey: event.SourceRecordKey(stream, []byte("k")), Key: []byte("k"), Value: append(value, text...), CapturedAt: time.Now(),
	})
}

func TestRegistryThatIsAwayIsWaitedForWithoutLoss(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		fake := srfake.New()
		t.Cleanup(fake.Close)
		fake.SeedSchema("orders", 1, 7, sr.Schema{Type: sr.TypeAvro, Schema: `"string"`})
		var away atomic.Bool
		away.Store(true)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if away.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			fake.Handler().ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)

		c, topics := settings(t, addr)
		c.SchemaRegistry.URL = server.URL
		publish(t, publisher(t, c), wireRecord(topics, 1, 7, "first"), wireRecord(topics, 2, 7, "second"))
		i := start(t, c)
		testrig.Eventually(t, 40*time.Second, func() error {
			if text := readyz(i.env); !strings.Contains(text, "records wait for want of schema registry "+server.URL+" since 20") {
				return fmt.Errorf("readyz says %s", text)
			}
			return nil
		})
		i.awaitHealth(t, daemon.Degraded)
		away.Store(false)
		clean := await(t, c, topics.Clean, 2)
		if !strings.Contains(string(clean[0].Value), `"after":"first"`) || !strings.Contains(string(clean[1].Value), `"after":"second"`) {
			t.Errorf("%s\n%s", clean[0].Value, clean[1].Value)
		}
		i.awaitHealth(t, daemon.Ready)
	})
}

func TestSchemaThatStaysAwayIsADeadLetterInTheEnd(t *testing.T) {
	fake := srfake.New()
	t.Cleanup(fake.Close)
	c, topics := settings(t, testrig.Embedded(t))
	c.SchemaRegistry.URL = fake.URL()
	c.Preprocessor.SchemaWait = config.Duration(300 * time.Millisecond)
	publish(t, publisher(t, c), wireRecord(topics, 1, 42, "lost"), row(topics, 1, 7, "fine"))
	i := start(t, c)
	letters := await(t, c, topics.DeadLetter, 1)
	await(t, c, topics.Clean, 1)
	if class, reason := header(letters[0], "datawatch_error_class"), header(letters[0], "datawatch_error_reason"); class != "schema_unavailable" || !strings.Contains(reason, "schema 42 of ") {
		t.Errorf("class %q, reason %q", class, reason)
	}
	testrig.Eventually(t, time.Minute, func() error {
		if text := readyz(i.env); !strings.Contains(text, "become dead letters for want of schema 42") {
			return fmt.Errorf("readyz says %s", text)
		}
		return nil
	})
}

func TestCheckAsksTheRegistry(t *testing.T) {
	fake := srfake.New()
	t.Cleanup(fake.Close)
	c, _ := settings(t, testrig.Embedded(t))
	for url, says := range map[string]string{fake.URL(): "ok    schema registry " + fake.URL(), "http://" + testrig.FreeAddress(t): "FAIL  schema registry http://127.0.0.1:"} {
		_, stdout, stderr := execute(t, yamlOf(c)+"schema_registry: {url: \""+url+"\"}\n", "check")
		if !strings.Contains(stdout, says) {
			t.Errorf("no %q in %s%s", says, stdout, stderr)
		}
	}
}

func readyz(env daemon.Env) string {
	answer := httptest.NewRecorder()
	env.Health.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	return answer.Body.String()
}
