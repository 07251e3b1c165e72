package telegram

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"datawatch/pkg/config"
	"datawatch/pkg/reason"
)

// placeholder is the token as the client library and every URL above the transport have it.
const placeholder = "TOKEN"

// maxAnswer bounds what is read of an answer: 100 updates are far below it.
const maxAnswer = 16 << 20

// filePath begins the paths of files, whose content is anybody's.
const filePath = "/file/bot"

// transport puts the token into requests and keeps it out of everything else. An answer that isn't JSON becomes an error:
// it comes from something between us and Telegram.
type transport struct {
	base   http.RoundTripper
	token  string
	secret *strings.Replacer
	// ctx ends every request; the library can't be given one a call.
	ctx context.Context
}

var tokenForm = regexp.MustCompile(`^[0-9]+:[A-Za-z0-9_-]+$`)

// newTransport needs a base only in tests; otherwise it makes one with the proxy.
func newTransport(ctx context.Context, c config.Telegram, base http.RoundTripper) (*transport, error) {
	token := c.Token.Reveal()
	if !tokenForm.MatchString(token) {
		return nil, errors.New("telegram.token has not the form of a bot's token: digits, a colon, letters and digits, as @BotFather gives it")
	}
	hide := []string{token, hidden, url.PathEscape(token), hidden, url.QueryEscape(token), hidden}
	if base == nil {
		proxy, password, err := proxyOf(c.Proxy)
		if err != nil {
			return nil, err
		}
		if password != "" {
			hide = append(hide, password, hidden, url.QueryEscape(password), hidden, url.PathEscape(password), hidden)
		}
		base = &http.Transport{
			Proxy: proxy, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second, ExpectContinueTimeout: time.Second,
			DialContext: (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		}
	}
	return &transport{base: base, token: token, secret: strings.NewReplacer(hide...), ctx: ctx}, nil
}

const hidden = "•••"

func proxyOf(secret config.Secret) (proxy func(*http.Request) (*url.URL, error), password string, err error) {
	if secret == "" {
		return nil, "", nil
	}
	u, err := url.Parse(secret.Reveal())
	if err != nil || u.Host == "" {
		return nil, "", errors.New("telegram.proxy is not a URL such as http://host:port or socks5://user:password@host:port")
	}
	password, _ = u.User.Password()
	return http.ProxyURL(u), password, nil
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(request.Context())
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	real := request.Clone(ctx)
	real.URL.Path = strings.Replace(real.URL.Path, placeholder, t.token, 1)
	real.URL.RawPath = ""
	response, err := t.base.RoundTrip(real)
	if err != nil {
		return nil, t.redact(err)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if closing := response.Body.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, t.redact(err)
	}
	file := strings.HasPrefix(request.URL.Path, filePath) && response.StatusCode == http.StatusOK
	if first := bytes.TrimLeft(body, " \r\n\t"); !file && (len(first) == 0 || first[0] != '{') {
		return nil, &proxyError{status: response.StatusCode}
	}
	if !file {
		body = []byte(t.secret.Replace(string(body)))
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	response.ContentLength = -1
	response.Request = request
	return response, nil
}

// redact keeps an error as it is unless its text holds a secret; then only the text is left.
func (t *transport) redact(err error) error {
	text := err.Error()
	safe := t.secret.Replace(text)
	if safe == text {
		return err
	}
	return errors.New(safe)
}

// proxyError is an answer that Telegram doesn't give: an error page of a proxy or a load balancer, or a redirect.
type proxyError struct{ status int }

func (e *proxyError) Error() string {
	return e.Unwrap().Error()
}

// Unwrap gives what it says by code.
func (e *proxyError) Unwrap() error {
	return reason.New(reason.TelegramOther.With(fmt.Sprint(e.status, " ", http.StatusText(e.status))))
}
