package telegram

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/config"
)

// Options say how to reach Telegram and whom to tell.
type Options struct {
	// Config is the section of the configuration. Without a token, messages go to Log instead of Telegram.
	Config config.Telegram
	// Instance is the first line of every message; empty is none.
	Instance string
	// Service is the service's name, in the names of the metrics.
	Service string
	Log     *slog.Logger
	// Metrics gets datawatch_<service>_telegram_…
	Metrics prometheus.Registerer
	// Report is told nil when messages go through, and the reason when a chat can't be reached or Telegram has been away
	// for a while; it is called only when that changes. Nil is nobody.
	Report func(err error)

	// Transport carries requests in place of the network, in tests that run in simulated time. Nil is the network.
	Transport http.RoundTripper
}

var serviceName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (o *Options) validate() error {
	switch {
	case o.Log == nil:
		return errors.New("telegram client: a logger is needed")
	case o.Metrics == nil:
		return errors.New("telegram client: a registerer is needed")
	case !serviceName.MatchString(o.Service):
		return fmt.Errorf("telegram client: %q can't be part of a metric's name", o.Service)
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	return nil
}
