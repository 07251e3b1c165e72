package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

const (
	fetchWait = 500 * time.Millisecond // how long a broker waits for something new
	// fetchAll is what all fetches that are under way may bring together, before decompression. A batch that is larger
	// still comes whole, alone in its fetch (KIP-74).
	fetchAll       = 16 << 20
	fetchLeast     = 1 << 20
	fetchPartition = 1 << 20

	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second
)

// chunk is what a fetch brought for one partition.
type chunk struct {
	partition partition
	topicID   string // the broker's after the fetch, empty where it has none
	from      int64
	end       int64 // behind everything that is committed in the cluster
	read
	err   sarama.KError
	taken chan struct{} // told when the reader is done with it
}

// fetcher reads the partitions that one broker leads.
type fetcher struct {
	cluster  *cluster
	board    *board
	broker   int32
	brokers  int // over how many fetchAll is divided
	chunks   chan<- chunk
	throttle *throttle
	// uncommitted has it fetch what isn't committed, too.
	uncommitted bool
	// lost is told when the broker can't be asked any more, so that somebody looks who leads its partitions now.
	lost chan<- struct{}

	taken chan struct{}
	empty map[partition]int // how often in a row nothing came where there should be something
}

// emptyBatch is how often that has to be so before it is believed.
const emptyBatch = 3

// run fetches until ctx is done. A broker that fails is asked again, ever more slowly.
func (f *fetcher) run(ctx context.Context) error {
	f.taken, f.empty = make(chan struct{}, 1), map[partition]int{}
	wait := firstPause
	for {
		due, changed := f.board.due(f.broker)
		if len(due) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-changed:
				continue
			}
		}
		starved, err := f.fetch(ctx, due, f.maxBytes())
		// What a full response left out may be a batch too large to share one: it gets a response of its own.
		for _, p := range starved {
			if err == nil {
				err = f.fetchAlone(ctx, p)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			wait = firstPause
			continue
		}
		f.board.failed(due, err, time.Now())
		select {
		case f.lost <- struct{}{}:
		default:
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, longPause)
	}
}

func (f *fetcher) maxBytes() int32 {
	n := max(fetchAll/max(f.brokers, 1), fetchLeast)
	if rate := f.throttle.rate; rate > 0 {
		n = int(min(int64(n), rate))
	}
	return int32(n)
}

// fetch asks for partitions and hands over what comes. It gives back those that have more, of which nothing came.
func (f *fetcher) fetch(ctx context.Context, due map[partition]int64, maxBytes int32) (starved []partition, err error) {
	response, err := f.ask(due, maxBytes)
	if err != nil {
		return nil, err
	}
	var chunks []chunk
	came := map[string]bool{}
	for p, from := range due {
		block := response.GetBlock(p.topic, p.id)
		if block == nil && len(due) > 1 { // some brokers leave out what they have no room for; the order is another each time
			continue
		}
		if block == nil {
			return nil, fmt.Errorf("fetch %s from broker %d: %w", p, f.broker, sarama.ErrIncompleteResponse)
		}
		got := committed(block, from)
		if isOK(block.Err) && got.next == from {
			if block.LastStableOffset > from && response.ThrottleTime == 0 {
				starved = append(starved, p)
			} else {
				f.board.fetched(p, block.LastStableOffset)
			}
			continue
		}
		if isOK(block.Err) {
			came[p.topic] = true
		}
		chunks = append(chunks, chunk{partition: p, from: from, end: block.LastStableOffset, read: got, err: block.Err})
	}
	if err := f.identify(chunks, came); err != nil {
		return nil, err
	}
	var bytes int
	for _, c := range chunks {
		for i := range c.records {
			bytes += c.records[i].size()
		}
		if err := f.hand(ctx, c); err != nil {
			return nil, err
		}
	}
	if err := f.throttle.wait(ctx, bytes); err != nil {
		return nil, err
	}
	return starved, nil
}

// identify notes whose topics' records came.
func (f *fetcher) identify(chunks []chunk, topics map[string]bool) error {
	if len(topics) == 0 {
		return nil
	}
	ids, err := f.cluster.topicIDs(f.broker, slices.Collect(maps.Keys(topics)))
	for i := range chunks {
		chunks[i].topicID = ids[chunks[i].partition.topic]
	}
	return err
}

func (f *fetcher) ask(due map[partition]int64, maxBytes int32) (*sarama.FetchResponse, error) {
	b, err := f.cluster.broker(f.broker)
	if err != nil {
		return nil, err
	}
	request := &sarama.FetchRequest{
		Version: 11, MaxWaitTime: int32(fetchWait.Milliseconds()), MinBytes: 1, MaxBytes: maxBytes, SessionEpoch: -1,
		Isolation: sarama.ReadCommitted,
	}
	if f.uncommitted {
		request.Isolation = sarama.ReadUncommitted
	}
	for p, from := range due {
		request.AddBlock(p.topic, p.id, from, min(maxBytes, fetchPartition), -1)
	}
	response, err := b.Fetch(request)
	if err != nil {
		return nil, fmt.Errorf("fetch from broker %d at %s: %w", f.broker, b.Addr(), err)
	}
	if code := sarama.KError(response.ErrorCode); !errors.Is(code, sarama.ErrNoError) {
		return nil, fmt.Errorf("fetch from broker %d at %s: %w", f.broker, b.Addr(), code)
	}
	return response, nil
}

// fetchAlone asks for one partition only. When even so nothing comes where there is something, again and again, the batch
// at this offset has no records left (compaction keeps the last batch of a producer, emptied): the next offset is tried.
func (f *fetcher) fetchAlone(ctx context.Context, p partition) error {
	due, _ := f.board.due(f.broker)
	from, ok := due[p]
	if !ok {
		return nil
	}
	starved, err := f.fetch(ctx, map[partition]int64{p: from}, f.maxBytes())
	if err != nil || !slices.Contains(starved, p) {
		delete(f.empty, p)
		return err
	}
	if f.empty[p]++; f.empty[p] < emptyBatch {
		return nil
	}
	delete(f.empty, p)
	return f.hand(ctx, chunk{partition: p, from: from, end: from + 1, read: read{next: from + 1, first: head{from, from + 1, noEpoch}, epoch: noEpoch}})
}

// hand gives a chunk to the reader and waits until it is done with it.
func (f *fetcher) hand(ctx context.Context, c chunk) error {
	c.taken = f.taken
	select {
	case <-ctx.Done():
		return ctx.Err()
	case f.chunks <- c:
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-f.taken:
		return nil
	}
}
