package testrig

import (
	"fmt"
	"testing"

	"datawatch/pkg/testrig/internal/port"
)

// FreeAddress gives a host:port of loopback at which nobody listens, for what has to be told its own, or where nobody is to
// listen. No outgoing connection takes it meanwhile, as it would a port that the system itself gives away.
func FreeAddress(t testing.TB) string {
	t.Helper()
	free, err := port.Free()
	if err != nil {
		t.Fatalf("testrig: %v", err)
	}
	return fmt.Sprintf("127.0.0.1:%d", free)
}
