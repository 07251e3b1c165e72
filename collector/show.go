package collector

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"datawatch/collector/internal/canary"
	"datawatch/collector/internal/chat"
	"datawatch/collector/internal/feed"
	"datawatch/collector/internal/gapalert"
	"datawatch/collector/internal/silence"
	"datawatch/collector/internal/supervise"
	"datawatch/collector/internal/trouble"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/hide"
	"datawatch/pkg/normalize"
	"datawatch/pkg/normalize/registry"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
)

// show is what people see of the collector: the live feed (nil where there is no chat for it), alerts of gaps and of
// trouble, the desk that hears commands, and the bot that all of them speak through.
type show struct {
	feed    *feed.Feed
	gaps    *gapalert.Alerter
	desk    *chat.Desk
	hidden  *hide.Follower
	trouble *trouble.Teller
	bot     *telegram.Client
	chats   []telegram.Chat
	broker  config.Broker
	env     daemon.Env
	sources atomic.Pointer[[]Source] // as they are configured now

	validator atomic.Int64 // its newest sign of life, in nanoseconds since 1970
	watching  atomic.Bool  // this collector watches it
	listens   atomic.Int64 // since when, in the same way
}

// alone tells whether this collector watches the validator and hears nothing of it: then nobody else tells people of gaps
// and of sources that aren't read.
func (s *show) alone() bool {
	return s.watching.Load() && s.heardByNow() && time.Since(time.Unix(0, s.validator.Load())) > validatorAway
}

// heardByNow tells whether the validator, if it lives, was heard of: who begins to watch has its signs of life to read first.
func (s *show) heardByNow() bool {
	return !s.watching.Load() || s.validator.Load() != 0 || time.Since(time.Unix(0, s.listens.Load())) > validatorHeard
}

const (
	// validatorAway is how long the validator may be silent until the collector tells what that would.
	validatorAway = time.Minute
	// validatorHeard is how long after a collector begins to watch it has heard of a validator that lives, which gives a sign
	// every five seconds.
	validatorHeard = 15 * time.Second
)

func openShow(c Config, env daemon.Env) (*show, error) {
	bot, err := daemon.OpenTelegram(c.Shared, "collector", env)
	if err != nil {
		return nil, err
	}
	s := &show{bot: bot, chats: daemon.ChatsOf(c.Telegram.Feed, c.Telegram.Alerts), broker: c.Broker, env: env}
	s.gaps = gapalert.New(gapalert.Options{
		Sender: bot, Chat: telegram.ChatOf(c.Telegram.Alerts), Language: c.Telegram.Language, Zone: c.Telegram.Timezone.Location, Log: env.Log, Alone: s.alone, Known: s.heardByNow,
	})
	s.sources.Store(&c.Collector.Sources)
	s.trouble = trouble.New(trouble.Options{
		Sender: bot, Chat: telegram.ChatOf(c.Telegram.Alerts), Language: c.Telegram.Language, Zone: c.Telegram.Timezone.Location, Log: env.Log, Alone: s.alone,
	})
	s.hidden = hide.NewFollower(c.Broker, "datawatch-collector", env.Log)
	desk := chat.Options{
		Broker: c.Broker, Bot: bot, Language: c.Telegram.Language, Zone: c.Telegram.Timezone.Location, Log: env.Log,
		Sources: s.names, Ready: func() { env.Health.Set(commandsPart, daemon.Ready, reason.Text{}) },
		Arrive: func(ctx context.Context) error { return arrive(ctx, c) },
		Shown:  s.inFeed,
		Known:  s.hidden.Known(),
		Hide: func(stream event.Stream, change *event.Change) *event.Change {
			return s.hidden.For(stream).Change(change)
		},
	}
	if c.Telegram.Token != "" && c.Telegram.Feed.ID == 0 {
		env.Log.Info("no live feed: telegram.feed.chat isn't set")
		s.desk = chat.New(desk)
		return s, nil
	}
	normalizer, err := newNormalizer(c)
	if err != nil {
		return nil, err
	}
	s.feed, err = feed.New(feed.Options{
		Normalizer: normalizer, Hidden: s.hidden, Fallback: telegram.ChatOf(c.Telegram.Alerts),
		Sender: bot, Chat: telegram.ChatOf(c.Telegram.Feed), Language: c.Telegram.Language, Zone: c.Telegram.Timezone.Location,
		Log: env.Log, Metrics: env.Metrics,
	})
	desk.Feed, desk.Normalizer = s.feed, normalizer
	s.desk = chat.New(desk)
	return s, err
}

// names are those of the sources that are configured now.
func (s *show) names() []string {
	var names []string
	for _, one := range *s.sources.Load() {
		names = append(names, one.Name)
	}
	return names
}

// inFeed tells whether a source's changes are in the feed.
func (s *show) inFeed(source string) bool {
	return slices.ContainsFunc(*s.sources.Load(), func(one Source) bool { return one.Name == source && one.Feed })
}

// newNormalizer decodes what the feed shows as the preprocessor will.
func newNormalizer(c Config) (*normalize.Normalizer, error) {
	masker, err := normalize.NewMasker(c.Mask)
	if err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	options := normalize.Options{Masker: masker, Formats: c.Formats}
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
	group.Go(func() error { return s.trouble.Run(ctx) })
	if s.feed != nil {
		group.Go(func() error { return s.feed.Run(ctx) })
	}
	group.Go(func() error {
		if err := daemon.AwaitTopics(ctx, s.broker, s.env); err != nil {
			return err
		}
		group, ctx := errgroup.WithContext(ctx)
		if s.feed != nil {
			group.Go(func() error { return s.watchVerdicts(ctx) })
			group.Go(func() error { return s.followState(ctx) })
		}
		group.Go(func() error { return s.hidden.Run(ctx) })
		group.Go(func() error { return s.shareOut(ctx) })
		return group.Wait()
	})
	return group.Wait()
}

// commandsPart is the desk's name in /readyz, and among what collectors share.
const commandsPart = "commands"

// hearCommands is done by one collector at a time: a bot has one poller.
func (s *show) hearCommands(ctx context.Context) error {
	s.env.Health.Set(commandsPart, daemon.NotReady, reason.Connecting.With())
	return daemon.Insist(ctx, s.env, commandsPart, func() error { return s.desk.Run(ctx) })
}

// followState has the feed show what chats follow. What the broker fails in is tried again.
func (s *show) followState(ctx context.Context) error {
	const part = "what chats follow"
	return daemon.Insist(ctx, s.env, part, func() error {
		s.env.Health.Set(part, daemon.Ready, reason.Text{})
		return s.desk.Watch(ctx)
	})
}

// watchVerdicts has the feed show what the validator finds.
func (s *show) watchVerdicts(ctx context.Context) error {
	topic := broker.TopicsOf(s.broker.TopicPrefix).Violations
	return broker.Tail(ctx, s.broker, "datawatch-collector", topic, nil, s.env.Log, func(r broker.Record) error {
		var v event.Violation
		if err := json.Unmarshal(r.Value, &v); err != nil {
			s.env.Log.Warn("a violation that can't be read isn't shown in the feed", "partition", r.Partition, "offset", r.Offset, "error", err)
			return nil
		}
		s.feed.Judge(feed.FindingsOf(&v))
		return nil
	})
}

// drainTimeout is how long a stop waits for messages that were being sent.
const drainTimeout = 3 * time.Second

func (s *show) close() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := s.bot.Stop(ctx); err != nil {
		s.env.Log.Info("messages were left unsent; the live feed is a view, and nothing else is lost", "error", err)
	}
	if s.feed == nil {
		return
	}
	storing, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if err := chat.StoreLeft(storing, s.broker, s.feed.Left()); err != nil {
		s.env.Log.Warn("what the feed left unshown won't be told", "error", err)
	}
}

// storeTimeout is how long a stop waits for the broker to take what the feed left unshown.
const storeTimeout = 4 * time.Second

// watch tells when the validator is silent, and sends the canaries that the validator looks out for. What the broker fails
// in is tried again.
func (s *show) watch(ctx context.Context, c Config) error {
	defer s.env.Health.ForgetCanary()
	s.listens.Store(time.Now().UnixNano())
	s.watching.Store(true)
	defer s.watching.Store(false)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return daemon.Insist(ctx, s.env, "canaries", func() error {
			s.env.Health.Set("canaries", daemon.Ready, reason.Text{})
			return canary.Send(ctx, c.Broker, canary.DefaultEvery)
		})
	})
	group.Go(func() error {
		return daemon.Insist(ctx, s.env, "watch", func() error {
			s.env.Health.Set("watch", daemon.Ready, reason.Text{})
			return silence.Watch(ctx, silence.Options{
				Broker: c.Broker, Sender: s.bot, Chat: telegram.ChatOf(c.Telegram.Alerts), Language: c.Telegram.Language, Zone: c.Telegram.Timezone.Location, Log: s.env.Log,
				Canaries: s.env.Health.SetCanary, Heard: func(at time.Time) { s.validator.Store(at.UnixNano()) },
			})
		})
	})
	return group.Wait()
}
