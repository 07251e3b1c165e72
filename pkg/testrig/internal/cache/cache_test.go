package cache

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const fillerEnv = "CACHE_TEST_FILLER"

// TestMain lets the test binary be another process that asks for an entry, and
// notes in a file beside the cache that it had to fill it.
func TestMain(m *testing.M) {
	notes := os.Getenv(fillerEnv)
	if notes == "" {
		os.Exit(m.Run())
	}
	_, err := Ensure(context.Background(), "entry", func(_ context.Context, dir string) error {
		f, err := os.OpenFile(notes, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if _, err := f.WriteString("."); err != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond) // so that the others come while it is filled
		return errors.Join(f.Close(), os.WriteFile(filepath.Join(dir, "file"), []byte("whole"), 0o600))
	})
	if err != nil {
		panic(err)
	}
}

func put(text string) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		return os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o600)
	}
}

func content(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEntryIsFilledOnceByManyProcesses(t *testing.T) {
	root := t.TempDir()
	notes := filepath.Join(t.TempDir(), "notes")
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), Env+"="+root, fillerEnv+"="+notes)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	if filled, _ := os.ReadFile(notes); len(filled) != 1 {
		t.Errorf("filled %d times", len(filled))
	}
	if got := content(t, filepath.Join(root, "entry")); got != "whole" {
		t.Errorf("the entry has %q", got)
	}
}

func TestPartialEntryIsNeverUsed(t *testing.T) {
	root := t.TempDir()
	t.Setenv(Env, root)
	broken := errors.New("line cut")
	_, err := Ensure(t.Context(), "entry", func(ctx context.Context, dir string) error {
		return errors.Join(put("half")(ctx, dir), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatalf("Ensure gave %v", err)
	}
	// What a process that was killed meanwhile leaves.
	if err := os.Mkdir(filepath.Join(root, "entry.partial"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := put("half")(t.Context(), filepath.Join(root, "entry.partial")); err != nil {
		t.Fatal(err)
	}
	dir, err := Ensure(t.Context(), "entry", put("whole"))
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, dir); got != "whole" {
		t.Errorf("the entry has %q", got)
	}
}

func TestWaitingForAnotherProcessEndsWithTheContext(t *testing.T) {
	t.Setenv(Env, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Ensure(t.Context(), "slow", func(context.Context, string) error {
		cancel()
		_, err := Ensure(ctx, "other", put("text"))
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Ensure gave %v", err)
	}
}
