package feed

import (
	"context"
	"errors"
	"time"

	"datawatch/pkg/telegram"
)

// refusedPause is how long nothing is tried after the chat refused.
const refusedPause = 30 * time.Second

// tell sends what waits, one message after the other.
func (f *Feed) tell(ctx context.Context) error {
	for {
		w, err := f.backlog.next(ctx)
		if err != nil {
			return err
		}
		_, err = f.options.Sender.Send(ctx, f.options.Chat, f.writer.write(w, time.Now()), telegram.Feed)
		switch {
		case err == nil && w.digest != nil:
			f.metrics.summedUp.Add(float64(w.digest.transactions()))
		case err == nil:
			f.metrics.shown.Inc()
		case ctx.Err() != nil:
			f.backlog.giveBack(w)
			return ctx.Err()
		case errors.Is(err, telegram.ErrRejected):
			f.options.Log.Error("feed message rejected", "error", err)
			f.metrics.dropped.Add(float64(w.transactions()))
		default:
			f.options.Log.Warn("feed message not sent: its numbers come with the next digest", "error", err)
			f.backlog.giveBack(w)
			if err := pause(ctx, refusedPause); err != nil {
				return err
			}
		}
	}
}

func (w work) transactions() int {
	if w.digest != nil {
		return w.digest.transactions()
	}
	return 1
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
