package testrig

import (
	"fmt"
	"os"
	"testing"
	"time"
)

const (
	firstPause  = 2 * time.Millisecond
	longestWait = 200 * time.Millisecond
)

// Eventually waits until condition gives nil. It asks again with growing pauses,
// and when timeout has passed it fails the test with the last error.
func Eventually(t testing.TB, timeout time.Duration, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	for pause := firstPause; ; pause = min(2*pause, longestWait) {
		err := condition()
		if err == nil {
			return
		}
		left := time.Until(deadline)
		if left <= 0 {
			t.Fatalf("not within %v: %v", timeout, err)
		}
		time.Sleep(min(pause, left))
	}
}

// WhileMoving waits for what takes as long as there is work left. It asks again with growing pauses until condition gives nil,
// and fails the test with the last error when what condition counts hasn't changed for still.
func WhileMoving(t testing.TB, still time.Duration, condition func() (moved int, err error)) {
	t.Helper()
	last, since := -1, time.Now()
	for pause := firstPause; ; pause = min(2*pause, longestWait) {
		moved, err := condition()
		if err == nil {
			return
		}
		if moved != last {
			last, since = moved, time.Now()
		}
		left := still - time.Since(since)
		if left <= 0 {
			t.Fatalf("nothing moved for %v: %v", still, err)
		}
		time.Sleep(min(pause, left))
	}
}

// soakEnv is how long tests that go on under load do so.
const soakEnv = "DATAWATCH_SOAK"

// Soak is how long a soak test runs: what DATAWATCH_SOAK says (as in "10m"), else
// five seconds. It panics when that is no duration.
func Soak() time.Duration {
	text := os.Getenv(soakEnv)
	if text == "" {
		return 5 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		panic(fmt.Sprintf("%s=%q is not a duration such as 10m", soakEnv, text))
	}
	return d
}
