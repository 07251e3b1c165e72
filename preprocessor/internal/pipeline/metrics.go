package pipeline

import "github.com/prometheus/client_golang/prometheus"

const namespace, subsystem = "datawatch", "preprocessor"

type metrics struct {
	normalized   *prometheus.CounterVec
	deadLettered *prometheus.CounterVec
	dropped      *prometheus.CounterVec
	latency      prometheus.Histogram
	lastEvent    *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		normalized: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "events_normalized_total",
			Help: "Events written to clean, by stream.",
		}, []string{"stream"}),
		deadLettered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "events_deadlettered_total",
			Help: "Raw records written to deadletter, by stream and by what is wrong with them.",
		}, []string{"stream", "class"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "events_dropped_total",
			Help: "Raw records that come to nothing, by stream and reason: the tombstone behind the envelope of a delete, a dead letter sent again when its events are in clean, what a transform drops.",
		}, []string{"stream", "reason"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "commit_to_clean_seconds",
			Help:    "Time from a change at its source to its event committed in clean. Snapshot reads aren't in it.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		}),
		lastEvent: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "last_event_timestamp_seconds",
			Help: "The source's time of the newest event written to clean, by stream.",
		}, []string{"stream"}),
	}
	reg.MustRegister(m.normalized, m.deadLettered, m.dropped, m.latency, m.lastEvent)
	return m
}
