package collector

import (
	"context"
	"time"

	"datawatch/collector/internal/feed"
	"datawatch/pkg/daemon"
	"datawatch/pkg/telegram"
)

// show is the live feed and the bot that it speaks through; feed is nil where there is none.
type show struct {
	feed *feed.Feed
	bot  *telegram.Client
	env  daemon.Env
}

// openShow makes the live feed where there is somewhere to show it: a chat, or the log where there is no bot.
func openShow(c Config, env daemon.Env) (*show, error) {
	if c.Telegram.Token != "" && c.Telegram.Feed.ID == 0 {
		env.Log.Info("no live feed: telegram.feed.chat isn't set")
		return &show{env: env}, nil
	}
	bot, err := telegram.New(telegram.Options{
		Config: c.Telegram, Instance: c.Instance, Service: "collector", Log: env.Log, Metrics: env.Metrics,
		Report: func(err error) {
			if err != nil {
				env.Health.Set("telegram", daemon.Degraded, err.Error())
				return
			}
			env.Health.Set("telegram", daemon.Ready, "")
		},
	})
	if err != nil {
		return nil, err
	}
	f, err := feed.New(feed.Options{
		Sender: bot, Chat: telegram.ChatOf(c.Telegram.Feed), Language: c.Telegram.Language, Zone: c.Telegram.Timezone.Location,
		Log: env.Log, Metrics: env.Metrics,
	})
	if err != nil {
		return nil, err
	}
	return &show{f, bot, env}, nil
}

func (s *show) run(ctx context.Context) error {
	if s.feed == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.feed.Run(ctx)
}

// drainTimeout is how long a stop waits for messages that were being sent.
const drainTimeout = 3 * time.Second

func (s *show) close() {
	if s.bot == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := s.bot.Stop(ctx); err != nil {
		s.env.Log.Info("messages were left unsent; the live feed is a view, and nothing else is lost", "error", err)
	}
}
