// Package maven fetches artifacts with the mvn on the machine, so that the
// mirrors, proxies and credentials in the user's own Maven settings hold.
package maven

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrMissing is returned where there is no Maven on the machine.
var ErrMissing = errors.New("mvn is not on the PATH (install Apache Maven and Java 17 or later)")

const dependencyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"

// Copy puts one artifact ("group:artifact:version") into dir and gives its path.
func Copy(ctx context.Context, artifact, dir string) (string, error) {
	err := run(ctx, dependencyPlugin+":copy", "-Dartifact="+artifact, "-DoutputDirectory="+dir)
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", artifact, err)
	}
	jars, err := filepath.Glob(filepath.Join(dir, "*.jar"))
	if err != nil || len(jars) != 1 {
		return "", fmt.Errorf("fetch %s: mvn left %d jars in %s: %w", artifact, len(jars), dir, err)
	}
	return jars[0], nil
}

// CopyDependencies puts the jars of everything that a project needs at run time
// into dir. Properties fill in what the pom leaves open.
func CopyDependencies(ctx context.Context, pom []byte, properties map[string]string, dir string) error {
	project, err := os.MkdirTemp("", "datawatch-pom-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(project)
	file := filepath.Join(project, "pom.xml")
	if err := os.WriteFile(file, pom, 0o644); err != nil {
		return err
	}
	args := []string{"-f", file, dependencyPlugin + ":copy-dependencies", "-DoutputDirectory=" + dir, "-DincludeScope=runtime"}
	for name, value := range properties {
		args = append(args, "-D"+name+"="+value)
	}
	return run(ctx, args...)
}

func run(ctx context.Context, args ...string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return ErrMissing
	}
	cmd := exec.CommandContext(ctx, mvn, append([]string{"--batch-mode", "--quiet", "--strict-checksums", "-Dstyle.color=never"}, args...)...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("mvn: %w: %s", err, firstError(output.String()))
	}
	return nil
}

// firstError is the line of Maven's output that says what went wrong; the many
// after it say where to read about errors. Colour codes may stand before it.
func firstError(output string) string {
	for line := range strings.Lines(output) {
		if _, text, found := strings.Cut(line, "[ERROR] "); found && strings.TrimSpace(text) != "" {
			text, _, _ = strings.Cut(text, " -> [Help")
			return strings.TrimSpace(text)
		}
	}
	return strings.TrimSpace(output)
}
