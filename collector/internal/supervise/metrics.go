package supervise

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
)

type metrics struct {
	lags           *lags
	capturedTotal  *prometheus.CounterVec
	publishedTotal *prometheus.CounterVec
	lastEvent      *prometheus.GaugeVec
	letters        *prometheus.CounterVec
	gaps           *prometheus.CounterVec
	state          *prometheus.GaugeVec
	snapshotRows   *prometheus.GaugeVec
	snapshotOf     *prometheus.GaugeVec
	snapshotsOpen  *prometheus.GaugeVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	const namespace, subsystem = "datawatch", "collector"
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, labels)
		registerer.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, labels)
		registerer.MustRegister(v)
		return v
	}
	lags := &lags{
		description: prometheus.NewDesc("datawatch_collector_source_lag_seconds", "How far capture is behind the source; none where the source isn't read.", []string{"source"}, nil),
		now:         map[string]func() (float64, bool){}, fares: map[string]func() control.Source{},
	}
	registerer.MustRegister(lags)
	return &metrics{
		lags:           lags,
		capturedTotal:  counter("events_captured_total", "Events that came from sources; those of a batch that failed come again.", "stream"),
		publishedTotal: counter("events_published_total", "Events committed to the raw topic.", "stream"),
		lastEvent:      gauge("last_event_timestamp_seconds", "The source's time of the newest event committed.", "stream"),
		letters:        counter("events_deadlettered_total", "Events too large for the raw topic, written to deadletter; those of a batch that failed come again.", "stream"),
		gaps:           counter("gaps_total", "Stretches that were not captured.", "source", "cause"),
		state:          gauge("source_state", "1 for the state that the source is in.", "source", "state"),
		snapshotRows:   gauge("snapshot_rows_read", "Rows that the snapshot at work, or the last one, has read.", "source"),
		snapshotOf:     gauge("snapshot_rows_estimated", "Rows that there are to read, about.", "source"),
		snapshotsOpen:  gauge("snapshots_open", "Snapshots that wait or are at work.", "source"),
	}
}

// lags are the sources' lags, asked for at each scrape.
type lags struct {
	description *prometheus.Desc

	mu    sync.Mutex
	now   map[string]func() (lag float64, known bool)
	fares map[string]func() control.Source
}

// Describe implements prometheus.Collector.
func (l *lags) Describe(to chan<- *prometheus.Desc) { to <- l.description }

// Collect implements prometheus.Collector.
func (l *lags) Collect(to chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, now := range l.now {
		if lag, known := now(); known {
			to <- prometheus.MustNewConstMetric(l.description, prometheus.GaugeValue, lag, name)
		}
	}
}

// showLag has a source's lag asked for at each scrape, and how it fares at each sign of life.
func (m *metrics) showLag(name string, lag func() (float64, bool), fares func() control.Source) {
	m.lags.mu.Lock()
	defer m.lags.mu.Unlock()
	m.lags.now[name], m.lags.fares[name] = lag, fares
}

// hide has its lag and its snapshots told no more: another collector runs the source.
func (m *metrics) hide(name string) {
	m.lags.mu.Lock()
	delete(m.lags.now, name)
	delete(m.lags.fares, name)
	m.lags.mu.Unlock()
	for _, of := range []*prometheus.GaugeVec{m.snapshotRows, m.snapshotOf, m.snapshotsOpen} {
		of.DeletePartialMatch(prometheus.Labels{"source": name})
	}
}

// forget takes a source away that is in the configuration no more.
func (m *metrics) forget(name string) {
	m.hide(name)
	m.state.DeletePartialMatch(prometheus.Labels{"source": name})
}

// seen counts what came from a source.
func (m *metrics) seen(events []event.Raw) {
	eachStream(events, func(stream string, n int, _ time.Time) { m.capturedTotal.WithLabelValues(stream).Add(float64(n)) })
}

// published counts what was committed.
func (m *metrics) published(events []event.Raw) {
	eachStream(events, func(stream string, n int, newest time.Time) {
		m.publishedTotal.WithLabelValues(stream).Add(float64(n))
		m.lastEvent.WithLabelValues(stream).Set(float64(newest.UnixNano()) / 1e9)
	})
}

func (m *metrics) deadLettered(stream event.Stream) { m.letters.WithLabelValues(string(stream)).Inc() }

// snapshots shows how far snapshots are, where a batch's progress tells.
func (m *metrics) snapshots(name string, progress source.Progress) {
	if progress[backfill.Entry] == nil {
		return
	}
	account, err := backfill.Parse(progress)
	if err != nil {
		return // written by the source a moment ago
	}
	m.snapshotsOpen.WithLabelValues(name).Set(float64(len(account.Jobs)))
	var job *backfill.Job
	switch {
	case len(account.Jobs) > 0:
		job = account.Jobs[0]
	case len(account.Ended) > 0:
		job = account.Ended[len(account.Ended)-1]
	default:
		return
	}
	read, estimate := job.Rows()
	m.snapshotRows.WithLabelValues(name).Set(float64(read))
	m.snapshotOf.WithLabelValues(name).Set(float64(estimate))
}

// eachStream goes through runs of events of one stream, which is what batches are made of.
func eachStream(events []event.Raw, each func(stream string, n int, newest time.Time)) {
	for start := 0; start < len(events); {
		end, newest := start, events[start].Time
		for end < len(events) && events[end].Stream == events[start].Stream {
			if events[end].Time.After(newest) {
				newest = events[end].Time
			}
			end++
		}
		each(string(events[start].Stream), end-start, newest)
		start = end
	}
}

var states = []source.State{source.Connecting, source.Snapshot, source.Streaming, source.Stalled, source.Failed, source.Standby}

func (m *metrics) setState(name string, state source.State) {
	for _, s := range states {
		var is float64
		if s == state {
			is = 1
		}
		m.state.WithLabelValues(name, string(s)).Set(is)
	}
}
