package record

import (
	"context"
	"fmt"
	"hash/maphash"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
)

// Meter tells how large a recording would be that goes on, without holding it: it reads what came since it read last. Of
// each transaction that it has counted it keeps a number, so it takes some bytes for each hundred that the recording has.
type Meter struct {
	options Options
	next    map[int32]int64
	seed    maphash.Seed
	counted map[uint64]struct{} // transactions
	bytes   int
}

// NewMeter measures a recording that begins at a place.
func NewMeter(from Place, o Options) *Meter {
	m := &Meter{options: o.bounded(), next: map[int32]int64{}, seed: maphash.MakeSeed(), counted: map[uint64]struct{}{}}
	for partition, offset := range from.Clean {
		m.next[partition] = offset
	}
	return m
}

// Full reads on to a place, and tells whether the recording would hold all that a file may by then. A failure leaves what
// was counted before it counted: the next call goes on behind it.
func (m *Meter) Full(ctx context.Context, s *broker.Scanner, topics broker.Topics, to Place) (bool, error) {
	for partition := range m.next {
		err := s.Scan(ctx, topics.Clean, partition, m.next[partition], to.Clean[partition], func(r broker.Record) error {
			m.next[partition] = r.Offset + 1
			if m.full() || event.IsCanary(r.Key) {
				return nil
			}
			e, err := event.ParseClean(r.Value)
			if err != nil {
				return fmt.Errorf("%s/%d@%d: %w", r.Topic, r.Partition, r.Offset, err)
			}
			m.count(e)
			return nil
		})
		if err != nil {
			return m.full(), err
		}
		m.next[partition] = max(m.next[partition], to.Clean[partition])
		if m.full() {
			return true, nil
		}
	}
	return false, nil
}

func (m *Meter) full() bool { return m.bytes >= m.options.MaxBytes }

// count adds an event; one that doesn't fit any more fills the recording, as nothing behind it is wanted in its place.
func (m *Meter) count(e *event.Clean) {
	if !m.options.wants(e) {
		return
	}
	transaction := maphash.String(m.seed, transactionOf(e))
	_, known := m.counted[transaction]
	m.bytes += sizeOf(e, m.options.shown(e), !known)
	m.counted[transaction] = struct{}{}
}
