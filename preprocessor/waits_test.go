package preprocessor_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"datawatch/pkg/config"
	"datawatch/pkg/testrig"
)

// bot is a Bot API that keeps what it is to send.
type bot struct {
	*httptest.Server
	mu   sync.Mutex
	sent []string
}

func newBot(t *testing.T) *bot {
	t.Helper()
	b := &bot{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var params struct{ Text string }
		_ = json.NewDecoder(r.Body).Decode(&params)
		b.mu.Lock()
		defer b.mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "/sendMessage") {
			b.sent = append(b.sent, params.Text)
		}
		_, _ = fmt.Fprintf(w, `{"ok":true,"result":{"message_id":%d,"id":1,"status":"administrator","chat":{"id":-100456},"text":"x"}}`, len(b.sent))
	}))
	t.Cleanup(b.Close)
	return b
}

// saying waits for a message that begins with a text.
func (b *bot) saying(t *testing.T, text string) string {
	t.Helper()
	found := ""
	testrig.Eventually(t, 40*time.Second, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, m := range b.sent {
			if strings.HasPrefix(m, text) {
				found = m
				return nil
			}
		}
		return fmt.Errorf("%q were sent", b.sent)
	})
	return found
}

func TestPeopleAreToldThatRecordsWaitForASchema(t *testing.T) {
	chat, fake := newBot(t), srfake.New()
	t.Cleanup(fake.Close)
	c, topics := settings(t, testrig.Embedded(t))
	c.SchemaRegistry.URL = fake.URL()
	c.Telegram.APIURL, c.Telegram.Token, c.Telegram.Alerts = chat.URL, "1:token", config.Chat{ID: -100456}
	publish(t, publisher(t, c), wireRecord(topics, 1, 41, "first"), wireRecord(topics, 2, 41, "second"), wireRecord(topics, 3, 41, "third"))
	i := start(t, c)
	if m := chat.saying(t, "🟠 <b>3 records of orders wait</b> since "); !strings.Contains(m, "Schema id 41 is not in the registry. Nothing is lost") {
		t.Errorf("told %q", m)
	}
	if series(t, i, "datawatch_preprocessor_waiting_since_timestamp_seconds") != 1 {
		t.Error("no metric says that a stream waits")
	}
	fake.SeedSchema("orders", 1, 41, sr.Schema{Type: sr.TypeAvro, Schema: `"string"`})
	await(t, c, topics.Clean, 3)
	chat.saying(t, "🟢 <b>orders goes on</b>, ")
	if series(t, i, "datawatch_preprocessor_waiting_since_timestamp_seconds") != 0 {
		t.Error("a metric says that a stream still waits")
	}
}

// series is how many series a metric has.
func series(t *testing.T, i *instance, name string) int {
	t.Helper()
	families, err := i.env.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return len(f.GetMetric())
		}
	}
	return 0
}
