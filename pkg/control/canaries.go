package control

import "time"

// Canaries are the newest canaries that were judged, by their partition of clean: when each was sent.
type Canaries map[int32]time.Time

// Add takes what is newer.
func (c Canaries) Add(o Canaries) {
	for partition, sent := range o {
		if sent.After(c[partition]) {
			c[partition] = sent
		}
	}
}

// Oldest is the partition whose newest canary was sent first, and when; false where there is none.
func (c Canaries) Oldest() (partition int32, sent time.Time, ok bool) {
	for p, at := range c {
		if !ok || at.Before(sent) || at.Equal(sent) && p < partition {
			partition, sent, ok = p, at, true
		}
	}
	return partition, sent, ok
}

// CanaryLate is how old the newest canary of a partition may be: they come every ten seconds.
const CanaryLate = time.Minute
