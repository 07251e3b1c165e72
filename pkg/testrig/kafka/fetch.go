package kafka

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"

	"datawatch/pkg/testrig/internal/cache"
	"datawatch/pkg/testrig/internal/maven"
)

// DefaultVersion is the version of Apache Kafka that runs where none is named.
const DefaultVersion = "4.1.0"

// OlderVersion is the last version before 4, which many clusters still run.
const OlderVersion = "3.9.1"

// ErrUnavailable is returned when the machine lacks what a Kafka server needs.
var ErrUnavailable = errors.New("no Apache Kafka here")

//go:embed pom.xml
var pom []byte

// Fetch brings the jars of a version ("" for DefaultVersion) into the cache, if
// they aren't there, and gives their folder.
func Fetch(ctx context.Context, version string) (dir string, err error) {
	if version == "" {
		version = DefaultVersion
	}
	dir, err = cache.Ensure(ctx, "kafka-"+version, func(ctx context.Context, dir string) error {
		return maven.CopyDependencies(ctx, pom, map[string]string{"kafka.version": version}, dir)
	})
	if err != nil {
		return "", fmt.Errorf("%w: version %s: %w", ErrUnavailable, version, err)
	}
	return dir, nil
}

// java finds the program that runs the server.
func java() (string, error) {
	path, err := exec.LookPath("java")
	if err != nil {
		return "", fmt.Errorf("%w: java is not on the PATH (install Java 17 or later)", ErrUnavailable)
	}
	return path, nil
}
