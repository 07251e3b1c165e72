// Package scratch makes temporary folders for servers. A process that is killed
// can't remove its own, so whoever makes the next one removes those whose owner is
// gone: a server's data is tens of megabytes.
package scratch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ownerFile is locked by the process that made the folder for as long as it lives.
const ownerFile = "owner"

// Dir is a temporary folder of this process.
type Dir struct {
	Path  string
	owner *os.File
}

// New makes a folder for a server of a kind ("postgres").
func New(kind string) (*Dir, error) {
	prefix := "datawatch-" + kind + "-"
	sweep(filepath.Join(os.TempDir(), prefix+"*"))
	path, err := os.MkdirTemp("", prefix)
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	owner, err := claim(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a temporary folder: %w", err), os.RemoveAll(path))
	}
	return &Dir{path, owner}, nil
}

// claim locks the owner file before it has its name: nobody sees it unlocked.
func claim(path string) (*os.File, error) {
	f, err := os.CreateTemp(path, ownerFile)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(path, ownerFile))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Remove removes the folder.
func (d *Dir) Remove() error {
	d.owner.Close()
	return os.RemoveAll(d.Path)
}

// sweep removes abandoned folders. It is a courtesy: what it can't remove, another
// user's folders for one, stays.
func sweep(pattern string) {
	paths, _ := filepath.Glob(pattern) // the pattern is well-formed
	for _, path := range paths {
		f, err := os.Open(filepath.Join(path, ownerFile))
		if err != nil {
			continue // being made, being removed, or not ours to read
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(path)
		}
		f.Close()
	}
}
