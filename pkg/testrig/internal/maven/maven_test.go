package maven

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeMvn puts a program of that name first on the PATH.
func fakeMvn(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mvn"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestFailureIsToldInOneLine(t *testing.T) {
	fakeMvn(t, `echo "[WARNING] old"; printf '\033[0m[ERROR] no such artifact -> [Help 1]\n[ERROR] \n'; echo "[ERROR] read about it elsewhere"; exit 1`)
	_, err := Copy(t.Context(), "group:artifact:1", t.TempDir())
	if err == nil || !strings.HasSuffix(err.Error(), "no such artifact") || strings.Contains(err.Error(), "\n") {
		t.Errorf("Copy gave %v", err)
	}
}

func TestSuccessWithoutAJarIsAnError(t *testing.T) {
	fakeMvn(t, "exit 0")
	if path, err := Copy(t.Context(), "group:artifact:1", t.TempDir()); err == nil {
		t.Errorf("Copy gave %q", path)
	}
}

func TestPropertiesReachThePom(t *testing.T) {
	args := filepath.Join(t.TempDir(), "args")
	t.Setenv("ARGS", args)
	fakeMvn(t, `printf '%s\n' "$@" > "$ARGS"`)
	if err := CopyDependencies(t.Context(), []byte("<project/>"), map[string]string{"kafka.version": "4.1.0"}, "/into"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(args)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"-Dkafka.version=4.1.0", "-DoutputDirectory=/into", "--strict-checksums"} {
		if !strings.Contains(string(got), want+"\n") {
			t.Errorf("mvn was not given %s: %s", want, got)
		}
	}
}
