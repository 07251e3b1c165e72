package collector

import (
	"os"
	"testing"

	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"
)

// runEnv has the test's program be a collector with the configuration that it names.
const runEnv = "DATAWATCH_TEST_RUN_COLLECTOR"

func TestMain(m *testing.M) {
	if file := os.Getenv(runEnv); file != "" {
		os.Exit(daemon.Execute(Service(), []string{"--config", file}, os.Stdout, os.Stderr))
	}
	testrig.Main(m)
}
