package kafka

import (
	"maps"
	"sync"
	"time"
)

// board is what the reader tells the fetchers, and they tell it: which broker leads each partition, where it is to be
// fetched, and how that goes. Only the reader moves a partition.
type board struct {
	mu      sync.Mutex
	lanes   map[partition]*lane
	changed chan struct{} // closed and replaced whenever a partition is to be fetched elsewhere
}

// lane is one partition on the board.
type lane struct {
	leader int32
	next   int64 // the next offset to fetch
	end    int64 // the end of what is committed in the cluster, as of the last fetch
	held   bool  // not fetched until it is set again
	// failing is since when the partition can't be read, zero where it can, and why.
	failing time.Time
	why     error
}

func newBoard() *board {
	return &board{lanes: map[partition]*lane{}, changed: make(chan struct{})}
}

func (b *board) lane(p partition) *lane {
	l := b.lanes[p]
	if l == nil {
		l = &lane{leader: noLeader, held: true}
		b.lanes[p] = l
	}
	return l
}

// set has a partition fetched from next on by its leader.
func (b *board) set(p partition, leader int32, next int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lane(p)
	if !l.held && l.leader == leader && l.next == next {
		return
	}
	l.leader, l.next, l.held = leader, next, false
	close(b.changed)
	b.changed = make(chan struct{})
}

// leader is the broker that a partition is fetched from.
func (b *board) leader(p partition) int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lane(p).leader
}

// advance notes that the records before next are taken.
func (b *board) advance(p partition, next, end int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lane(p)
	l.next, l.end, l.failing, l.why = next, end, time.Time{}, nil
}

// hold stops the fetching of a partition, with the reason, until it is set again.
func (b *board) hold(p partition, why error, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lane(p)
	l.held = true
	l.fail(why, now)
}

// removeExcept takes away the partitions that are no more.
func (b *board) removeExcept(present map[partition]int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.lanes, func(p partition, _ *lane) bool {
		_, ok := present[p]
		return !ok
	})
}

// due lists what a broker is to be asked for, and what tells that this changed.
func (b *board) due(broker int32) (map[partition]int64, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	due := map[partition]int64{}
	for p, l := range b.lanes {
		if l.leader == broker && !l.held {
			due[p] = l.next
		}
	}
	return due, b.changed
}

// fetched notes that a partition was asked for and had nothing new.
func (b *board) fetched(p partition, end int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.lanes[p]; l != nil {
		l.end, l.failing, l.why = end, time.Time{}, nil
	}
}

// failed notes that a broker can't be asked for its partitions.
func (b *board) failed(partitions map[partition]int64, why error, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p := range partitions {
		if l := b.lanes[p]; l != nil {
			l.fail(why, now)
		}
	}
}

func (l *lane) fail(why error, now time.Time) {
	if l.failing.IsZero() {
		l.failing = now
	}
	l.why = why
}

// stalled tells why the partition that has failed longest can't be read, where that has lasted since before t.
func (b *board) stalled(t time.Time) (p partition, more int, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var oldest time.Time
	for at, l := range b.lanes {
		if l.failing.IsZero() || l.failing.After(t) {
			continue
		}
		more++
		if oldest.IsZero() || l.failing.Before(oldest) {
			oldest, p, why = l.failing, at, l.why
		}
	}
	return p, max(0, more-1), why
}

// left tells what of a partition is committed in the cluster, as far as is known, and wasn't taken: up to end.
func (b *board) left(p partition) (end int64, some bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.lanes[p]; l != nil && l.end > l.next {
		return l.end, true
	}
	return 0, false
}

// behind lists the partitions that hold committed records which weren't taken yet.
func (b *board) behind() []partition {
	b.mu.Lock()
	defer b.mu.Unlock()
	var behind []partition
	for p, l := range b.lanes {
		if l.end > l.next {
			behind = append(behind, p)
		}
	}
	return behind
}
