package testrig

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// NothingRuns waits until no goroutine runs that shouldn't: goleak by itself gives them half a second to end.
func NothingRuns(t testing.TB, ignored ...goleak.Option) {
	t.Helper()
	Eventually(t, time.Minute, func() error { return goleak.Find(ignored...) })
}

// MainLeavingNothing runs the tests of a package that leaves no goroutine, and ends the process. Call it from TestMain, in
// place of [Main].
func MainLeavingNothing(m *testing.M) {
	code := m.Run()
	left := goleak.Find()
	for end := time.Now().Add(patience); left != nil && time.Now().Before(end); {
		left = goleak.Find()
	}
	if left != nil {
		fmt.Fprintln(os.Stderr, "testrig:", left)
		code = max(code, 1)
	}
	os.Exit(code)
}
