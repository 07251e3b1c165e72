package testrig_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/postgres"
)

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestDatabaseIsDroppedWithItsSlotsAndSessions(t *testing.T) {
	server := testrig.Postgres(t)
	admin := connect(t, server.DSN())
	defer admin.Close(t.Context())

	var name string
	t.Run("of a test that leaves everything open", func(t *testing.T) {
		conn := connect(t, server.Database(t))
		if err := conn.QueryRow(t.Context(), "select current_database()").Scan(&name); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "select pg_create_logical_replication_slot($1, 'pgoutput')", name); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "begin; create table t (); lock table t"); err != nil {
			t.Fatal(err)
		}
	})

	var left int
	err := admin.QueryRow(t.Context(),
		"select (select count(*) from pg_database where datname = $1) + (select count(*) from pg_replication_slots where slot_name = $1)", name).Scan(&left)
	if err != nil {
		t.Fatal(err)
	}
	if name == "" || left != 0 {
		t.Errorf("%d of the database %q and its slot are left", left, name)
	}
}

func TestVersionsRunSideBySide(t *testing.T) {
	any, seventeen := testrig.Postgres(t), testrig.PostgresVersion(t, "17")
	if !strings.HasPrefix(seventeen.Version, "17.") {
		t.Errorf("version %s, not 17", seventeen.Version)
	}
	for _, server := range []*testrig.PostgresServer{any, seventeen} {
		conn := connect(t, server.Database(t))
		defer conn.Close(t.Context())
		var version string
		if err := conn.QueryRow(t.Context(), "show server_version").Scan(&version); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(version, server.Version) {
			t.Errorf("%s answers where %s was expected", version, server.Version)
		}
	}
}

func TestPrivatePostgresMayBeKilled(t *testing.T) {
	shared := connect(t, testrig.Postgres(t).DSN())
	defer shared.Close(t.Context())
	server := testrig.PrivatePostgres(t, postgres.Options{})
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := shared.Ping(t.Context()); err != nil {
		t.Errorf("the shared server went with it: %v", err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, server.DSN("postgres"))
	defer conn.Close(t.Context())
	if err := conn.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
