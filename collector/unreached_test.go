package collector

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/remote"
	"datawatch/collector/internal/source"
	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"
	servers "datawatch/pkg/testrig/postgres"
)

// ranBy is a broker by which a collector has just said that it captures the source.
func ranBy(t *testing.T, name string) (addr string) {
	t.Helper()
	c := DefaultConfig().Broker
	c.Addresses = []string{testrig.Embedded(t)}
	if err := broker.EnsureTopics(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	p, err := broker.OpenPublisher(t.Context(), c, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	status := remote.Status{State: source.Streaming, At: time.Now().Add(time.Hour)}
	if err := p.Publish(t.Context(), []broker.Record{status.Record(broker.TopicsOf(c.TopicPrefix).State, name)}); err != nil {
		t.Fatal(err)
	}
	return c.Addresses[0]
}

// TestCommandsTellWhyADatabaseIsNotReached, in a line with the source, the address and what to look at, and without the password.
func TestCommandsTellWhyADatabaseIsNotReached(t *testing.T) {
	dir := testrig.PostgresDir(t)
	server := testrig.PrivatePostgres(t, servers.Options{Dir: dir, Settings: map[string]string{"fsync": "off"}})
	db, err := pgx.Connect(t.Context(), server.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(t.Context()) }()
	const access = "hostssl walled all all scram-sha-256\nhost postgres,nosuch all all scram-sha-256\n"
	if err := os.WriteFile(filepath.Join(dir, "data", "pg_hba.conf"), []byte(access), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"create database walled", "create role shop login password 'sesame'", "create role full login password 'sesame' connection limit 0", "select pg_reload_conf()"} {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	at, err := url.Parse(server.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	testrig.Eventually(t, time.Minute, func() error { // until the server has read what lets whom in
		if other, err := pgx.Connect(t.Context(), server.DSN("walled")); err == nil {
			_ = other.Close(t.Context())
			return errors.New("everybody is let in")
		}
		return nil
	})
	commands := []string{"triggers status", "triggers plan", "triggers install", "triggers remove", "check", "verify --stream shop-db/public.orders"}
	addr := ranBy(t, "shop-db")
	for _, c := range []struct{ name, dsn, says, do string }{
		{"closed port", "postgres://shop:sesame@127.0.0.1:1/postgres", "connection refused", "check host and port in dsn, and that the server runs"},
		{"unknown host", "host=shop..db user=shop password=sesame dbname=postgres", "lookup shop..db: no such host", "check the host in dsn"},
		{"wrong password", "postgres://shop:sesame2@" + at.Host + "/postgres", at.Host + " (127.0.0.1): failed SASL auth: FATAL: password authentication failed", "check user and password in dsn"},
		{"no database", "postgres://shop:sesame@" + at.Host + "/nosuch", `database "nosuch" does not exist`, "check the database in dsn"},
		{"no place", "postgres://full:sesame@" + at.Host + "/postgres", `too many connections for role "full"`, "end sessions that nobody needs, or raise max_connections"},
		{"TLS wanted", "postgres://shop:sesame@" + at.Host + "/walled?sslmode=disable", "no encryption", "set sslmode=require in dsn"},
		{"no TLS", "postgres://shop:sesame@" + at.Host + "/postgres?sslmode=require", "server refused TLS connection", "set sslmode=disable in dsn"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, capture := range []string{"triggers", "wal"} {
				yaml := fmt.Sprintf("broker: {addresses: [%q]}\ncollector: {sources: [{name: shop-db, postgres: {dsn: %q, capture: %s}}]}\n", addr, c.dsn, capture)
				for _, command := range commands {
					code, stdout, stderr := run(t, yaml, strings.Fields(command)...)
					line := onlyLine(t, stdout+stderr, "connect to PostgreSQL")
					if code != daemon.ExitFailed {
						t.Errorf("%s exits with %d: %s", command, code, line)
					}
					contains(t, line, "source shop-db", c.says, "("+c.do)
					if strings.Contains(stdout+stderr, "sesame") || strings.Count(line, c.says) > 1 {
						t.Errorf("%s says %s", command, line)
					}
				}
			}
		})
	}
	yaml := fmt.Sprintf("broker: {addresses: [%q]}\ncollector: {sources: [{name: shop-db, postgres: {dsn: %q, install_dsn: %q}}, {name: shop-too, postgres: {dsn: \"postgres://127.0.0.1:1/x\"}}]}\n",
		addr, server.DSN("postgres"), "postgres://shop:sesame2@"+at.Host+"/postgres")
	_, _, stderr := run(t, yaml, "triggers", "install")
	contains(t, onlyLine(t, stderr, "source shop-db"), "(check user and password in install_dsn)")
	contains(t, onlyLine(t, stderr, "source shop-too"), "error: source shop-too", "(check host and port in dsn")
}

// onlyLine is the one line of a text that says something.
func onlyLine(t *testing.T, text, says string) string {
	t.Helper()
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, says) {
			found = append(found, line)
		}
	}
	if len(found) != 1 {
		t.Errorf("%d lines say %q:\n%s", len(found), says, text)
		return text
	}
	return found[0]
}

// TestCommandsWaitTenSecondsForASilentAddress, and tell what to look at: of each kind of source, and of the broker.
func TestCommandsWaitTenSecondsForASilentAddress(t *testing.T) {
	const ofDSN, ofBroker = "(nothing answered for 10s: check host and port in dsn", "has not answered for 10s (see broker.addresses, "
	var running sync.WaitGroup
	defer running.Wait()
	for kind, addr := range testrig.Silent(t) {
		of := func(source string, values ...any) string {
			return "broker: {addresses: [\"127.0.0.1:1\"]}\ncollector: {sources: [{name: shop-db, " + fmt.Sprintf(source, values...) + "}]}\n"
		}
		dsn := "postgres://shop:sesame@" + addr + "/shop"
		triggers := of("postgres: {dsn: %q}", dsn)
		internal := strings.Replace(of("postgres: {dsn: %q}", dsn), "127.0.0.1:1", addr, 1)
		for _, c := range []struct{ command, yaml, says string }{
			{"triggers status", triggers, ofDSN},
			{"triggers remove", triggers, ofDSN},
			{"check", triggers, ofDSN},
			{"triggers plan", of("postgres: {dsn: %q}", dsn+"?connect_timeout=2"), "(nothing answered for 2s: check host and port in dsn"},
			{"triggers install", of("postgres: {dsn: %q, capture: wal}", dsn), ofDSN},
			{"check", of("kafka: {addresses: [%q]}", addr), "has not answered for 10s (check addresses, network, tls and sasl of the source)"},
			{"check", of("mongodb: {uri: %q, collections: [\"shop.*\"]}", "mongodb://shop:sesame@"+addr+"/?replicaSet=rs0"), "(check uri "},
			{"status", internal, ofBroker},
			{"gaps", internal, ofBroker},
			{"tail", internal, ofBroker},
			{"snapshot --source shop-db", internal, ofBroker},
			{"record true", internal, ofBroker},
			{"verify --stream shop-db/public.orders", internal, ofBroker},
			{"chat pair", "telegram: {token: \"1:a\", alerts: {chat: -1}}\n" + internal, ofBroker},
			{"check", strings.Replace(internal, dsn, "postgres://127.0.0.1:1/shop", 1), ofBroker},
		} {
			running.Go(func() {
				began := time.Now()
				code, stdout, stderr := run(t, c.yaml, strings.Fields(c.command)...)
				if took := time.Since(began); code != daemon.ExitFailed || took > 20*time.Second {
					t.Errorf("%s of one that is %s exits with %d after %s", c.command, kind, code, took)
				}
				contains(t, stdout+stderr, addr, c.says)
				if strings.Contains(stdout+stderr, "sesame") {
					t.Errorf("%s tells the password", c.command)
				}
			})
		}
	}
}

// TestASecondHostIsComeToWhereTheFirstIsSilent, within the first one's connect_timeout.
func TestASecondHostIsComeToWhereTheFirstIsSilent(t *testing.T) {
	dsn, err := url.Parse(testrig.Postgres(t).Database(t))
	if err != nil {
		t.Fatal(err)
	}
	dsn.Host = testrig.Silent(t)["deaf"] + "," + dsn.Host
	query := dsn.Query()
	query.Set("connect_timeout", "1")
	dsn.RawQuery = query.Encode()
	yaml := fmt.Sprintf("broker: {addresses: [\"127.0.0.1:1\"]}\ncollector: {sources: [{name: shop-db, postgres: {dsn: %q}}]}\n", dsn)
	if code, _, stderr := run(t, yaml, "triggers", "plan"); code != daemon.ExitOK {
		t.Errorf("it exits with %d: %s", code, stderr)
	}
}
