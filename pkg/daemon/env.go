package daemon

import (
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"datawatch/pkg/config"
)

// StopTimeout is how long a service may drain after the first signal.
const StopTimeout = 15 * time.Second

// Env is what a service's Run works with besides its configuration.
type Env struct {
	Log     *slog.Logger
	Metrics *prometheus.Registry
	Health  *Health
}

// NewEnv is an Env with a registry of its own, which holds the process's and Go's metrics already.
func NewEnv(log *slog.Logger) Env {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return Env{Log: log, Metrics: registry, Health: NewHealth()}
}

// NewLogger writes to w as the configuration says, with the service's name in each line.
func NewLogger(w io.Writer, c config.Log, service string) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.SlogLevel()}
	var handler slog.Handler = slog.NewTextHandler(w, options)
	if c.Format == "json" {
		handler = slog.NewJSONHandler(w, options)
	}
	return slog.New(handler).With("service", service)
}
