package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/pkg/reason"
)

// The keys of the configuration by which sessions are opened.
const (
	KeyDSN        = "dsn"
	KeyInstallDSN = "install_dsn"
)

// connectTimeout is how long an address is tried where its DSN has no connect_timeout.
const connectTimeout = 10 * time.Second

// Bounded has each address of a DSN tried for connect_timeout, and all that it names for as long as that takes.
func Bounded(ctx context.Context, c *pgx.ConnConfig) (context.Context, context.CancelFunc) {
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = connectTimeout
	}
	type address struct {
		host string
		port uint16
	}
	named := map[address]bool{{c.Host, c.Port}: true}
	for _, f := range c.Fallbacks {
		named[address{f.Host, f.Port}] = true
	}
	return context.WithTimeout(ctx, time.Duration(len(named))*c.ConnectTimeout)
}

// Unopened says that the session which the configuration names by a key couldn't be opened, and what to do about it.
func Unopened(err error, why reason.Code, key string, c *pgx.ConnConfig) error {
	return reason.Wrap(oneLine{err}, why.With()).Advise(admit(err, key, c.ConnectTimeout))
}

// NotConnected tells whether no session could be opened.
func NotConnected(err error) bool { return errors.Is(err, reason.New(reason.NotConnected.With())) }

// SQLSTATEs of servers that open no session (https://www.postgresql.org/docs/current/errcodes-appendix.html).
const (
	codePassword   = "28P01"
	codeRefused    = "28000" // by pg_hba.conf, or a role that isn't there or may not log in
	codeNoDatabase = "3D000"
	codeFull       = "53300"
	codeNotNow     = "57P03" // it starts, or stops
)

// admit is what makes a server open the session; nothing where that is only a matter of time.
func admit(err error, key string, waited time.Duration) reason.Text {
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch server.Code {
		case codePassword:
			return reason.DoPostgresUser.With(key)
		case codeNoDatabase:
			return reason.DoPostgresAbsent.With(key)
		case codeFull:
			if strings.Contains(server.Message, "max_wal_senders") { // in every language
				return reason.DoPostgresSender.With()
			}
			return reason.DoPostgresFull.With()
		case codeNotNow:
			return reason.Text{}
		}
		if server.Code == codeRefused && (strings.Contains(server.Message, "no encryption") || strings.Contains(server.Message, "SSL off")) { // before version 14
			return reason.DoPostgresTLS.With(key)
		}
		return reason.DoPostgres.With(key)
	}
	var unknown *net.DNSError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unknown):
		return reason.DoPostgresHost.With(key)
	case errors.Is(err, context.DeadlineExceeded):
		return reason.DoPostgresSilent.With(waited, key)
	case errors.As(err, &untrusted):
		return reason.DoPostgresCert.With(key)
	case strings.Contains(err.Error(), refusedTLS):
		return reason.DoPostgresPlain.With(key)
	default:
		return reason.DoPostgresDown.With(key)
	}
}

// refusedTLS is what an attempt by TLS ends with where the server has none: by sslmode=prefer, one without follows.
const refusedTLS = "server refused TLS connection"

// oneLine is an error that tells in one line, and once, what it tells of each attempt in a line of its own: of several lines, people
// are shown the first.
type oneLine struct{ error }

func (e oneLine) Error() string {
	said, rest, _ := strings.Cut(e.error.Error(), "\n")
	attempts := strings.Split(rest, "\n")
	telling := slices.DeleteFunc(slices.Clone(attempts), func(a string) bool { return strings.TrimSpace(a) == "" || strings.Contains(a, refusedTLS) })
	if len(telling) > 0 {
		attempts = telling
	}
	for _, a := range attempts {
		switch a = strings.TrimSpace(a); {
		case strings.Contains(said, a):
		case strings.HasSuffix(said, ":"):
			said += " " + a
		default:
			said += "; " + a
		}
	}
	return said
}

func (e oneLine) Unwrap() error { return e.error }
