package judge

import (
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
)

// tellCanaries tells of canaries that went through: with them, all that was before them in their partitions.
func (j *Judge) tellCanaries(canaries []*broker.Record) {
	for _, r := range canaries {
		e, err := event.ParseClean(r.Value)
		if err != nil {
			j.options.Log.Warn("a canary can't be read", "partition", r.Partition, "offset", r.Offset, "error", err)
			continue
		}
		if sent, err := time.Parse(time.RFC3339Nano, e.Time); err == nil {
			j.options.Canary(r.Partition, sent)
		}
	}
}
