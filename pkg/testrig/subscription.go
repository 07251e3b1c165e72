package testrig

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Subscribe has the database of dsn apply, by the subscription datawatch_test, what is written from now on to all tables of another one,
// until the test ends. Both may be of the same server.
func Subscribe(t testing.TB, dsn, publisher string) {
	t.Helper()
	run := func(ctx context.Context, dsn string, statements ...string) {
		t.Helper()
		db, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Fatalf("testrig: %v", err)
		}
		defer db.Close(ctx)
		for _, sql := range statements {
			if _, err := db.Exec(ctx, sql); err != nil {
				t.Fatalf("testrig: %s: %v", sql, err)
			}
		}
	}
	slot := strings.ReplaceAll(Prefix(t), "-", "_")
	// The subscription itself can't make its slot on its own server: that would wait for the transaction that it is made in.
	run(t.Context(), publisher, `create publication datawatch_test for all tables`, `select pg_create_logical_replication_slot('`+slot+`', 'pgoutput')`)
	run(t.Context(), dsn, `create subscription datawatch_test connection '`+strings.ReplaceAll(publisher, `'`, `''`)+`' publication datawatch_test
		with (create_slot = false, slot_name = '`+slot+`', copy_data = false)`)
	t.Cleanup(func() { // the slot goes with its database
		run(context.Background(), dsn, `alter subscription datawatch_test disable`, `alter subscription datawatch_test set (slot_name = none)`, `drop subscription datawatch_test`)
	})
}
