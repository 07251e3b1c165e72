package validator

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"datawatch/pkg/testrig"
	"datawatch/validator/internal/schemas"
)

// What is wrong when a validator starts isn't the doing of schema files that were there all along.
func TestOnlyAFileThatCameAfterTheStartHasChanged(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "shop-db", "public.orders.json")
	write := func(text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"required": ["id"]}`)
	watcher := schemas.NewWatcher(dir, slog.New(slog.DiscardHandler), func(*schemas.Set, error) {})
	changed := changedFile(watcher, time.Now())
	if sha, at := changed("shop-db/public.orders"); sha != "" || !at.IsZero() {
		t.Errorf("a file that was there is told as changed: %s, %s", sha, at)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- watcher.Run(ctx) }()
	write(`{"required": ["id", "total"]}`)
	testrig.Eventually(t, 20*time.Second, func() error {
		if sha, at := changed("shop-db/public.orders"); sha == "" || at.IsZero() {
			return errors.New("the change isn't told")
		}
		return nil
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
}
