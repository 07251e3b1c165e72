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
	i.awaitWaiting(t, 1)
	fake.SeedSchema("orders", 1, 41, sr.Schema{Type: sr.TypeAvro, Schema: `"string"`})
	await(t, c, topics.Clean, 3)
	chat.saying(t, "🟢 <b>orders goes on</b>, ")
	i.awaitWaiting(t, 0)
}

// awaitWaiting waits until the metric tells of so many streams that wait.
func (i *instance) awaitWaiting(t *testing.T, want int) {
	t.Helper()
	testrig.Eventually(t, time.Minute, func() error {
		families, err := i.env.Metrics.Gather()
		if err != nil {
			return err
		}
		n := 0
		for _, f := range families {
			if f.GetName() == "datawatch_preprocessor_waiting_since_timestamp_seconds" {
				n = len(f.GetMetric())
			}
		}
		if n != want {
			return fmt.Errorf("the metric tells of %d streams that wait, not %d", n, want)
		}
		return nil
	})
}
