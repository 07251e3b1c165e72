package telegram

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"datawatch/pkg/config"
)

const proxyPassword = "pr0xy-p4ss/word"

// raw answers every connection with the same bytes and closes it.
func raw(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buffer := make([]byte, 4096)
				n, _ := c.Read(buffer)
				_, _ = io.WriteString(c, strings.ReplaceAll(answer, "{request}", string(buffer[:n])))
			}()
		}
	}()
	return l.Addr().String()
}

func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestTokenAppearsNowhereWhileTheNetworkFailsInEveryWay greps what a client logs, returns, reports, counts and prints.
func TestTokenAppearsNowhereWhileTheNetworkFailsInEveryWay(t *testing.T) {
	var printed lockedBuffer
	log.SetOutput(&printed)
	defer log.SetOutput(os.Stderr)

	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"ok":false,"error_code":400,"description":"Bad Request: %s"}`, r.URL.Path)
	}))
	defer echo.Close()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = fmt.Fprintf(w, "<html>%s</html>", r.URL)
	}))
	defer page.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"ok":true,"result":"%s"}`, r.URL)
	}))
	defer broken.Close()
	redirect := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1"+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer redirect.Close()

	cases := map[string]config.Telegram{
		"closed port":        {APIURL: "http://" + closedPort(t)},
		"no such host":       {APIURL: "http://telegram.invalid"},
		"not HTTP":           {APIURL: "http://" + raw(t, "{request}")},
		"wrong header":       {APIURL: "http://" + raw(t, "HTTP/1.1 200 OK\r\n{request}\r\n\r\n")},
		"cut in the answer":  {APIURL: "http://" + raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"ok\":true,{request}")},
		"chunks broken":      {APIURL: "http://" + raw(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz{request}")},
		"closed at once":     {APIURL: "http://" + raw(t, "")},
		"TLS to plain text":  {APIURL: "https://" + raw(t, "{request}")},
		"echo in the error":  {APIURL: echo.URL},
		"page":               {APIURL: page.URL},
		"wrong JSON":         {APIURL: broken.URL},
		"redirect":           {APIURL: redirect.URL},
		"proxy closed":       {APIURL: "http://telegram.invalid", Proxy: "http://me:" + "pr0xy-p4ss%2Fword" + "@" + config.Secret(closedPort(t))},
		"proxy refuses":      {APIURL: "https://telegram.invalid", Proxy: "http://me:pr0xy-p4ss%2Fword@" + config.Secret(raw(t, "HTTP/1.1 407 {request}\r\n\r\n"))},
		"socks closed":       {APIURL: "http://telegram.invalid", Proxy: "socks5://me:pr0xy-p4ss%2Fword@" + config.Secret(closedPort(t))},
		"socks speaks HTTP":  {APIURL: "http://telegram.invalid", Proxy: "socks5://me:pr0xy-p4ss%2Fword@" + config.Secret(raw(t, "HTTP/1.1 400 {request}"))},
		"proxy is not a URL": {APIURL: "http://telegram.invalid", Proxy: "http://me:pr0xy-p4ss/word@%zz"},
		"token of no form":   {APIURL: "http://telegram.invalid", Token: testToken + " \n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			said := provoke(t, c)
			said.WriteString(printed.String())
			for _, secret := range []string{testToken, strings.TrimPrefix(testToken, "7100000001:"), proxyPassword, "pr0xy-p4ss%2Fword", "pr0xy-p4ss"} {
				if at := strings.Index(said.String(), secret); at >= 0 {
					t.Errorf("%q in: …%s", secret, said.String()[max(0, at-200):at])
				}
			}
			if testing.Verbose() {
				t.Log(said.String()[:min(said.Len(), 1200)])
			}
		})
	}
}

// provoke uses everything a client does and returns what was said on the way.
func provoke(t *testing.T, c config.Telegram) *bytes.Buffer {
	said := &bytes.Buffer{}
	tell := func(err error) {
		for ; err != nil; err = errors.Unwrap(err) {
			fmt.Fprintf(said, "%v\n%+v\n%#v\n%q\n", err, err, err, err)
		}
	}
	if c.Token == "" {
		c.Token = testToken
	}
	c.Alerts = config.Chat{ID: 5}
	var logged lockedBuffer
	registry := prometheus.NewRegistry()
	client, err := New(Options{
		Config: c, Service: "test", Metrics: registry, Report: tell,
		Log: slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	tell(err)
	if err != nil {
		return said
	}
	fmt.Fprintf(said, "%v %+v\n", client.options.Config, client.options.Config)
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	polled := make(chan error, 1)
	go func() { polled <- client.Poll(ctx, Handlers{}) }()
	ref, err := client.Send(ctx, Chat{ID: 5}, text("x"), Critical)
	tell(err)
	tell(client.Edit(ctx, Ref{Chat{ID: 6}, ref.ID + 1}, text("y"), Critical))
	_, err = client.SendDocument(ctx, Chat{ID: 7}, Document{Name: "x", Content: []byte("x")}, Critical)
	tell(err)
	_, err = client.bots.files.FileByID("x")
	tell(err)
	tell(<-polled)
	stopping, done := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer done()
	tell(client.Stop(stopping))
	said.WriteString(logged.String())
	page := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	said.WriteString(page.Body.String())
	return said
}
