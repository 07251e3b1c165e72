package collector

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"datawatch/collector/internal/supervise"
	"datawatch/pkg/daemon"
	"datawatch/pkg/normalize"
	"datawatch/pkg/reason"
)

// Run captures until ctx is done and returns its error. A broker or a system that is away is waited for; a configuration
// that can't work is an error at once.
func Run(ctx context.Context, c Config, env daemon.Env) error { return RunReloading(ctx, c, nil, env) }

// RunReloading is Run with a configuration that may change: sources that are new, changed or gone are started, run anew or
// stopped, and the others go on undisturbed. What mask says of a source is a part of it. A configuration that is wrong changes
// nothing, and is told; what differs elsewhere waits for the next start.
func RunReloading(ctx context.Context, c Config, reloads <-chan daemon.Reload[Config], env daemon.Env) error {
	env.Health.Set("broker", daemon.NotReady, reason.Connecting.With()) // before anything else is ready
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
		Broker: c.Broker, Units: units(c, show, env), Mask: mask, Watch: show.trouble, Log: env.Log, Metrics: env.Metrics, Health: env.Health,
	})
	known := &fares{sources: supervisor.Sources, trouble: show.trouble, feed: show.feed}
	known.configure(c)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return daemon.ServeHTTP(ctx, c.Collector.Listen, env) })
	group.Go(func() error { return show.run(ctx) })
	group.Go(func() error {
		return followReloads(ctx, reloads, reloader{c: c, env: env, trouble: show.trouble, mask: mask, change: func(c Config) {
			known.configure(c)
			supervisor.Change(units(c, show, env))
		}})
	})
	group.Go(func() error {
		if err := daemon.AwaitTopics(ctx, c.Broker, env); err != nil {
			return err
		}
		work, ctx := errgroup.WithContext(ctx)
		work.Go(func() error { return daemon.Beat(ctx, c.Broker, "collector", env, known.say) })
		work.Go(func() error { return supervisor.Run(ctx) })
		return work.Wait()
	})
	return group.Wait()
}
