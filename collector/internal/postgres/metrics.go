package postgres

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	bytes     prometheus.Gauge
	rows      prometheus.Gauge
	unclaimed prometheus.Counter
	// forget takes the gauges away: the source isn't read here any more.
	forget func()
}

// newMetrics makes the source's metrics; sources that share a registerer share the families.
func newMetrics(reg prometheus.Registerer, name string) *metrics {
	var gauges []*prometheus.GaugeVec
	gauge := func(metric, help string) prometheus.Gauge {
		of := registered(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "datawatch", Subsystem: "collector", Name: metric, Help: help,
		}, []string{"source"}))
		gauges = append(gauges, of)
		return of.WithLabelValues(name)
	}
	return &metrics{
		bytes: gauge("outbox_bytes", "Size of the outbox in the watched database, with what was read and not yet reclaimed."),
		rows:  gauge("outbox_rows", "Statements captured and not yet committed to the broker, about; 10000 stands for more too."),
		unclaimed: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "datawatch", Subsystem: "collector", Name: "order_unclaimed_total",
			Help: "Captured parts of statements that were told in the order in which they ended, since the statement that they belong behind was not captured.",
		}, []string{"source"})).WithLabelValues(name),
		forget: func() {
			for _, of := range gauges {
				of.DeleteLabelValues(name)
			}
		},
	}
}

// registered is the family, or the one that is registered in its place already.
func registered[F prometheus.Collector](reg prometheus.Registerer, family F) F {
	if reg == nil {
		return family
	}
	var there prometheus.AlreadyRegisteredError
	if errors.As(reg.Register(family), &there) {
		if existing, ok := there.ExistingCollector.(F); ok {
			return existing
		}
	}
	return family
}
