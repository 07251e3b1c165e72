package supervise

import (
	"time"

	"datawatch/pkg/broker"
)

// lease is the sign of life of the collector that runs a source, in the state topic under leaseKey: for whoever looks,
// and so that an idle source's writer hears of its fencing.
type lease struct {
	Version int       `json:"version"` // 1
	Holder  string    `json:"holder"`
	At      time.Time `json:"at"`
}

func leaseKey(source string) string { return "runner/" + source }

func leaseRecord(topic, source, holder string, now time.Time) broker.Record {
	return broker.Record{Topic: topic, Key: []byte(leaseKey(source)), Value: encode(lease{1, holder, now.UTC()})}
}
