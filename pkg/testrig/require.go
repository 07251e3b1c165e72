package testrig

import (
	"errors"
	"os"
	"testing"

	"datawatch/pkg/testrig/kafka"
	"datawatch/pkg/testrig/postgres"
)

// requireEnv makes a missing server a failure. CI sets it.
const requireEnv = "DATAWATCH_REQUIRE_SERVERS"

// require ends the test if a server couldn't be had: skipped where the machine
// lacks it, failed where it should have started.
func require(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv(requireEnv) != "1" && (errors.Is(err, kafka.ErrUnavailable) || errors.Is(err, postgres.ErrUnavailable)):
		t.Skipf("skipped: %v", err)
	default:
		t.Fatalf("testrig: %v", err)
	}
}
