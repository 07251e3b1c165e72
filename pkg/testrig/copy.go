package testrig

import (
	"os"
	"path/filepath"
	"testing"
)

// PostgresDir is a folder for the data of servers that a test stops, copies and starts (t.TempDir is closed to the servers'
// user). It is removed at the end.
func PostgresDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "postgres-")
	if err != nil {
		t.Fatalf("testrig: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatalf("testrig: %v", err)
	}
	return dir
}

// CopyPostgres copies the folder of a server that is stopped, as a backup of its files does, and gives the copy's. A server
// that is started on it has the same identity. As a standby it can be read only, until it is promoted.
func CopyPostgres(t testing.TB, dir string, standby bool) string {
	t.Helper()
	to := PostgresDir(t)
	data := filepath.Join(to, "data")
	err := os.CopyFS(to, os.DirFS(dir))
	if err == nil {
		err = os.Chmod(data, 0o700) // as a server wants it
	}
	if err == nil && standby {
		err = os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o600)
	}
	if err != nil {
		t.Fatalf("testrig: copy a server's files: %v", err)
	}
	return to
}
