package feed

import "github.com/prometheus/client_golang/prometheus"

type metrics struct{ shown, summedUp, dropped, verdicts prometheus.Counter }

func newMetrics(reg prometheus.Registerer, waiting func() float64) *metrics {
	transactions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "datawatch_collector_feed_transactions_total",
		Help: "Transactions and Kafka records offered to the feed, by what the chat saw of them: a message, a part of a digest, or nothing but a number of changes.",
	}, []string{"result"})
	verdicts := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "datawatch_collector_feed_verdicts_total", Help: "Verdicts of the validator that the feed told: in a message as it was sent, written into one later, or alone.",
	})
	reg.MustRegister(transactions, verdicts, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "datawatch_collector_feed_waiting", Help: "Transactions and Kafka records that chats weren't told of yet, of all chats.",
	}, waiting))
	return &metrics{
		shown:    transactions.WithLabelValues("shown"),
		summedUp: transactions.WithLabelValues("summed_up"),
		dropped:  transactions.WithLabelValues("dropped"),
		verdicts: verdicts,
	}
}
