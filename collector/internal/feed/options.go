package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/normalize"
	"datawatch/pkg/telegram"
)

// Sender puts a message into a chat, or another in its place, and returns when it is there; *telegram.Client is one.
type Sender interface {
	Send(ctx context.Context, chat telegram.Chat, m telegram.Message, p telegram.Priority) (telegram.Ref, error)
	Edit(ctx context.Context, ref telegram.Ref, m telegram.Message, p telegram.Priority) error
}

// Options of a feed.
type Options struct {
	Sender Sender
	// Chat is shown everything, as long as it follows nothing. It may be zero where the sender writes to the log.
	Chat telegram.Chat
	// Language is "en" or "vi".
	Language string
	// Zone is the zone of the times that are shown. Default UTC.
	Zone *time.Location
	// Normalizer makes what is shown, as the preprocessor makes what clean says. Default: one without a schema registry.
	Normalizer *normalize.Normalizer
	// Fallback is told when nobody can write into Chat. Default: nobody is.
	Fallback telegram.Chat
	// Hidden says what no one may be shown. The feed shows nothing before it knows. Default: nothing is hidden.
	Hidden Hidden
	Log    *slog.Logger
	// Metrics gets datawatch_collector_feed_transactions_total.
	Metrics prometheus.Registerer
	// Linger is how long the changes of a transaction may lie apart when nothing else tells that it is complete.
	// Default 150 ms.
	Linger time.Duration
	// MaxEvents and MaxBytes bound what is offered and not read yet. Default 10,000 and 8 MiB.
	MaxEvents int
	MaxBytes  int
}

func (o *Options) validate() error {
	switch {
	case o.Sender == nil:
		return errors.New("feed: a sender is needed")
	case o.Log == nil:
		return errors.New("feed: a logger is needed")
	case o.Metrics == nil:
		return errors.New("feed: a registerer is needed")
	}
	if _, ok := catalogues[o.Language]; !ok {
		return fmt.Errorf("feed: language %q is none of en, vi", o.Language)
	}
	if o.Normalizer == nil {
		o.Normalizer = normalize.New(normalize.Options{})
	}
	if o.Hidden == nil {
		o.Hidden = open{}
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Linger <= 0 {
		o.Linger = 150 * time.Millisecond
	}
	if o.MaxEvents <= 0 {
		o.MaxEvents = 10_000
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 8 << 20
	}
	return nil
}
