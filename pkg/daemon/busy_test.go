package daemon

import (
	"context"
	"io"
	"runtime"
	"runtime/debug"
	"testing"
)

// settled is how many goroutines run at a time and how much garbage there may be.
type settled struct{ cores, garbage int }

func settledNow() settled {
	garbage := debug.SetGCPercent(100)
	debug.SetGCPercent(garbage)
	return settled{runtime.GOMAXPROCS(0), garbage}
}

// TestABusyServiceRunsAsItsWorkNeeds, unless the environment says otherwise.
func TestABusyServiceRunsAsItsWorkNeeds(t *testing.T) {
	usual := settledNow()
	defer runtime.GOMAXPROCS(usual.cores)
	defer debug.SetGCPercent(usual.garbage)
	file := configFile(t, enough)
	for _, c := range []struct {
		busy           bool
		cores, garbage string
		want           settled
	}{
		{false, "", "", usual},
		{true, "2", "100", usual},
		{true, "", "100", settled{usual.cores + 1, usual.garbage}},
		{true, "", "", settled{usual.cores + 1, busyGarbage}},
	} {
		t.Setenv("GOMAXPROCS", c.cores)
		t.Setenv("GOGC", c.garbage)
		var got settled
		s := service(func(context.Context, settings, Env) error {
			got = settledNow()
			return nil
		})
		s.Busy = c.busy
		if code := Execute(s, []string{"--config", file}, io.Discard, io.Discard); code != ExitOK || got != c.want {
			t.Errorf("busy %v, GOMAXPROCS=%q, GOGC=%q: exit code %d, %+v, want %+v", c.busy, c.cores, c.garbage, code, got, c.want)
		}
		runtime.GOMAXPROCS(usual.cores)
		debug.SetGCPercent(usual.garbage)
	}
}
