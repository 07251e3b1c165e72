package feed

import (
	"context"
	"sync"
	"time"
)

const (
	// maxWaiting is how many transactions may wait for a message of their own. A group takes 15 messages of a feed in a
	// minute: with more, the last would be told when nobody remembers it.
	maxWaiting = 5
	// maxWaitingBytes bounds their rows.
	maxWaitingBytes = 4 << 20

	// A digest is told when a burst is over, at the latest after the interval, which grows while bursts follow each other.
	firstInterval = 2 * time.Second
	longInterval  = time.Minute
	calm          = 3 * time.Second
)

// backlog is what waits to be told: transactions, and behind them a digest of what is too much.
type backlog struct {
	some chan struct{} // of capacity one

	mu       sync.Mutex
	waiting  []*transaction
	bytes    int
	sum      *digest // nil while everything is shown
	since    time.Time
	newest   time.Time
	interval time.Duration
	told     time.Time // when the last digest was taken
	paused   time.Time // until when nothing is told

	summed func(*transaction) // hears of what won't have a message of its own; may be nil
}

func newBacklog(summed func(*transaction)) *backlog {
	return &backlog{some: make(chan struct{}, 1), interval: firstInterval, summed: summed}
}

// summing tells whether what comes now is only counted.
func (b *backlog) summing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sum != nil || time.Now().Before(b.paused)
}

// add takes a transaction; rows tells whether there are rows of it to show.
func (b *backlog) add(t *transaction, rows bool) {
	b.mu.Lock()
	if b.sum == nil && (!rows || time.Now().Before(b.paused) || len(b.waiting) >= maxWaiting || b.bytes+t.size > maxWaitingBytes && len(b.waiting) > 0) {
		b.startSum()
	}
	if b.sum != nil {
		b.addToSum(t)
		b.newest = time.Now()
	} else {
		b.waiting = append(b.waiting, t)
		b.bytes += t.size
	}
	b.mu.Unlock()
	b.wake()
}

func (b *backlog) addToSum(t *transaction) {
	b.sum.add(t)
	if b.summed != nil {
		b.summed(t)
	}
}

// count is how many transactions wait.
func (b *backlog) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.waiting)
	if b.sum != nil {
		n += b.sum.transactions()
	}
	return n
}

// pause tells nothing before until; then, what came meanwhile is told as numbers. A time that is over ends a pause.
func (b *backlog) pause(until time.Time) {
	b.mu.Lock()
	b.paused = until
	b.mu.Unlock()
	b.wake()
}

// lose has the digest tell what didn't fit into the intake.
func (b *backlog) lose(lost map[string]*loss) {
	b.mu.Lock()
	if b.sum == nil {
		b.startSum()
	}
	b.newest = time.Now()
	for source, l := range lost {
		b.sum.lose(source, l)
	}
	b.mu.Unlock()
	b.wake()
}

// giveBack puts what couldn't be told before everything else, as numbers.
func (b *backlog) giveBack(w work) {
	b.mu.Lock()
	if b.sum == nil {
		b.startSum()
	}
	older := w.digest
	if older == nil {
		older = newDigest()
		older.add(w.transaction)
	}
	older.merge(b.sum)
	b.sum = older
	b.interval = longInterval
	b.mu.Unlock()
	b.wake()
}

// startSum turns what waits into the beginning of a digest.
func (b *backlog) startSum() {
	now := time.Now()
	if now.Sub(b.told) > 2*longInterval {
		b.interval = firstInterval
	} else {
		b.interval = min(2*b.interval, longInterval)
	}
	b.sum, b.since, b.newest = newDigest(), now, now
	for _, t := range b.waiting {
		b.addToSum(t)
	}
	b.waiting, b.bytes = nil, 0
}

func (b *backlog) wake() {
	select {
	case b.some <- struct{}{}:
	default:
	}
}

// work is one message to tell: a transaction or a digest.
type work struct {
	transaction *transaction
	digest      *digest
}

// next waits for something to tell.
func (b *backlog) next(ctx context.Context) (work, error) {
	for {
		w, wait := b.due(time.Now())
		if w != (work{}) {
			return w, nil
		}
		if err := b.wait(ctx, wait); err != nil {
			return work{}, err
		}
	}
}

// wait returns when something came or the time is over; 0 is no time at all.
func (b *backlog) wait(ctx context.Context, d time.Duration) error {
	var later <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		later = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-b.some:
	case <-later:
	}
	return nil
}

func (b *backlog) due(now time.Time) (work, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if wait := b.paused.Sub(now); wait > 0 {
		return work{}, wait
	}
	if len(b.waiting) > 0 {
		t := b.waiting[0]
		b.waiting = b.waiting[1:]
		b.bytes -= t.size
		return work{transaction: t}, 0
	}
	if b.sum == nil {
		return work{}, 0
	}
	at := b.since.Add(b.interval)
	if quiet := b.newest.Add(calm); quiet.Before(at) {
		at = quiet
	}
	if wait := at.Sub(now); wait > 0 {
		return work{}, wait
	}
	d := b.sum
	b.sum, b.told = nil, now
	return work{digest: d}, 0
}

// abandon empties the backlog and tells what was in it.
func (b *backlog) abandon() *digest {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := newDigest()
	for _, t := range b.waiting {
		d.add(t)
	}
	if b.sum != nil {
		d.merge(b.sum)
	}
	b.waiting, b.sum, b.bytes = nil, nil, 0
	return d
}

// pausedUntil is zero where nothing is paused.
func (b *backlog) pausedUntil() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !time.Now().Before(b.paused) {
		return time.Time{}
	}
	return b.paused
}
