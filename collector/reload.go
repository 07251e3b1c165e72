package collector

import (
	"context"
	"reflect"

	"datawatch/collector/internal/trouble"
	"datawatch/pkg/daemon"
	"datawatch/pkg/normalize"
	"datawatch/pkg/reason"
)

// reloader brings a configuration that was read anew into force.
type reloader struct {
	c       Config
	env     daemon.Env
	trouble *trouble.Teller
	mask    *normalize.Masker
	change  func(Config)
}

// configurationPart is the configuration's name in /readyz.
const configurationPart = "configuration"

func followReloads(ctx context.Context, reloads <-chan daemon.Reload[Config], r reloader) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case reload := <-reloads:
			r.take(reload)
		}
	}
}

func (r *reloader) take(reload daemon.Reload[Config]) {
	if reload.Err == nil {
		reload.Err = r.mask.Set(reload.Config.Mask) // before what it is to hide is captured
	}
	r.trouble.Configuration(reload.Err)
	if reload.Err != nil {
		r.env.Log.Error("the configuration is wrong; the last good one stays in force", "error", reload.Err)
		r.env.Health.Set(configurationPart, daemon.Degraded, reason.Why(reason.Wrap(reload.Err, reason.NotLoaded.With())))
		return
	}
	next := reload.Config
	sources := next.Collector.Sources
	next.Collector.Sources, r.c.Mask = r.c.Collector.Sources, next.Mask
	if reflect.DeepEqual(next, r.c) {
		r.env.Health.Set(configurationPart, daemon.Ready, reason.Text{})
	} else {
		waits := reason.NextStart.With()
		r.env.Log.Warn(waits.String())
		r.env.Health.Set(configurationPart, daemon.Degraded, waits)
	}
	r.c.Collector.Sources = sources
	r.env.Log.Info("configuration loaded", "sources", len(sources))
	r.change(r.c)
}
