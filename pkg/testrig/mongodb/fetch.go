package mongodb

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"datawatch/pkg/testrig/internal/cache"
)

// Version is the version of SecantusDB that runs.
const Version = "0.7.0b3"

// ErrUnavailable is returned when the machine lacks what the server needs.
var ErrUnavailable = errors.New("no MongoDB server here")

// Fetch installs the server into the cache, if it isn't there, and gives the virtual environment's folder.
func Fetch(ctx context.Context) (dir string, err error) {
	dir, err = cache.Ensure(ctx, "secantusdb-"+Version, func(ctx context.Context, dir string) error {
		python, err := findPython(ctx)
		if err != nil {
			return err
		}
		if err := command(ctx, python, "-m", "venv", dir); err != nil {
			return err
		}
		return command(ctx, interpreter(dir), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "secantusdb=="+Version)
	})
	if err != nil {
		return "", fmt.Errorf("%w: SecantusDB %s: %w", ErrUnavailable, Version, err)
	}
	return dir, nil
}

// interpreter is the environment's own. What pip put beside it names the folder that the environment was made in, which
// the cache has renamed since; the interpreter finds its packages from where it lies.
func interpreter(dir string) string { return filepath.Join(dir, "bin", "python") }

// findPython finds a Python for which there are wheels.
func findPython(ctx context.Context) (string, error) {
	for _, name := range []string{"python3", "python3.13", "python3.12", "python3.11", "python3.10"} {
		out, err := exec.CommandContext(ctx, name, "-c", "import sys; print((3, 10) <= sys.version_info[:2] <= (3, 13))").Output()
		if err == nil && strings.TrimSpace(string(out)) == "True" {
			return name, nil
		}
	}
	return "", errors.New("there is no Python 3.10 to 3.13 on the PATH")
}

func command(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
