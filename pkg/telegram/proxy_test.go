package telegram

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/config"
)

// TestTelegramIsReachedThroughAProxy: the API's host can't be found from here, so whatever arrives came through the proxy.
func TestTelegramIsReachedThroughAProxy(t *testing.T) {
	var asked atomic.Int64
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "telegram.invalid" {
			asked.Add(1)
		}
		_, _ = io.WriteString(w, `{"ok": true, "result": {"id": 1, "is_bot": true, "username": "datawatch_bot", "first_name": "datawatch", "type": "private"}}`)
	}))
	defer api.Close()
	for name, address := range map[string]string{
		"http":   "http://me:secret@" + api.Listener.Addr().String(), // a server that is asked for a whole URL is a proxy
		"socks5": "socks5://me:secret@" + socksProxy(t, api.Listener.Addr().String()),
	} {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			c, err := New(Options{
				Config:  config.Telegram{Token: testToken, APIURL: "http://telegram.invalid", Proxy: config.Secret(address)},
				Service: "test", Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Stop(t.Context()) }()
			if err := c.Probe(t.Context(), Chat{ID: 5}); err != nil {
				t.Error(err)
			}
			if asked.Load() == 0 {
				t.Error("nothing came through the proxy")
			}
		})
	}
}

// socksProxy is a SOCKS 5 proxy (RFC 1928, 1929) that lets me:secret through, to one place whatever they ask for.
func socksProxy(t *testing.T, to string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				if err := socks(conn, to); err != nil && !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			}()
		}
	}()
	return listener.Addr().String()
}

func socks(conn net.Conn, to string) error {
	r := bufio.NewReader(conn)
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(r, b) // what is missing is a refusal below
		return b
	}
	say := func(b ...byte) { _, _ = conn.Write(b) }
	read(int(read(2)[1]))
	say(5, 2) // name and password
	user := string(read(int(read(2)[1])))
	if password := string(read(int(read(1)[0]))); user != "me" || password != "secret" {
		say(1, 1)
		return errors.New("the proxy was given " + user + ":" + password)
	}
	say(1, 0)
	if kind := read(4)[3]; kind != 3 {
		return errors.New("the proxy wasn't given the host by its name")
	}
	host := string(read(int(read(1)[0])))
	read(2)
	if host != "telegram.invalid" {
		return errors.New("the proxy was asked for " + host)
	}
	api, err := net.Dial("tcp", to)
	if err != nil {
		return err
	}
	say(5, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	go func() {
		_, _ = io.Copy(api, r)
		_ = api.Close()
	}()
	_, err = io.Copy(conn, api)
	return err
}
