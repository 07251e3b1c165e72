package collector

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"datawatch/collector/internal/feed"
	"datawatch/collector/internal/gapalert"
	"datawatch/collector/internal/supervise"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
	"datawatch/pkg/normalize/registry"
	"datawatch/pkg/telegram"
)

// show is what people see of the collector: the live feed (nil where there is no chat for it), alerts of gaps, and the bot
// that both speak through.
type show struct {
	feed  *feed.Feed
	gaps  *gapalert.Alerter
	bot   *telegram.Client
	chats []telegram.Chat
	env   daemon.Env
}

func openShow(c Config, env daemon.Env) (*show, error) {
	bot, err := daemon.OpenTelegram(c.Shared, "collector", env)
	if err != nil {
		return nil, err
	}
	s := &show{bot: bot, chats: daemon.ChatsOf(c.Telegram.Feed, c.Telegram.Alerts), env: env, gaps: gapalert.New(gapalert.Options{
		Sender: bot, Chat: telegram.ChatOf(c.Telegram.Alerts), Language: c.Telegram.Language, Zone: c.Telegram.Timezone.Location, Log: env.Log,
	})}
	if c.Telegram.Token != "" && c.Telegram.Feed.ID == 0 {
		env.Log.Info("no live feed: telegram.feed.chat isn't set")
		return s, nil
	}
	normalizer, err := newNormalizer(c)
	if err != nil {
		return nil, err
	}
	s.feed, err = feed.New(feed.Options{
		Normalizer: normalizer,
		Sender:     bot, Chat: telegram.ChatOf(c.Telegram.Feed), Language: c.Telegram.Language, Zone: c.Telegram.Timezone.Location,
		Log: env.Log, Metrics: env.Metrics,
	})
	return s, err
}

// newNormalizer decodes what the feed shows as the preprocessor will.
func newNormalizer(c Config) (*normalize.Normalizer, error) {
	masker, err := normalize.NewMasker(c.Mask)
	if err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	options := normalize.Options{Masker: masker}
	if c.SchemaRegistry.URL != "" {
		if options.Schemas, err = registry.New(c.SchemaRegistry); err != nil {
			return nil, err
		}
	}
	return normalize.New(options), nil
}

// audience is who is shown a source's events: gaps are told of every source, the feed shows those that are wanted there.
func (s *show) audience(inFeed bool) supervise.Feed {
	if inFeed && s.feed != nil {
		return audience{s.gaps, s.feed}
	}
	return s.gaps
}

type audience struct {
	gaps *gapalert.Alerter
	feed *feed.Feed
}

func (a audience) Offer(events []event.Raw) {
	a.gaps.Offer(events)
	a.feed.Offer(events)
}

func (s *show) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.bot.AwaitReach(ctx, s.chats...) })
	group.Go(func() error { return s.gaps.Run(ctx) })
	if s.feed != nil {
		group.Go(func() error { return s.feed.Run(ctx) })
	}
	return group.Wait()
}

// drainTimeout is how long a stop waits for messages that were being sent.
const drainTimeout = 3 * time.Second

func (s *show) close() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := s.bot.Stop(ctx); err != nil {
		s.env.Log.Info("messages were left unsent; the live feed is a view, and nothing else is lost", "error", err)
	}
}
