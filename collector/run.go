package collector

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"datawatch/collector/internal/supervise"
	"datawatch/pkg/daemon"
	"datawatch/pkg/normalize"
)

// Run captures until ctx is done and returns its error. A broker or a system that is away is waited for; a configuration
// that can't work is an error at once.
func Run(ctx context.Context, c Config, env daemon.Env) error {
	mask, err := normalize.NewMasker(c.Mask)
	if err != nil {
		return fmt.Errorf("mask: %w", err)
	}
	show, err := openShow(c, env)
	if err != nil {
		return err
	}
	defer show.close()
	supervisor := supervise.New(supervise.Options{
		Broker: c.Broker, Units: units(c, show, env), Mask: mask, Log: env.Log, Metrics: env.Metrics, Health: env.Health,
	})
	env.Health.Set("broker", daemon.NotReady, "connecting")
	env.Health.Set("commands", daemon.NotReady, "connecting")
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return daemon.ServeHTTP(ctx, c.Collector.Listen, env) })
	group.Go(func() error { return show.run(ctx) })
	group.Go(func() error {
		if err := daemon.AwaitTopics(ctx, c.Broker, env); err != nil {
			return err
		}
		work, ctx := errgroup.WithContext(ctx)
		work.Go(func() error { return daemon.Beat(ctx, c.Broker, "collector", env, nil) })
		work.Go(func() error { return show.watch(ctx, c) })
		work.Go(func() error { return supervisor.Run(ctx) })
		return work.Wait()
	})
	return group.Wait()
}
