package feed

import (
	"context"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/hide"
)

// Hidden says what no one may be shown; *hide.Follower is one.
type Hidden interface {
	// Known is closed once that is known. Before, For hides everything.
	Known() <-chan struct{}
	For(stream event.Stream) *hide.Places
}

// hiddenPatience is how long the feed waits to learn what is hidden. Then it shows what happened, and no value.
const hiddenPatience = 30 * time.Second

func (f *Feed) awaitHidden(ctx context.Context) error {
	timer := time.NewTimer(hiddenPatience)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-f.options.Hidden.Known():
	case <-timer.C:
		f.options.Log.Warn("what x-pii hides can't be learned: the feed shows no values until it is", "record", hide.Key)
	}
	return nil
}

// open hides nothing.
type open struct{}

var known = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (open) Known() <-chan struct{} { return known }

func (open) For(event.Stream) *hide.Places { return &hide.Places{} }
