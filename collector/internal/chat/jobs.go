package chat

import (
	"context"
	"time"
)

// recordTime bounds reading a recording and sending it.
const recordTime = 5 * time.Minute

// work does what takes longer than a command may, one after the other.
func (d *Desk) work(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case job := <-d.jobs:
			working, cancel := context.WithTimeout(ctx, recordTime)
			if err := job(working); err != nil && ctx.Err() == nil {
				d.o.Log.Error("a recording wasn't told", "error", err)
			}
			cancel()
		}
	}
}
