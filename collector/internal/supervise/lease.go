package supervise

import (
	"context"
	"encoding/json"
	"time"

	"datawatch/pkg/broker"
)

// lease is the sign of life of the collector that runs a source, in the state topic under leaseKey.
type lease struct {
	Version int       `json:"version"` // 1
	Holder  string    `json:"holder"`
	At      time.Time `json:"at"`
}

func leaseKey(source string) string { return "runner/" + source }

func leaseRecord(topic, source, holder string, now time.Time) broker.Record {
	value, err := json.Marshal(lease{1, holder, now.UTC()})
	if err != nil {
		panic(err) // a text and a time
	}
	return broker.Record{Topic: topic, Key: []byte(leaseKey(source)), Value: value}
}

// watcher follows another collector's sign of life. It goes by its own clock: what counts is that the sign changes.
type watcher struct {
	*runner
	scanner *broker.Scanner
	next    int64 // the first offset of the state topic that wasn't looked at
	sign    lease
	changed time.Time // when sign was last seen to change
}

// look tells whether nobody else runs the source any more, or ever did: a writer is also fenced when its transaction took
// so long that the broker gave it up.
func (w *watcher) look(ctx context.Context, now time.Time) (ended bool, err error) {
	if w.changed.IsZero() {
		w.changed = now
	}
	sign, found, err := w.newest(ctx)
	switch {
	case err != nil:
		w.close()
		w.changed = now // who can't see must not judge
		return false, err
	case found && (sign == nil || sign.Holder == w.holder):
		return true, nil // withdrawn, or nobody came
	case found && *sign != w.sign:
		w.sign, w.changed = *sign, now
	}
	return now.Sub(w.changed) >= w.times.takeover, nil
}

// newest reads on in the state topic; found tells that there is a newer sign, which is nil where it was withdrawn.
func (w *watcher) newest(ctx context.Context) (sign *lease, found bool, err error) {
	topic := broker.TopicsOf(w.Broker.TopicPrefix).State
	if w.scanner == nil {
		if w.scanner, err = broker.NewScanner(w.Broker, "datawatch-collector"); err != nil {
			return nil, false, err
		}
		if w.next, err = w.scanner.Oldest(topic, 0); err != nil {
			return nil, false, err
		}
	}
	end, err := w.scanner.End(topic, 0)
	if err != nil {
		return nil, false, err
	}
	key := leaseKey(w.unit.Name)
	err = w.scanner.Scan(ctx, topic, 0, w.next, end, func(record broker.Record) error {
		if string(record.Key) != key {
			return nil
		}
		sign, found = nil, true
		if record.Value == nil {
			return nil
		}
		sign = new(lease)
		return json.Unmarshal(record.Value, sign)
	})
	if err == nil {
		w.next = end
	}
	return sign, found, err
}

func (w *watcher) close() {
	if w.scanner != nil {
		_ = w.scanner.Close() // it only read
		w.scanner = nil
	}
}
