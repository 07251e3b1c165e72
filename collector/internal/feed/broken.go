package feed

import (
	"context"
	"errors"
	"time"

	"datawatch/pkg/telegram"
)

// tellBroken tells the fallback's chat that nobody can write into the feed's own one, and whether it has been told. Who
// follows something from another chat is not the configuration's matter.
func (f *Feed) tellBroken(ctx context.Context, v *viewer, err error) bool {
	var refused *telegram.RefusedError
	if !errors.As(err, &refused) || !v.everything || f.options.Fallback.ID == 0 || f.options.Fallback.ID == v.chat.ID {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, refusedPause)
	defer cancel()
	if _, err := f.options.Sender.Send(ctx, f.options.Fallback, f.writer.broken(refused, time.Now()), telegram.Warning); err != nil {
		f.options.Log.Warn("that the feed's chat can't be written to couldn't be told", "error", err)
		return false
	}
	return true
}

// broken says what happened, since when, what it means and what to do.
func (w writer) broken(r *telegram.RefusedError, now time.Time) telegram.Message {
	return telegram.NewMessage(
		telegram.Line(telegram.Plain("🟠 "), telegram.Bold(w.words.brokenChat), telegram.Plain(" "+fill(w.words.since, now.In(w.zone).Format("15:04")))),
		telegram.Line(telegram.Plain(r.Reason)),
		telegram.Line(telegram.Plain(w.words.brokenMeans)),
		telegram.Line(telegram.Plain(fill(w.words.do, r.Remedy.In(w.words.language)))),
	)
}
