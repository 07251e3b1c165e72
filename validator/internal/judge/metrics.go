package judge

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
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
	rows       *rowsCollector
	stuck      *prometheus.CounterVec

	set    *schemas.Set // to which cannot belongs
	cannot map[streamRule]bool
}

type streamRule struct {
	stream event.Stream
	rule   string
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
			Name: "datawatch_validator_rules_unrunnable", Help: "Rules that name old, by stream, where the source gives no before image.",
		}),
		rows: &rowsCollector{desc: prometheus.NewDesc("datawatch_validator_wrong_rows", "Rows that are wrong now, in this validator's partitions.",
			[]string{"stream", "rule", "severity"}, nil)},
		stuck: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "datawatch_validator_wrong_rows_not_judged_again_total",
			Help: "Wrong rows that couldn't be judged again by a changed schema file, since clean no longer holds their event.",
		}, []string{"stream"}),
		cannot: map[streamRule]bool{},
	}
	reg.MustRegister(m.validated, m.violated, m.fastPath, m.latency, m.lastEvent, m.unrunnable, m.rows, m.stuck)
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

// batch is what a batch of events adds to the metrics, once it is committed.
type batch struct {
	set    *schemas.Set
	judged []judged
}

type judged struct {
	stream     event.Stream
	result     verdict.Result
	answer     answer // empty: the stream has no schema
	severity   event.Severity
	at         time.Time // zero where the time of the change says nothing of delay
	unrunnable []string
}

func (t *batch) begin(set *schemas.Set) { t.set, t.judged = set, t.judged[:0] }

// add notes what the judge found.
func (t *batch) add(stream event.Stream, v verdict.Verdict, fallback time.Time, clean *event.Clean) {
	j := judged{stream: stream, result: v.Result, at: fallback, unrunnable: v.Unrunnable}
	if v.Violation != nil {
		j.severity = v.Violation.Severity
	}
	if clean != nil {
		j.at = changedAt(clean.Time, clean.Change.Op, fallback)
	}
	if clean != nil && t.set.For(stream) != nil {
		j.answer = asked
	}
	t.take(j)
}

func (t *batch) take(j judged) { t.judged = append(t.judged, j) }

// changedAt is when a change took place, as far as delay is measured from it.
func changedAt(text string, op event.Op, fallback time.Time) time.Time {
	if op == event.Read { // a snapshot's rows were committed long ago
		return time.Time{}
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at
	}
	return fallback
}

// take counts a batch, and returns rules that it is the first to show as unrunnable.
func (m *metrics) take(t *batch) (unrunnable []streamRule) {
	if t.set != m.set {
		m.set = t.set
		clear(m.cannot)
	}
	now := time.Now()
	for _, j := range t.judged {
		stream := string(j.stream)
		m.validated.WithLabelValues(stream, string(j.result)).Inc()
		if j.answer != "" {
			m.fastPath.WithLabelValues(stream, string(j.answer)).Inc()
		}
		if j.severity != "" {
			m.violated.WithLabelValues(stream, string(j.severity)).Inc()
		}
		if !j.at.IsZero() {
			m.latency.Observe(max(0, now.Sub(j.at).Seconds()))
			m.lastEvent.WithLabelValues(stream).Set(float64(j.at.UnixNano()) / 1e9)
		}
		for _, rule := range j.unrunnable {
			if at := (streamRule{j.stream, rule}); !m.cannot[at] {
				m.cannot[at] = true
				unrunnable = append(unrunnable, at)
			}
		}
	}
	m.unrunnable.Set(float64(len(m.cannot)))
	return unrunnable
}
