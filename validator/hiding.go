package validator

import (
	"context"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/hide"
	"datawatch/pkg/reason"
	"datawatch/validator/internal/schemas"
)

// hiding tells whoever shows rows what no one may be shown, by the schemas in force.
type hiding struct {
	broker  config.Broker
	env     daemon.Env
	current func() *schemas.Set
	changed chan struct{} // of capacity one
}

func newHiding(c config.Broker, env daemon.Env) *hiding {
	return &hiding{broker: c, env: env, changed: make(chan struct{}, 1)}
}

// wake says that the schemas differ from before.
func (h *hiding) wake() {
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// run writes what is to be hidden, now and whenever it changes, until ctx is done, and returns its error. Where it can't be
// written, what was written before holds, and health says so.
func (h *hiding) run(ctx context.Context) error {
	for {
		files, unknown := h.current().Hidden()
		err := daemon.Insist(ctx, h.env, "x-pii", func() error {
			written, err := hide.Publish(ctx, h.broker, "datawatch-validator", files, unknown)
			if written {
				h.env.Log.Info("what x-pii hides is written", "record", hide.Key, "topic", broker.TopicsOf(h.broker.TopicPrefix).State)
			}
			return err
		})
		if err != nil {
			return err
		}
		h.env.Health.Set("x-pii", daemon.Ready, reason.Text{})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-h.changed:
		}
	}
}
