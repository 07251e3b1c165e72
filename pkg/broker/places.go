package broker

import (
	"maps"
	"sync"
)

// places are how far a session has come: the next offset of each partition, where one is known.
type places struct {
	late   chan struct{}   // of capacity one: says that a place is known where one was asked for in vain
	oldest map[int32]int64 // where partitions begin that nothing was committed of, or no longer hold it

	mu    sync.Mutex
	next  map[int32]int64
	asked bool // in vain
}

func newPlaces(oldest map[int32]int64) *places {
	return &places{next: map[int32]int64{}, late: make(chan struct{}, 1), oldest: oldest}
}

// begin notes where a partition begins; a negative offset is the oldest.
func (p *places) begin(partition int32, offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if oldest, known := p.oldest[partition]; offset < 0 && known {
		offset = oldest
	}
	if _, known := p.next[partition]; !known && offset >= 0 {
		p.next[partition] = offset
		if p.asked {
			p.asked = false
			p.late <- struct{}{}
		}
	}
}

// behind are the offsets behind a batch, of the partitions that it has records of; behind an empty one, all that are known.
func (p *places) behind(batch []Record) map[int32]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(batch) == 0 {
		p.asked = p.asked || len(p.next) == 0 && len(p.late) == 0
		return maps.Clone(p.next)
	}
	next := map[int32]int64{}
	for i := range batch {
		if i+1 < len(batch) && batch[i+1].Partition == batch[i].Partition {
			continue // those of a partition mostly come together
		}
		next[batch[i].Partition] = batch[i].Offset + 1
	}
	maps.Copy(p.next, next)
	return next
}
