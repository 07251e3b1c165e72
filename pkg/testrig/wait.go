package testrig

import (
	"fmt"
	"math"
	"os"
	"testing"
	"time"
)

const (
	firstPause  = 2 * time.Millisecond
	longestWait = 200 * time.Millisecond
	// longestRest is how long a condition that takes long is left alone at most.
	longestRest = 5 * time.Second
)

// patience is how long [Eventually] and [WhileMoving] wait at least: what takes a moment on a machine at rest takes its time on
// one that is slow, or has much else to do.
const patience = 2 * time.Minute

// Eventually waits until condition gives nil. It asks again with growing pauses, none shorter than the last answer took, and
// when timeout has passed, and two minutes at least, it fails the test with the last error. What is promised within a time is
// for [Promptly].
func Eventually(t testing.TB, timeout time.Duration, condition func() error) {
	t.Helper()
	await(t, max(timeout, patience), func() (int, error) { return 0, condition() })
}

// WhileMoving waits like [Eventually], for what takes as long as there is work left: condition also says how far it is, and the
// test fails when it has come no further for still, and for two minutes at least.
func WhileMoving(t testing.TB, still time.Duration, condition func() (far int, err error)) {
	t.Helper()
	await(t, max(still, patience), condition)
}

// await fails the test when condition has come no further for as long as still.
func await(t testing.TB, still time.Duration, condition func() (far int, err error)) {
	t.Helper()
	furthest, moved := math.MinInt, time.Time{}
	for pause := firstPause; ; pause = min(2*pause, longestWait) {
		asked := time.Now()
		far, err := condition()
		if err == nil {
			return
		}
		answered := time.Now()
		if far > furthest {
			furthest, moved = far, answered
		}
		left := still - answered.Sub(moved)
		if left <= 0 {
			t.Fatalf("not within %v: %v", still, err)
		}
		time.Sleep(min(max(pause, min(answered.Sub(asked), longestRest)), left))
	}
}

// attempts is how often [Promptly] has something tried.
const attempts = 3

// Promptly fails the test unless what is tried takes no longer than limit at least once in three times, since any one of them
// may have had to wait for the machine. try does it once more, and gives how long it took.
func Promptly(t testing.TB, limit time.Duration, try func() time.Duration) {
	t.Helper()
	var took []time.Duration
	for range attempts {
		took = append(took, try())
		if took[len(took)-1] <= limit {
			t.Logf("took %v", took)
			return
		}
	}
	t.Errorf("took %v, each time longer than %v", took, limit)
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
