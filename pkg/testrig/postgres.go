package testrig

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/testrig/postgres"
)

// postgresEnv names the user's own server, by a superuser's DSN.
const postgresEnv = "DATAWATCH_TEST_POSTGRES_DSN"

// versionEnv names the version that tests get which ask for none.
const versionEnv = "DATAWATCH_TEST_POSTGRES_VERSION"

// forTests are settings of servers whose data needn't survive the machine. What a
// killed server wrote survives all the same.
var forTests = map[string]string{"fsync": "off", "full_page_writes": "off", "max_wal_senders": "50", "max_replication_slots": "50"}

// PostgresServer is a PostgreSQL server that the tests of a process share.
type PostgresServer struct {
	// Version is what the server says it is, as in "15.14".
	Version string

	admin string // the superuser's DSN of the database postgres
}

var postgresServers struct {
	sync.Mutex
	byVersion map[string]*shared[*PostgresServer]
}

// Postgres gives the server that the tests of this process share: the user's own,
// or one of the version that DATAWATCH_TEST_POSTGRES_VERSION names, else of whichever
// the machine has.
func Postgres(t testing.TB) *PostgresServer {
	t.Helper()
	return PostgresVersion(t, os.Getenv(versionEnv))
}

// PostgresVersion gives a shared server of a version, as in "17" or "17.6.0". The
// user's own server is taken for "" only.
func PostgresVersion(t testing.TB, version string) *PostgresServer {
	t.Helper()
	postgresServers.Lock()
	if postgresServers.byVersion == nil {
		postgresServers.byVersion = make(map[string]*shared[*PostgresServer])
	}
	one := postgresServers.byVersion[version]
	if one == nil {
		one = new(shared[*PostgresServer])
		postgresServers.byVersion[version] = one
	}
	postgresServers.Unlock()

	server, err := one.get(func(ctx context.Context) (*PostgresServer, error) {
		if dsn := os.Getenv(postgresEnv); dsn != "" && version == "" {
			return usersPostgres(ctx, dsn)
		}
		s, err := postgres.Start(ctx, postgres.Options{Version: version, Settings: forTests})
		if err != nil {
			return nil, err
		}
		stopAtEnd(s.Stop)
		return &PostgresServer{Version: s.Version, admin: s.DSN("postgres")}, nil
	})
	require(t, err)
	return server
}

func usersPostgres(ctx context.Context, dsn string) (*PostgresServer, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("connect to the server that %s names: %w", postgresEnv, err)
	}
	defer conn.Close(ctx)
	s := &PostgresServer{admin: dsn}
	if err := conn.QueryRow(ctx, "show server_version").Scan(&s.Version); err != nil {
		return nil, fmt.Errorf("ask the server that %s names for its version: %w", postgresEnv, err)
	}
	s.Version, _, _ = strings.Cut(s.Version, " ")
	return s, nil
}

// PrivatePostgres starts a server for this test alone, which it may kill and
// restart. Where o names no folder, the data is in a temporary one. (t.TempDir is
// no place for it: for root the server runs as a user who can't enter it.)
func PrivatePostgres(t testing.TB, o postgres.Options) *postgres.Server {
	t.Helper()
	if o.Settings == nil {
		o.Settings = forTests
	}
	if o.Version == "" {
		o.Version = os.Getenv(versionEnv)
	}
	ctx, cancel := context.WithTimeout(t.Context(), obtainTimeout)
	defer cancel()
	s, err := postgres.Start(ctx, o)
	require(t, err)
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("testrig: %v", err)
		}
	})
	return s
}

// DSN is the superuser's, of the database that is always there.
func (s *PostgresServer) DSN() string { return s.admin }

// Database creates an empty database for this test and gives the superuser's DSN
// of it. When the test ends it is dropped, with its sessions and replication slots.
func (s *PostgresServer) Database(t testing.TB) string {
	t.Helper()
	name := strings.ReplaceAll(Prefix(t), "-", "_")
	if err := s.exec(t.Context(), "create database "+pgx.Identifier{name}.Sanitize()); err != nil {
		t.Fatalf("testrig: create database: %v", err)
	}
	t.Cleanup(func() {
		Eventually(t, 20*time.Second, func() error { return s.drop(context.Background(), name) })
	})
	dsn, err := withDatabase(s.admin, name)
	if err != nil {
		t.Fatalf("testrig: %v", err)
	}
	return dsn
}

// drop is tried until it works: who was told to go is not gone at once.
func (s *PostgresServer) drop(ctx context.Context, name string) error {
	return errors.Join(
		s.exec(ctx, "select pg_terminate_backend(active_pid) from pg_replication_slots where database = $1 and active", name),
		s.exec(ctx, "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1 and not active", name),
		s.exec(ctx, "drop database if exists "+pgx.Identifier{name}.Sanitize()+" with (force)"),
	)
}

func (s *PostgresServer) exec(ctx context.Context, sql string, args ...any) error {
	conn, err := pgx.Connect(ctx, s.admin)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql, args...)
	return err
}

// withDatabase gives a DSN, in either of its forms, for another database.
func withDatabase(dsn, database string) (string, error) {
	if !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
		return dsn + " dbname=" + database, nil // the last one counts
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return "", errors.New("the DSN is not a URL") // err would quote the password
	}
	u.Path = "/" + database
	return u.String(), nil
}
