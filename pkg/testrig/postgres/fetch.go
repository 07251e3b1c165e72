package postgres

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"

	"datawatch/pkg/testrig/internal/cache"
	"datawatch/pkg/testrig/internal/maven"
)

// DefaultVersion is fetched where the machine has no PostgreSQL.
const DefaultVersion = "17.6.0"

// builds are the builds that are fetched for a major version.
var builds = map[string]string{
	"13": "13.22.0",
	"14": "14.19.0",
	"15": "15.14.0",
	"16": "16.10.0",
	"17": "17.6.0",
	"18": "18.0.0",
}

// MajorVersions are the versions that can be fetched by their number alone.
func MajorVersions() []string { return slices.Sorted(maps.Keys(builds)) }

// Fetch brings a build ("17", "17.6.0", "" for DefaultVersion) into the cache, if
// it isn't there, and gives its folder. Its servers have the contrib extensions,
// but neither psql nor lz4. Maven fetches it where the machine has that, a Go library elsewhere.
func Fetch(ctx context.Context, version string) (dir string, err error) {
	if version == "" {
		version = DefaultVersion
	}
	if build, known := builds[version]; known {
		version = build
	}
	platform, err := platform()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	dir, err = cache.Ensure(ctx, "postgres-"+version, func(ctx context.Context, dir string) error {
		err := fetch(ctx, "io.zonky.test.postgres:embedded-postgres-binaries-"+platform+":"+version, dir)
		if errors.Is(err, maven.ErrMissing) {
			err = fetchByLibrary(ctx, version, dir)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("%w: no version %s on this machine: %w", ErrUnavailable, version, err)
	}
	return dir, nil
}

// platform is the suffix of the artifact that has this machine's binaries.
func platform() (string, error) {
	arch, known := map[string]string{"amd64": "amd64", "arm64": "arm64v8"}[runtime.GOARCH]
	if !known || (runtime.GOOS != "linux" && runtime.GOOS != "darwin") {
		return "", fmt.Errorf("there is no build of PostgreSQL to fetch for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	if _, err := os.Stat("/etc/alpine-release"); err == nil {
		arch += "-alpine"
	}
	return runtime.GOOS + "-" + arch, nil
}

// fetch puts bin, lib and share of an artifact, a jar with a .txz in it, into dir.
func fetch(ctx context.Context, artifact, dir string) error {
	download, err := os.MkdirTemp(dir, "download-")
	if err != nil {
		return err
	}
	jar, err := maven.Copy(ctx, artifact, download)
	if err != nil {
		return err
	}
	if err := unpack(ctx, jar, dir); err != nil {
		return fmt.Errorf("unpack %s: %w", artifact, err)
	}
	return os.RemoveAll(download)
}

func unpack(ctx context.Context, jar, dir string) error {
	archive, err := zip.OpenReader(jar)
	if err != nil {
		return err
	}
	defer archive.Close()
	i := slices.IndexFunc(archive.File, func(f *zip.File) bool { return path.Ext(f.Name) == ".txz" })
	if i < 0 {
		return errors.New("there is no .txz in it")
	}
	txz, err := archive.File[i].Open()
	if err != nil {
		return err
	}
	defer txz.Close()
	// Go's standard library has no xz.
	tar := exec.CommandContext(ctx, "tar", "-xJf", "-", "-C", dir)
	tar.Stdin = txz
	var complaints bytes.Buffer
	tar.Stderr = &complaints
	if err := tar.Run(); err != nil {
		return fmt.Errorf("tar with xz (install xz-utils where that is missing): %w: %s", err, strings.TrimSpace(complaints.String()))
	}
	return nil
}
