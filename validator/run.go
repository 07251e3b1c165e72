package validator

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"datawatch/pkg/control"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts"
	"datawatch/validator/internal/ask"
	"datawatch/validator/internal/judge"
	"datawatch/validator/internal/schemas"
)

// Run judges and keeps alerts until ctx is done, and returns its error; earlier only where the configuration can't work.
func Run(ctx context.Context, cfg Config, env daemon.Env) (err error) {
	env.Health.Set("broker", daemon.NotReady, reason.Connecting.With())
	folder, hidden := newFolder(env), newHiding(cfg.Broker, env)
	wake := func() {} // the judge, which works by what the watcher knows
	watcher := schemas.NewWatcher(cfg.Validator.Schemas, env.Log, func(set *schemas.Set, err error) {
		folder.changed(set, err)
		hidden.wake()
		wake()
	})
	hidden.current = watcher.Current
	bot, err := daemon.OpenTelegram(cfg.Shared, "validator", env)
	if err != nil {
		return err
	}
	stack := daemon.Stack{Log: env.Log}
	stack.Push("telegram", bot.Stop)
	defer func() { err = errors.Join(err, stack.Close()) }()

	tallies, canaries := newTallies(), newCanaries(env)
	notices := newNotices(cfg.Telegram, bot, env.Log)
	j := judge.New(judge.Options{
		Broker: cfg.Broker, Schemas: watcher.Current, Log: env.Log, Metrics: env.Metrics, Failed: reporter(env, "broker"),
		Judged: tallies.add, Stuck: notices.stuck, Canary: canaries.judged, Assigned: canaries.assigned,
	})
	wake = j.Wake
	questions := newQuestions(cfg, bot, watcher, env)
	keeper := alerts.New(alerts.Options{
		Broker: cfg.Broker, Telegram: cfg.Telegram, Messenger: messenger{bot, control.Options{Broker: cfg.Broker, Name: "alerts", Log: env.Log}, questions.Handlers}, Log: env.Log, Metrics: env.Metrics, Failed: reporter(env, "alerts"),
		Failures: func() []schemas.Failure { return watcher.Current().Failures() },
		Remarks:  j.Remarks,
		Loaded:   changedFile(watcher, time.Now()),
		Times:    cfg.Validator.Alerts.times(), EditEvery: cfg.Validator.Alerts.EditEvery.Std(),
	})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return daemon.ServeHTTP(ctx, cfg.Validator.Listen, env) })
	group.Go(func() error { return watcher.Run(ctx) })
	group.Go(func() error { return bot.AwaitReach(ctx, daemon.ChatsOf(cfg.Telegram.AlertChats()...)...) })
	group.Go(func() error {
		if err := daemon.AwaitTopics(ctx, cfg.Broker, env); err != nil {
			return err
		}
		work, ctx := errgroup.WithContext(ctx)
		work.Go(func() error { return hidden.run(ctx) })
		work.Go(func() error {
			return daemon.Beat(ctx, cfg.Broker, "validator", env, func(b *control.Beat) {
				b.Tallies, b.Canaries, b.Alerts = tallies.take(), canaries.all(), keeper.Open()
			})
		})
		work.Go(func() error { return notices.run(ctx) })
		work.Go(func() error { return questions.Run(ctx) })
		work.Go(func() error { return daemon.Insist(ctx, env, daemon.BrokerPart, func() error { return j.Run(ctx) }) })
		work.Go(func() error { return daemon.Insist(ctx, env, "alerts", func() error { return keeper.Run(ctx) }) })
		return work.Wait()
	})
	return group.Wait()
}

// newQuestions answers what people ask about schemas in the chats of alerts.
func newQuestions(cfg Config, bot *telegram.Client, watcher *schemas.Watcher, env daemon.Env) *ask.Desk {
	var chats []int64
	for _, c := range cfg.Telegram.AlertChats() {
		chats = append(chats, c.ID)
	}
	return ask.New(ask.Options{
		Broker: cfg.Broker, Bot: bot, Dir: cfg.Validator.Schemas, Schemas: watcher.Current, Chats: chats,
		Language: cfg.Telegram.Language, Zone: cfg.Telegram.Timezone.Location, Log: env.Log,
	})
}

// messenger speaks through the bot, and hears through the control topic: the collector is who polls.
type messenger struct {
	*telegram.Client
	control control.Options
	first   func(telegram.Handlers) telegram.Handlers // who hears before the keeper of alerts
}

// Poll hears of commands and buttons until ctx is done. The broker's errors are waited out.
func (m messenger) Poll(ctx context.Context, h telegram.Handlers) error {
	h = m.first(h)
	for {
		err := control.Listen(ctx, m.control, h)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m.control.Log.Warn("commands and buttons wait; trying again", "error", err, "pause", listenPause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(listenPause):
		}
	}
}

// changedFile tells which version of a file judges a stream, and since when, where it came into force after the start: of
// files that were there before, nobody knows that they changed.
func changedFile(w *schemas.Watcher, start time.Time) func(event.Stream) (sha256 string, at time.Time) {
	return func(stream event.Stream) (string, time.Time) {
		f := w.Current().For(stream)
		if f == nil || !f.LoadedAt.After(start) {
			return "", time.Time{}
		}
		return f.SHA256, f.LoadedAt
	}
}

// listenPause is how long the broker is left alone when it failed.
const listenPause = 3 * time.Second

// reporter tells health how a stage is.
func reporter(env daemon.Env, part string) func(error) {
	return func(err error) {
		if err != nil {
			env.Health.Set(part, daemon.NotReady, reason.Why(err))
			return
		}
		env.Health.Set(part, daemon.Ready, reason.Text{})
	}
}

// folder tells health and metrics how the schema folder is.
type folder struct {
	env   daemon.Env
	files *prometheus.GaugeVec
}

func newFolder(env daemon.Env) *folder {
	f := &folder{env: env, files: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "datawatch_validator_schema_files", Help: "Schema files in force, and those that can't be loaded as they are now.",
	}, []string{"state"})}
	env.Metrics.MustRegister(f.files)
	return f
}

func (f *folder) changed(set *schemas.Set, err error) {
	failures, files := set.Failures(), set.Files()
	f.files.WithLabelValues("loaded").Set(float64(len(files)))
	f.files.WithLabelValues("failing").Set(float64(len(failures)))
	switch {
	case err != nil:
		f.env.Health.Set("schemas", daemon.Degraded, reason.FolderUnread.With().Quoting(err))
	case len(failures) == 1:
		f.env.Health.Set("schemas", daemon.Degraded, reason.FileWrong.With(failures[0].Problem.Place(), failures[0].Problem.Said()))
	case len(failures) > 1:
		f.env.Health.Set("schemas", daemon.Degraded, reason.FilesWrong.With(failures[0].Problem.Place(), len(failures)-1, failures[0].Problem.Said()))
	case len(files) == 0:
		f.env.Health.Set("schemas", daemon.Degraded, reason.NoSchema.With())
	default:
		f.env.Health.Set("schemas", daemon.Ready, reason.Text{})
	}
}
