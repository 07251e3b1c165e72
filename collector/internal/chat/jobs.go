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
			if err := d.awaitHidden(ctx); err != nil {
				return err
			}
			working, cancel := context.WithTimeout(ctx, recordTime)
			if err := job(working); err != nil && ctx.Err() == nil {
				d.o.Log.Error("a recording wasn't told", "error", err)
			}
			cancel()
		}
	}
}

// awaitHidden returns when it is known what no one may be shown.
func (d *Desk) awaitHidden(ctx context.Context) error {
	if d.o.Known == nil {
		return nil
	}
	select {
	case <-d.o.Known:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
