package source_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/postgres"
	"datawatch/collector/internal/postgres/wal"
	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/sourcetest"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	server "datawatch/pkg/testrig/postgres"
)

func TestMain(m *testing.M) { testrig.Main(m) }

// TestPostgresKeepsTheContract stands here, and not with the source, so that sources know nothing of the suite's needs;
// Kafka's is with it, for it shortens the source's patience.
func TestPostgresKeepsTheContract(t *testing.T) { keepsTheContract(t, "triggers") }

func TestPostgresFromTheWALKeepsTheContract(t *testing.T) { keepsTheContract(t, "wal") }

func keepsTheContract(t *testing.T, capture string) {
	sourcetest.Run(t, func(t *testing.T) sourcetest.Harness {
		h := &database{capture: capture}
		if strings.HasSuffix(t.Name(), "/ALostSystemIsAnError") {
			h.private = testrig.PrivatePostgres(t, server.Options{})
			if err := h.private.CreateDatabase(t.Context(), "shop"); err != nil {
				t.Fatal(err)
			}
			h.dsn = h.private.DSN("shop")
		} else {
			h.dsn = testrig.Postgres(t).Database(t)
		}
		h.exec(t, "create table changes (id text primary key, counter int not null)")
		return h
	})
}

// database is a database with one table: a change of the suite is the upsert of a row.
type database struct {
	capture string
	dsn     string
	private *server.Server // of the test that cuts it off
}

func (d *database) Source(t testing.TB, reporter source.Reporter) source.Source {
	var c postgres.Config
	c.SetDefaults()
	c.DSN = config.Secret(d.dsn)
	if c.Capture = d.capture; c.CapturesWAL() {
		c.AllowUnboundedWAL = true
		at, err := pgx.ParseConfig(d.dsn)
		if err != nil {
			t.Fatal(err)
		}
		return wal.New(strings.ReplaceAll(at.Database, "_", "-"), c, wal.Options{Reporter: reporter}) // slots are the cluster's
	}
	return postgres.New("shop-db", c, postgres.Options{Reporter: reporter})
}

func (d *database) Write(t testing.TB, changes []sourcetest.Change) {
	db, err := pgx.Connect(context.Background(), d.dsn)
	if err != nil {
		t.Errorf("connect: %v", err)
		return
	}
	defer func() { _ = db.Close(context.Background()) }()
	for _, c := range changes {
		_, err := db.Exec(context.Background(),
			"insert into changes values ($1, $2) on conflict (id) do update set counter = excluded.counter", c.Key, c.Number)
		if err != nil {
			t.Errorf("write: %v", err)
			return
		}
	}
}

func (d *database) exec(t testing.TB, sql string) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), d.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.Background()) }()
	if _, err := db.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func (d *database) Read(t testing.TB, e event.Raw) sourcetest.Change {
	var change event.RowChange
	var row struct {
		Key    string `json:"id"`
		Number int    `json:"counter"`
	}
	if err := json.Unmarshal(e.Value, &change); err != nil {
		t.Fatalf("event %s: %v: %s", e.ID, err, e.Value)
	}
	if err := json.Unmarshal(change.After, &row); err != nil {
		t.Fatalf("event %s: %v: %s", e.ID, err, e.Value)
	}
	return sourcetest.Change{Key: row.Key, Number: row.Number}
}

// Lose has the changes be made while nothing captures.
func (d *database) Lose(t testing.TB, write func()) {
	if d.capture == "wal" {
		d.exec(t, "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()")
	} else if err := d.Source(t, nil).(*postgres.Source).Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	write()
}

func (d *database) Cut(t testing.TB) (mend func()) {
	if err := d.private.Kill(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := d.private.Restart(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}
