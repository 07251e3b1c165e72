package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/deploy/telegramsim"
	"datawatch/pkg/testrig"
)

const (
	outboxCap = 16 << 20
	// outboxNearCap is a little over the 80% from which people are told, and well under the cap, where capture stops.
	outboxNearCap = outboxCap * 83 / 100
	// chatsSounds is how many messages sound in a chat within ten minutes, of which one is kept for troubles of our own: fewer
	// than usual, for each alert has to be waited for.
	chatsSounds = 3
)

const gaugesSchema = `{
  "title": "Gauges", "x-severity": "critical", "type": "object",
  "properties": {%s}
}`

// TestAnOutboxNearItsCapRingsThoughTheChatHasHeardItsFillOfAlerts: an open transaction fills the outbox of a PostgreSQL while the
// chat has no room for the sound of a critical alert; the alarm comes while it is open, and the same message says when there
// is room again.
func TestAnOutboxNearItsCapRingsThoughTheChatHasHeardItsFillOfAlerts(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t), telegramsim.Limits{})
	w.configure("  schemas:", "  alerts: {edit_every: 1s, sound_most: "+strconv.Itoa(chatsSounds)+"}\n  schemas:")
	w.configure(`tables: ["public.*"]}`, fmt.Sprintf(`tables: ["public.*"], outbox: {max_bytes: %d}}`, outboxCap))
	fields := make([]string, chatsSounds)
	for i := range fields {
		fields[i] = fmt.Sprintf(`"gauge%d": {"type": "integer", "minimum": 0}`, i)
	}
	schema := fmt.Sprintf(gaugesSchema, strings.Join(fields, ", "))
	if err := os.WriteFile(filepath.Join(w.Schemas, "shop-db", "public.gauges.json"), []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	connection, err := pgx.Connect(t.Context(), w.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close(context.WithoutCancel(t.Context())) })
	execute := func(sql string, args ...any) {
		t.Helper()
		if _, err := connection.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	execute(`CREATE TABLE gauges (id bigint PRIMARY KEY, gauge0 int, gauge1 int, gauge2 int);
		CREATE TABLE blobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, noise text)`)
	w.start()

	for i := range fields {
		values := []string{"0", "0", "0"}
		values[i] = "-1"
		execute(fmt.Sprintf("INSERT INTO gauges VALUES (%d, %s)", i, strings.Join(values, ", ")))
		alert := w.message(alertsChat, fmt.Sprintf("gauge%d is too small", i))
		if beyond := i == chatsSounds-1; alert.Silent != beyond {
			t.Fatalf("critical alert %d: silent is %v:\n%s", i, alert.Silent, texts(w.sim.Messages(alertsChat)))
		}
	}

	filling, err := connection.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.fillOutbox(filling)
	alarm := w.message(alertsChat, "The outbox of shop-db is 8")
	if alarm.Silent {
		t.Error("the alarm makes no sound")
	}
	for _, text := range []string{"16MiB wait in the database", "capture stops", "Do: "} {
		if !strings.Contains(alarm.Text, text) {
			t.Errorf("the alarm doesn't say %q:\n%s", text, alarm.Text)
		}
	}
	if err := filling.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	_, err = w.sim.Await(ctx, alertsChat, func(m telegramsim.Message) bool {
		return m.ID == alarm.ID && strings.HasPrefix(m.Text, "🟢 The outbox of shop-db has room again · was nearly full ")
	})
	if err != nil {
		t.Fatalf("nobody is told that there is room again: %v\n%s", err, texts(w.sim.Messages(alertsChat)))
	}
}

// fillOutbox writes noise in a transaction until the outbox is near its cap.
func (w *world) fillOutbox(tx pgx.Tx) {
	w.t.Helper()
	const size = `SELECT sum(pg_relation_size(c.oid) + coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0))::bigint
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'datawatch' AND c.relname LIKE 'outbox\__'`
	testrig.Eventually(w.t, time.Minute, func() error {
		_, err := tx.Exec(w.t.Context(), `INSERT INTO blobs (noise) SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 10000) i GROUP BY i / 1000`)
		if err != nil {
			w.t.Fatal(err)
		}
		var bytes int64
		if err := tx.QueryRow(w.t.Context(), size).Scan(&bytes); err != nil {
			w.t.Fatal(err)
		}
		if bytes < outboxNearCap {
			return errors.New("not near yet")
		}
		return nil
	})
}
