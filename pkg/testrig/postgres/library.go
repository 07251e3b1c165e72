package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"

	"datawatch/pkg/testrig/internal/port"
)

// childEnv has a process fetch a build: "VERSION DIR".
const childEnv = "DATAWATCH_POSTGRES_FETCH"

// MainIfChild fetches a build and ends the process, if this process was started for that by [Fetch]. Where Maven may be
// missing, the first line of main, or of TestMain, is a call of it.
func MainIfChild() {
	order, isChild := os.LookupEnv(childEnv)
	if !isChild {
		return
	}
	version, dir, _ := strings.Cut(order, " ")
	if err := unpackByLibrary(version, dir, os.TempDir()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// fetchByLibrary puts bin, lib and share of a build into dir without Maven, tar or xz on the machine. The library goes to
// the public repository, through HTTPS_PROXY where that is set; a mirror of the user's own is known to Maven only. It can't
// be cancelled and leaves files in the temporary folder, and so is run in a process and a folder of its own.
func fetchByLibrary(ctx context.Context, version, dir string) (err error) {
	if _, isChild := os.LookupEnv(childEnv); isChild {
		return errors.New("this program's main doesn't begin with postgres.MainIfChild()")
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "datawatch-postgres-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	child := exec.CommandContext(ctx, exe)
	child.Env = append(os.Environ(), childEnv+"="+version+" "+dir, "TMPDIR="+scratch)
	var complaints bytes.Buffer
	child.Stderr = &complaints
	if err := child.Run(); err != nil {
		return fmt.Errorf("fetch PostgreSQL %s: %w: %s", version, err, strings.TrimSpace(complaints.String()))
	}
	return nil
}

// unpackByLibrary uses the first half of what the library does to start a server: it has no call that only fetches. A
// locale that there isn't ends it behind the unpacking, when it has made its run folder.
func unpackByLibrary(version, dir, scratch string) error {
	free, err := port.Free()
	if err != nil {
		return err
	}
	run := filepath.Join(scratch, "run")
	server := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(embeddedpostgres.PostgresVersion(version)).Locale("none").
		BinariesPath(dir).CachePath(scratch).RuntimePath(run).DataPath(filepath.Join(scratch, "data")).Port(uint32(free)))
	err = server.Start()
	if _, missing := os.Stat(run); missing != nil {
		return err
	}
	if err == nil {
		return server.Stop()
	}
	return nil
}
