package kafka

import (
	"context"
	"sync"
	"time"
)

// throttle keeps what several goroutines read together under a rate.
type throttle struct {
	rate int64 // bytes a second; 0 is no bound

	mu   sync.Mutex
	free time.Time // when everything read so far has been paid for
}

// paid takes n bytes into account and gives the time at which the next may be read.
func (t *throttle) paid(n int, now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free.Before(now) {
		t.free = now
	}
	t.free = t.free.Add(time.Duration(float64(n) / float64(t.rate) * float64(time.Second)))
	return t.free
}

// wait returns when n bytes more were due.
func (t *throttle) wait(ctx context.Context, n int) error {
	if t.rate == 0 || n == 0 {
		return ctx.Err()
	}
	now := time.Now()
	return pause(ctx, t.paid(n, now).Sub(now))
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
