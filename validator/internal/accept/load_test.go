package accept_test

import (
	"os"
	"path/filepath"
	"testing"

	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
)

const stream = event.Stream("shop-db/public.orders")

// loadFile loads one schema file as the validator does.
func loadFile(t testing.TB, schema string) *schemas.File {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, string(stream)+".json")
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(schema), 0o644); err != nil {
		t.Fatal(err)
	}
	set, err := schemas.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	file := set.For(stream)
	if file == nil {
		t.Fatal(set.Problems())
	}
	return file
}
