package postgres

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	bytes prometheus.Gauge
	rows  prometheus.Gauge
}

// newMetrics makes the source's gauges; sources that share a registerer share the families.
func newMetrics(reg prometheus.Registerer, name string) *metrics {
	gauge := func(metric, help string) prometheus.Gauge {
		family := prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "datawatch", Subsystem: "collector", Name: metric, Help: help,
		}, []string{"source"})
		if reg != nil {
			if err := reg.Register(family); err != nil {
				var there prometheus.AlreadyRegisteredError
				if errors.As(err, &there) {
					if existing, ok := there.ExistingCollector.(*prometheus.GaugeVec); ok {
						family = existing
					}
				}
			}
		}
		return family.WithLabelValues(name)
	}
	return &metrics{
		bytes: gauge("outbox_bytes", "Size of the outbox in the watched database, with what was read and not yet reclaimed."),
		rows:  gauge("outbox_rows", "Statements captured and not yet committed to the broker, about."),
	}
}
