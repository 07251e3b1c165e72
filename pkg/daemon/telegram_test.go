package daemon

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"datawatch/pkg/config"
)

// TestCheckWarnsWhereFeedAndAlertsShareAGroup: people who put both into one group hear what is left to each.
func TestCheckWarnsWhereFeedAndAlertsShareAGroup(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"ok": true, "result": {"id": 1, "is_bot": true, "username": "datawatch_bot", "first_name": "datawatch", "type": "supergroup", "title": "shop"}}`)
	}))
	defer api.Close()
	c := config.DefaultShared()
	c.Telegram.Token, c.Telegram.APIURL = "1:test", api.URL
	c.Telegram.Feed, c.Telegram.Alerts = config.Chat{ID: -5, Thread: 1}, config.Chat{ID: -5, Thread: 2}
	if f := CheckTelegram(t.Context(), c, "collector", c.Telegram.Feed, c.Telegram.Alerts); f.Err != nil || !strings.Contains(f.Detail, "one group, -5") {
		t.Errorf("check says %+v", f)
	}
	c.Telegram.Feed.ID = -6
	if f := CheckTelegram(t.Context(), c, "collector", c.Telegram.Feed, c.Telegram.Alerts); f.Err != nil || strings.Contains(f.Detail, "one group") {
		t.Errorf("check says %+v", f)
	}
}
