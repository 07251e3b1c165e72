package validator

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/control"
	"datawatch/pkg/daemon"
)

// canaries are the newest that this validator judged, by partition: health and a metric show how old they are, and signs
// of life carry them to the keeper of alerts.
type canaries struct {
	health *daemon.Health
	age    *prometheus.Desc

	mu     sync.Mutex
	newest control.Canaries
}

func newCanaries(env daemon.Env) *canaries {
	c := &canaries{health: env.Health, newest: control.Canaries{}, age: prometheus.NewDesc("datawatch_validator_canary_age_seconds",
		"How long ago the newest canary that came through was sent, of the partition where that is longest.", nil, nil)}
	env.Metrics.MustRegister(c)
	return c
}

// judged takes one that came through.
func (c *canaries) judged(partition int32, sent time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.newest.Add(control.Canaries{partition: sent})
	c.show()
}

// assigned forgets those of partitions that others have from now on.
func (c *canaries) assigned(partitions []int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.newest {
		if !slices.Contains(partitions, p) {
			delete(c.newest, p)
		}
	}
	c.show()
}

func (c *canaries) show() {
	_, sent, _ := c.newest.Oldest()
	c.health.SetCanary(sent)
}

// all is a copy.
func (c *canaries) all() control.Canaries {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := control.Canaries{}
	all.Add(c.newest)
	return all
}

var _ prometheus.Collector = (*canaries)(nil)

// Describe implements prometheus.Collector.
func (c *canaries) Describe(to chan<- *prometheus.Desc) { to <- c.age }

// Collect implements prometheus.Collector.
func (c *canaries) Collect(to chan<- prometheus.Metric) {
	if _, sent, ok := c.all().Oldest(); ok {
		to <- prometheus.MustNewConstMetric(c.age, prometheus.GaugeValue, time.Since(sent).Seconds())
	}
}
