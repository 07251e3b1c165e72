package telegram

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	sends   *prometheus.CounterVec
	queue   prometheus.Gauge
	peers   prometheus.Gauge
	updates *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, service string) *metrics {
	name := func(n string) string { return prometheus.BuildFQName("datawatch", service, "telegram_"+n) }
	m := &metrics{
		sends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("sends_total"), Help: "Attempts to send or edit a message, by what came of them.",
		}, []string{"result"}),
		queue: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: name("queue_depth"), Help: "Messages and edits that wait for their chat's budget or for Telegram.",
		}),
		peers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: name("processes"), Help: "Processes of this service that share out what it may send, this one included.",
		}),
		updates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("updates_total"), Help: "Commands and pressed buttons, by what was done with them.",
		}, []string{"result"}),
	}
	reg.MustRegister(m.sends, m.queue, m.peers, m.updates)
	m.peers.Set(1)
	for _, o := range outcomes {
		m.sends.WithLabelValues(string(o))
	}
	for _, r := range []string{updateHandled, updateFailed, updateIgnored} {
		m.updates.WithLabelValues(r)
	}
	return m
}
