package wal

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	retained prometheus.Gauge
	safe     prometheus.Gauge
}

// newMetrics makes the source's metrics; sources that share a registerer share the families.
func newMetrics(registerer prometheus.Registerer, name string) *metrics {
	gauge := func(metric, help string) prometheus.Gauge {
		family := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "datawatch", Subsystem: "collector", Name: metric, Help: help}, []string{"source"})
		if registerer != nil {
			var there prometheus.AlreadyRegisteredError
			if errors.As(registerer.Register(family), &there) {
				if existing, ok := there.ExistingCollector.(*prometheus.GaugeVec); ok {
					family = existing
				}
			}
		}
		return family.WithLabelValues(name)
	}
	return &metrics{
		retained: gauge("slot_retained_bytes", "WAL that the server keeps for the source's replication slot."),
		safe:     gauge("slot_safe_bytes", "WAL that may be written until the slot is lost; where max_slot_wal_keep_size bounds it."),
	}
}
