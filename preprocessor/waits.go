package preprocessor

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"

	"datawatch/preprocessor/internal/waitalert"
)

// waits tells everywhere what records wait for: the log, /readyz, the metrics and people.
type waits struct {
	env   daemon.Env
	since *prometheus.GaugeVec
	alert *waitalert.Alerter
}

func newWaits(c Config, env daemon.Env, sender waitalert.Sender) *waits {
	w := &waits{
		env: env,
		since: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "datawatch", Subsystem: "preprocessor", Name: "waiting_since_timestamp_seconds",
			Help: "Since when records wait for a schema or for the registry, by the stream that waits first; no series when nothing waits.",
		}, []string{"stream"}),
		alert: waitalert.New(waitalert.Options{
			Sender: sender, Chat: telegram.ChatOf(c.Telegram.Alerts), Language: c.Telegram.Language, Zone: c.Telegram.Timezone.Location,
			Count: countWaiting(c), Log: env.Log,
		}),
	}
	env.Metrics.MustRegister(w.since)
	return w
}

// update says what is waited for now.
func (w *waits) update(all []waitalert.Wait) {
	w.alert.Update(all)
	w.since.Reset()
	if len(all) == 0 {
		w.env.Log.Info("nothing waits for a schema any more")
		w.env.Health.Set(schemasPart, daemon.Ready, reason.Text{})
		return
	}
	for _, wait := range all {
		w.since.WithLabelValues(string(wait.Stream)).Set(float64(wait.Since.UnixMilli()) / 1e3)
		w.env.Log.Warn("a schema is missing", "what", wanting(wait), "stream", wait.Stream, "error", wait.For.Err)
	}
	why := wanting(all[0])
	if more := len(all) - 1; more > 0 {
		why = reason.WaitsAndMore.With(why, more)
	}
	w.env.Health.Set(schemasPart, daemon.Degraded, why)
}

// wanting is what a stream waits for.
func wanting(wait waitalert.Wait) reason.Text {
	since := wait.Since.UTC().Format(time.RFC3339)
	switch of := wait.For; {
	case of.Schema != 0 && wait.Lost:
		return reason.SchemaLetters.With(of.Schema, of.Registry, since)
	case of.Schema != 0:
		return reason.SchemaWanting.With(of.Schema, of.Registry, since)
	case wait.Lost:
		return reason.RegistryLetters.With(of.Registry, since)
	default:
		return reason.RegistryAway.With(of.Registry, since)
	}
}

// mostCounted bounds how many records of raw are looked at to count those that wait.
const mostCounted = 20_000

// countWaiting counts the records of a stream in raw that the group hasn't committed.
func countWaiting(c Config) waitalert.Count {
	return func(ctx context.Context, stream event.Stream) (n int, more bool, err error) {
		s, err := broker.NewScanner(c.Broker, clientID(c)+"-count")
		if err != nil {
			return 0, false, err
		}
		defer func() { _ = s.Close() }()
		raw := broker.TopicsOf(c.Broker.TopicPrefix).Raw
		committed, err := s.Committed(group(c), raw)
		if err != nil {
			return 0, false, err
		}
		left := int64(mostCounted)
		for partition, from := range committed {
			end, err := s.End(raw, partition)
			if err != nil {
				return n, false, err
			}
			to := min(end, from+left)
			more, left = more || to < end, left-(to-from)
			err = s.Scan(ctx, raw, partition, from, to, func(r broker.Record) error {
				if of, err := event.ParseRaw(r.Key, r.Value, r.Headers); err == nil && of.Stream == stream {
					n++
				}
				return nil
			})
			if err != nil {
				return n, false, err
			}
		}
		return n, more, nil
	}
}
