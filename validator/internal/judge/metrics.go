package judge

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/validator/internal/verdict"
	"datawatch/validator/internal/wrongrows"
)

type metrics struct {
	validated  *prometheus.CounterVec
	violated   *prometheus.CounterVec
	fastPath   *prometheus.CounterVec
	latency    prometheus.Histogram
	lastEvent  *prometheus.GaugeVec
	unrunnable prometheus.Gauge
	remarks    *prometheus.GaugeVec
	rows       *rowsCollector
	stuck      *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		validated: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "datawatch_validator_events_validated_total", Help: "Events judged, by result: valid, invalid, or unchecked where there is no schema or too little is known.",
		}, []string{"stream", "result"}),
		violated: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "datawatch_validator_events_violated_total", Help: "Events with a violation, by its severity.",
		}, []string{"stream", "severity"}),
		fastPath: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "datawatch_validator_fast_path_events_total", Help: "Events of streams with a schema, by what became of them on the fast path: accepted, or asked where the full judge had to look.",
		}, []string{"stream", "answer"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "datawatch_validator_commit_to_verdict_seconds", Help: "From the commit in the source to the committed verdict.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 3600},
		}),
		lastEvent: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "datawatch_validator_last_event_timestamp_seconds", Help: "When the newest judged event took place in the source.",
		}, []string{"stream"}),
		unrunnable: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "datawatch_validator_rules_unrunnable", Help: "Rules that name old, once for each stream whose changes come without a before image.",
		}),
		remarks: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "datawatch_validator_schema_remarks", Help: "What is remarkable about schema files that are right in themselves: shadowed, ambiguous, unmatched, or a rule of theirs unrunnable.",
		}, []string{"kind"}),
		rows: &rowsCollector{desc: prometheus.NewDesc("datawatch_validator_wrong_rows", "Rows that are wrong now, in this validator's partitions.",
			[]string{"stream", "rule", "severity"}, nil)},
		stuck: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "datawatch_validator_wrong_rows_not_judged_again_total",
			Help: "Wrong rows that couldn't be judged again by a changed schema file, since clean doesn't hold their event, or not whole.",
		}, []string{"stream"}),
	}
	reg.MustRegister(m.validated, m.violated, m.fastPath, m.latency, m.lastEvent, m.unrunnable, m.remarks, m.rows, m.stuck)
	return m
}

// rowsCollector gives the wrong rows as they are when it is asked.
type rowsCollector struct {
	desc *prometheus.Desc
	rows atomic.Pointer[wrongrows.Rows]
}

func (c *rowsCollector) set(rows *wrongrows.Rows) { c.rows.Store(rows) }

func (c *rowsCollector) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

func (c *rowsCollector) Collect(to chan<- prometheus.Metric) {
	rows := c.rows.Load()
	if rows == nil {
		return
	}
	for label, n := range rows.Counts() {
		to <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(n), string(label.Stream), label.Rule, string(label.Severity))
	}
}

// take counts a committed batch.
func (m *metrics) take(b *batch) {
	now := time.Now()
	for _, at := range b.changes {
		m.latency.Observe(max(0, now.Sub(at).Seconds()))
	}
	for _, s := range b.streams {
		stream := string(s.stream)
		s.each(func(r verdict.Result, n int64) { m.validated.WithLabelValues(stream, string(r)).Add(float64(n)) })
		for a, n := range s.answers {
			m.fastPath.WithLabelValues(stream, string(a)).Add(float64(n))
		}
		for severity, n := range s.severities {
			m.violated.WithLabelValues(stream, string(severity)).Add(float64(n))
		}
		if !s.newest.IsZero() {
			m.lastEvent.WithLabelValues(stream).Set(float64(s.newest.UnixNano()) / 1e9)
		}
	}
}
