package kafka

import (
	"fmt"
	"runtime/debug"

	"datawatch/pkg/reason"
)

// sheltered runs a goroutine's work. A panic is how it ended: the run fails, and not the process with all other sources.
func sheltered(work func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = reason.Wrap(fmt.Errorf("panic: %v\n%s", p, debug.Stack()), reason.Panicked.With())
		}
	}()
	return work()
}
