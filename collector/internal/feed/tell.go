package feed

import (
	"context"
	"errors"
	"time"

	"datawatch/pkg/telegram"
)

// refusedPause is how long nothing is tried after the chat refused.
const refusedPause = 30 * time.Second

// tell sends what waits for a viewer, one message after the other.
func (f *Feed) tell(ctx context.Context, v *viewer) error {
	broken := false // and told
	for {
		w, err := v.backlog.next(ctx)
		if err != nil {
			return err
		}
		ref, found, err := f.send(ctx, v, w)
		broken = broken && err != nil || err != nil && f.tellBroken(ctx, v, err)
		switch {
		case err == nil && w.digest != nil:
			f.metrics.summedUp.Add(float64(w.digest.transactions()))
		case err == nil:
			f.metrics.shown.Inc()
			if found > 0 {
				f.metrics.verdicts.Inc()
			}
			f.board.show(w.transaction, v, ref, found)
		case ctx.Err() != nil:
			v.backlog.giveBack(w)
			return ctx.Err()
		case errors.Is(err, telegram.ErrRejected):
			f.options.Log.Error("feed message rejected", "error", err)
			f.metrics.dropped.Add(float64(w.transactions()))
		default:
			f.options.Log.Warn("feed message not sent: its numbers come with the next digest", "error", err)
			v.backlog.giveBack(w)
			if err := pause(ctx, refusedPause); err != nil {
				return err
			}
		}
	}
}

// send tells how many findings are in the message too.
func (f *Feed) send(ctx context.Context, v *viewer, w work) (ref telegram.Ref, found int, err error) {
	var known verdict
	if w.transaction != nil {
		known = f.board.of(w.transaction.name())
	}
	ref, err = f.options.Sender.Send(ctx, v.chat, f.writer.write(w, v, known, time.Now()), telegram.Feed)
	return ref, known.count(), err
}

// amend writes verdicts into a viewer's messages.
func (f *Feed) amend(ctx context.Context, v *viewer) error {
	for {
		p, t, found, ok := f.board.next(v)
		if !ok {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-v.soiled:
			}
			continue
		}
		err := f.amendOne(ctx, p, t, found)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			f.metrics.verdicts.Inc()
		default:
			f.options.Log.Warn("a verdict isn't shown in the feed; alerts tell it all the same", "source", t.source, "transaction", t.id, "error", err)
		}
	}
}

func (f *Feed) amendOne(ctx context.Context, p post, t *transaction, found verdict) error {
	if p.ref.ID != 0 {
		err := f.options.Sender.Edit(ctx, p.ref, f.writer.write(work{transaction: t}, p.viewer, found, time.Now()), telegram.Feed)
		if !errors.Is(err, telegram.ErrMessageGone) {
			return err
		} // somebody deleted it: the verdict is told alone
	}
	ref, err := f.options.Sender.Send(ctx, p.viewer.chat, f.writer.verdictAlone(t, found), telegram.Feed)
	if err == nil {
		f.board.settle(p, ref)
	}
	return err
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
