package preprocessor

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
	"datawatch/pkg/normalize"

	"datawatch/preprocessor/internal/pipeline"
)

// brokerPart is the broker's name in /readyz.
const brokerPart = "broker"

// Pauses between attempts to reach the broker.
const (
	firstPause = 250 * time.Millisecond
	longPause  = 10 * time.Second
)

func clientID(c Config) string { return c.Broker.TopicPrefix + "-preprocessor" }

func group(c Config) string { return c.Broker.TopicPrefix + "-preprocessor" }

// Run works until ctx is done and returns its error. A broker that is away is waited for; a configuration that can't work
// is an error at once.
func Run(ctx context.Context, c Config, env daemon.Env) error {
	if _, err := broker.ClientConfig(c.Broker.Cluster, clientID(c)); err != nil {
		return err
	}
	env.Health.Set(brokerPart, daemon.NotReady, "connecting")
	p := pipeline.New(c.Broker, normalize.New(normalize.Options{}), env.Metrics, env.Log)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return daemon.ServeHTTP(ctx, c.Preprocessor.Listen, env) })
	g.Go(func() error {
		if err := untilReached(ctx, env, func() error { return broker.EnsureTopics(ctx, c.Broker, env.Log) }); err != nil {
			return err
		}
		stage := stageOf(c, p, env)
		return untilReached(ctx, env, func() error { return stage.Run(ctx) })
	})
	return g.Wait()
}

func stageOf(c Config, p *pipeline.Pipeline, env daemon.Env) broker.Stage {
	return broker.Stage{
		Broker: c.Broker, Name: clientID(c), Group: group(c), Topic: broker.TopicsOf(c.Broker.TopicPrefix).Raw,
		Process: p.Process, Committed: p.Committed, Log: env.Log,
		Assigned: func(_ context.Context, partitions []int32) error {
			env.Log.Info("partitions assigned", "partitions", partitions)
			env.Health.Set(brokerPart, daemon.Ready, "")
			return nil
		},
		Failed: func(err error) {
			if err != nil {
				env.Health.Set(brokerPart, daemon.NotReady, err.Error())
			}
		},
	}
}

// untilReached tries again, with growing pauses, until the broker is there.
func untilReached(ctx context.Context, env daemon.Env, try func() error) error {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := try()
		if err == nil || ctx.Err() != nil || errors.Is(err, broker.ErrPartitions) {
			return errors.Join(ctx.Err(), err)
		}
		env.Health.Set(brokerPart, daemon.NotReady, err.Error())
		env.Log.Warn("broker isn't there; trying again", "error", err, "pause", pause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}
