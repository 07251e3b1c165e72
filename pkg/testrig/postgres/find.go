package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrUnavailable is returned when the machine has no PostgreSQL as wanted and none
// could be fetched.
var ErrUnavailable = errors.New("no PostgreSQL here")

// installed are the places, beside the PATH, where packages put the binaries.
var installed = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// binaries is a folder with initdb and postgres.
type binaries struct {
	dir     string
	version string // as in "15.14"
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// major is the part of the version that decides what a data folder can be used with.
func (b binaries) major() string { return major(b.version) }

func major(version string) string {
	m, _, _ := strings.Cut(version, ".")
	return m
}

// find gives the binaries of a version: "" for any, "17" for any 17, "17.6.0" for
// that very build of those that can be fetched.
func find(ctx context.Context, version string) (binaries, error) {
	if !strings.Contains(version, ".") {
		for _, b := range onMachine(ctx) {
			if version == "" || b.major() == version {
				return b, nil
			}
		}
	}
	dir, err := Fetch(ctx, version)
	if err != nil {
		return binaries{}, err
	}
	return inspect(ctx, filepath.Join(dir, "bin"))
}

// onMachine lists what is installed, the newest first.
func onMachine(ctx context.Context) []binaries {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, pattern := range installed {
		matches, _ := filepath.Glob(pattern) // the patterns are well-formed
		dirs = append(dirs, matches...)
	}
	var found []binaries
	for _, dir := range dirs {
		if b, err := inspect(ctx, dir); err == nil {
			found = append(found, b)
		}
	}
	slices.SortStableFunc(found, func(a, b binaries) int { return number(b.major()) - number(a.major()) })
	return found
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// inspect asks the server binary for its version: a folder may have the client's
// programs only.
func inspect(ctx context.Context, dir string) (binaries, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return binaries{}, fmt.Errorf("look for PostgreSQL: %w", err)
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return binaries{}, fmt.Errorf("ask %s for its version: %w", dir, err)
	}
	fields := strings.Fields(string(out)) // postgres (PostgreSQL) 15.14 (Debian …)
	if len(fields) < 3 {
		return binaries{}, fmt.Errorf("ask %s for its version: unexpected answer %q", dir, out)
	}
	return binaries{dir: dir, version: fields[2]}, nil
}
