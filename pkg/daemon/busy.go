package daemon

import (
	"os"
	"runtime"
	"runtime/debug"
)

// busyGarbage is how much garbage a busy process makes before it is collected, in percent of what it holds.
const busyGarbage = 200

// RunBusy sets Go up for a process that computes on all cores while others wait for what it asks over the network, and gives
// back what undoes it. What the environment says, in GOMAXPROCS and GOGC, goes before.
//
//   - One goroutine more runs at a time than there are cores: where no place is free to run one, Go looks every 10 ms only for
//     what the network has brought; where one is, the operating system wakes who waits at once. How many cores there are is
//     what it was when the process began.
//   - Garbage is collected half as often.
func RunBusy() (undo func()) {
	undo = func() {}
	if os.Getenv("GOMAXPROCS") == "" {
		before := runtime.GOMAXPROCS(0)
		runtime.GOMAXPROCS(before + 1)
		undo = func() { runtime.GOMAXPROCS(before) }
	}
	if os.Getenv("GOGC") != "" {
		return undo
	}
	garbage, cores := debug.SetGCPercent(busyGarbage), undo
	return func() {
		debug.SetGCPercent(garbage)
		cores()
	}
}
