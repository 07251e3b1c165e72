package telegram

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/config"
)

// TestFilesAreDownloadedWithinABoundAndWithoutShowingTheToken asks a server that gives files as Telegram does.
func TestFilesAreDownloadedWithinABoundAndWithoutShowingTheToken(t *testing.T) {
	files := map[string]string{"json": `{"a": 1}`, "list": "[1, 2]", "large": strings.Repeat("x", 100), "token": `{"mine": "` + testToken + `"}`}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/getFile"):
			body, _ := io.ReadAll(r.Body)
			for id := range files {
				if strings.Contains(string(body), id) {
					_, _ = io.WriteString(w, `{"ok":true,"result":{"file_id":"`+id+`","file_path":"documents/`+id+` 1.json"}}`)
					return
				}
			}
			if strings.Contains(string(body), "lost") {
				_, _ = io.WriteString(w, `{"ok":true,"result":{"file_id":"lost","file_path":"documents/lost"}}`)
				return
			}
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"ok":false,"error_code":400,"description":"Bad Request: wrong file_id or the file is temporarily unavailable"}`)
		case strings.HasPrefix(r.URL.Path, "/file/bot"+testToken+"/documents/"):
			name := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/file/bot"+testToken+"/documents/"), " 1.json")
			content, ok := files[name]
			if !ok {
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, `{"ok":false,"error_code":404,"description":"Not Found"}`)
				return
			}
			_, _ = io.WriteString(w, content)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	c, err := New(Options{Config: config.Telegram{Token: testToken, APIURL: server.URL}, Service: "test", Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Stop(t.Context()) }()
	for _, id := range []string{"json", "list", "token"} {
		if got, err := c.Download(t.Context(), File{ID: id}, 64<<10); err != nil || string(got) != files[id] {
			t.Errorf("%s: %q %v", id, got, err)
		}
	}
	for id, size := range map[string]int64{"large": 0, "json": 1000} { // larger than it said, and as it says
		if _, err := c.Download(t.Context(), File{ID: id, Size: size}, 99); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s of %d: %v", id, size, err)
		}
	}
	for _, id := range []string{"unknown", "lost"} {
		if _, err := c.Download(t.Context(), File{ID: id}, 99); err == nil {
			t.Errorf("%s is there", id)
		}
	}
	server.Close()
	if _, err := c.Download(t.Context(), File{ID: "json"}, 99); err == nil || strings.Contains(err.Error(), "AAtest") {
		t.Errorf("without a server: %v", err)
	}
}
