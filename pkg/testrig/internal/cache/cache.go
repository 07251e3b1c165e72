// Package cache keeps what was fetched once, outside the source tree, for every
// process of the user. An entry is a folder that is either complete or absent: it
// is filled under another name and renamed into place, by one process at a time.
package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Env names the folder that holds the cache, instead of the default.
const Env = "DATAWATCH_CACHE"

// Dir is where the cache is. For root it is a system folder, not one in root's
// home: servers run as an unprivileged user, who must be able to read it.
func Dir() (string, error) {
	if dir := os.Getenv(Env); dir != "" {
		return filepath.Abs(dir)
	}
	if os.Geteuid() == 0 {
		return "/var/cache/datawatch", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for the cache (%s names one): %w", Env, err)
	}
	return filepath.Join(dir, "datawatch"), nil
}

// Ensure gives the folder of the entry name ("postgres-17.6.0"). Where it is
// missing, fill puts its content into an empty folder, which then becomes the
// entry. One entry is filled at a time: what fills them (Maven and its local
// repository) does not bear company.
func Ensure(ctx context.Context, name string, fill func(ctx context.Context, dir string) error) (string, error) {
	root, err := Dir()
	if err != nil {
		return "", err
	}
	entry := filepath.Join(root, name)
	if exists(entry) {
		return entry, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", fmt.Errorf("create the cache: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(root, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(entry) {
		return entry, nil
	}
	return entry, fillEntry(ctx, entry, fill)
}

// fillEntry runs under the entry's lock.
func fillEntry(ctx context.Context, entry string, fill func(ctx context.Context, dir string) error) error {
	partial := entry + ".partial"
	// What an interrupted process left is never used.
	if err := os.RemoveAll(partial); err != nil {
		return fmt.Errorf("remove a partial download: %w", err)
	}
	if err := os.Mkdir(partial, 0o755); err != nil {
		return fmt.Errorf("fill the cache: %w", err)
	}
	if err := fill(ctx, partial); err != nil {
		return errors.Join(err, os.RemoveAll(partial))
	}
	if err := os.Rename(partial, entry); err != nil {
		return fmt.Errorf("fill the cache: %w", err)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// lock waits for the file's lock until ctx is done.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the cache: %w", err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			f.Close()
			return nil, fmt.Errorf("lock %q: %w", path, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for another process that fills the cache (%s): %w", path, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
