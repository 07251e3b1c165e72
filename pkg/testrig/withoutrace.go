package testrig

import "testing"

// WithoutRaceDetector skips a test under -race that provokes a data race of somebody else's, or measures memory; why says which. `make test`
// runs such tests once more without the detector: they are listed there.
func WithoutRaceDetector(t testing.TB, why string) {
	t.Helper()
	if raceDetector {
		t.Skip("runs without the race detector: " + why)
	}
}
