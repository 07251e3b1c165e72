package preprocessor

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
	"datawatch/pkg/normalize"
	"datawatch/pkg/normalize/registry"
	"datawatch/pkg/reason"
	"datawatch/preprocessor/internal/pipeline"
	"datawatch/preprocessor/internal/transform"
	"datawatch/preprocessor/internal/waitalert"
)

// schemasPart is the schema registry's name in /readyz, once something had to wait for it.
const schemasPart = "schema registry"

func clientID(c Config) string { return broker.GroupsOf(c.Broker.TopicPrefix).Preprocessor }

func group(c Config) string { return broker.GroupsOf(c.Broker.TopicPrefix).Preprocessor }

// Run works until ctx is done and returns its error. A broker that is away is waited for; a configuration that can't work
// is an error at once.
func Run(ctx context.Context, c Config, env daemon.Env) (err error) {
	env.Health.Set(daemon.BrokerPart, daemon.NotReady, reason.Connecting.With())
	bot, err := daemon.OpenTelegram(c.Shared, "preprocessor", env)
	if err != nil {
		return err
	}
	stack := daemon.Stack{Log: env.Log}
	stack.Push("telegram", bot.Stop)
	defer func() { err = errors.Join(err, stack.Close()) }()
	w := newWaits(c, env, bot)
	p, err := newPipeline(c, env, w.update)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return daemon.ServeHTTP(ctx, c.Preprocessor.Listen, env) })
	g.Go(func() error { return bot.AwaitReach(ctx, daemon.ChatsOf(c.Telegram.Alerts)...) })
	g.Go(func() error { return w.alert.Run(ctx) })
	g.Go(func() error {
		if err := daemon.AwaitTopics(ctx, c.Broker, env); err != nil {
			return err
		}
		stage := stageOf(c, p, env)
		work, ctx := errgroup.WithContext(ctx)
		work.Go(func() error { return daemon.Beat(ctx, c.Broker, "preprocessor", env, nil) })
		work.Go(func() error {
			return daemon.Insist(ctx, env, daemon.BrokerPart, func() error { return stage.Run(ctx) })
		})
		return work.Wait()
	})
	return g.Wait()
}

func newPipeline(c Config, env daemon.Env, waiting func([]waitalert.Wait)) (*pipeline.Pipeline, error) {
	masker, err := normalize.NewMasker(c.Mask)
	if err != nil {
		return nil, err
	}
	options := normalize.Options{Masker: masker, Formats: c.Formats, MaxDecoded: broker.RecordLimit(c.Broker)}
	if c.SchemaRegistry.URL != "" {
		if options.Schemas, err = registry.New(c.SchemaRegistry); err != nil {
			return nil, err
		}
	}
	transforms, err := transform.New(c.Preprocessor.Transforms)
	if err != nil {
		return nil, err
	}
	return pipeline.New(pipeline.Options{
		Broker: c.Broker, Normalizer: normalize.New(options), Patience: pipeline.Patience{Most: c.Preprocessor.SchemaWait.Std(), Waiting: waiting},
		Transform: transforms, History: pipeline.Topics{Broker: c.Broker, Name: clientID(c)}, Metrics: env.Metrics, Log: env.Log,
	}), nil
}

func stageOf(c Config, p *pipeline.Pipeline, env daemon.Env) broker.Stage {
	most := newLimit(c, p.SetLimit)
	return broker.Stage{
		Broker: c.Broker, Name: clientID(c), Group: group(c), Topic: broker.TopicsOf(c.Broker.TopicPrefix).Raw,
		Process: p.Process, Committed: p.Committed, Limit: most.of, Ahead: 1, Log: env.Log,
		Assigned: func(ctx context.Context, partitions []int32) error {
			if err := p.Assigned(ctx); err != nil {
				return err
			}
			env.Log.Info("partitions assigned", "partitions", partitions)
			env.Health.Set(daemon.BrokerPart, daemon.Ready, reason.Text{})
			return nil
		},
		Failed: func(err error) {
			if err != nil {
				most.failed(err)
				env.Health.Set(daemon.BrokerPart, daemon.NotReady, reason.Why(err))
			}
		},
	}
}
