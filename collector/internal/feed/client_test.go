package feed

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

func TestTransactionArrivesOverTheBotAPIAsItWasWritten(t *testing.T) {
	requests := make(chan map[string]string, 10)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		params := map[string]string{}
		_ = json.NewDecoder(r.Body).Decode(&params)
		requests <- params
		_, _ = fmt.Fprint(w, `{"ok":true,"result":{"message_id":1,"chat":{"id":-5},"date":1}}`)
	}))
	defer api.Close()
	client, err := telegram.New(telegram.Options{
		Config:  config.Telegram{Token: "1:test", APIURL: api.URL},
		Service: "collector", Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Stop(t.Context()) }()
	r := run(t, 0, func(o *Options) { o.Sender, o.Chat = client, telegram.Chat{ID: -5, Thread: 3} })
	defer r.stop()
	r.Offer([]event.Raw{did{
		tick: 1, table: "wallets", op: event.Update, key: []string{"id"}, tx: "7", app: "shop <app>", at: time.Now(),
		before: `{"id":7,"balance":1.10}`, after: `{"id":7,"balance":1.05}`,
	}.raw()})
	select {
	case got := <-requests:
		const row = "\n<b>wallets</b> <code>7</code>  balance <code>1.10</code> → <code>1.05</code>  (−0.05)\n<i>tx 7 · shop &lt;app&gt;</i>"
		if text := got["text"]; len(text) < len(row) || text[len(text)-len(row):] != row || got["chat_id"] != "-5" || got["message_thread_id"] != "3" {
			t.Errorf("got %v", got)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("no message within two minutes")
	}
}
