package alerts

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/validator/internal/schemas"
)

type metrics struct {
	unreadable prometheus.Counter
	open       *openCollector
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		unreadable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "datawatch_validator_violations_unreadable_total", Help: "Records of violations that the keeper couldn't read.",
		}),
		open: &openCollector{desc: prometheus.NewDesc("datawatch_validator_open_alerts",
			"Groups of violations that aren't over, in the validator that keeps alerts.", []string{"stream", "rule", "severity"}, nil)},
	}
	reg.MustRegister(m.unreadable, m.open)
	return m
}

type openLabel struct{ stream, rule, severity string }

// openCollector gives the open alerts as the sender last saw them.
type openCollector struct {
	desc  *prometheus.Desc
	count atomic.Pointer[map[openLabel]int]
}

func (c *openCollector) set(count map[openLabel]int) { c.count.Store(&count) }

// Open is how many alerts are open, where this validator keeps them; else nil.
func (k *Keeper) Open() *int {
	count := k.metrics.open.count.Load()
	if count == nil || *count == nil {
		return nil
	}
	n := 0
	for _, groups := range *count {
		n += groups
	}
	return &n
}

func (c *openCollector) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

func (c *openCollector) Collect(to chan<- prometheus.Metric) {
	count := c.count.Load()
	if count == nil {
		return
	}
	for l, n := range *count {
		to <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(n), l.stream, l.rule, l.severity)
	}
}

func labelOf(g *Group) openLabel {
	rule := g.Rule
	if rule == "" {
		rule = schemas.SchemaRule
	}
	return openLabel{string(g.Stream), rule, string(g.Severity)}
}
