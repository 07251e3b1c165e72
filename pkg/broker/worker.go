package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"
)

// worker is a stage's handler of sessions: one goroutine a session collects what the claims receive, and commits it
// batch by batch.
type worker struct {
	stage *Stage

	producer  *producer  // of the session
	intake    chan chunk // what the claims pass on
	rest      chunk      // of a chunk whose first records made a batch full
	cancel    context.CancelFunc
	done      chan struct{}
	failure   error // of the last session
	places    *places
	committed bool // whether the last session committed anything
	usual     int  // how many records the last batch had: the next has room for as many at once
}

var _ sarama.ConsumerGroupHandler = (*worker)(nil)

// Setup begins a session.
func (w *worker) Setup(session sarama.ConsumerGroupSession) error {
	w.failure, w.committed = nil, false
	if err := w.open(session.Context(), session.Claims()[w.stage.Topic]); err != nil {
		return err
	}
	if w.stage.Assigned != nil {
		if err := w.stage.Assigned(session.Context(), session.Claims()[w.stage.Topic]); err != nil {
			return fmt.Errorf("prepare partitions %v: %w", session.Claims()[w.stage.Topic], err)
		}
	}
	oldest, err := w.oldest(session.Claims()[w.stage.Topic])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(session.Context())
	w.places = newPlaces(oldest)
	w.intake, w.rest, w.done, w.cancel = make(chan chunk, 1), nil, make(chan struct{}), cancel
	go func() {
		defer close(w.done)
		defer cancel()
		if err := w.work(ctx, session); session.Context().Err() == nil {
			w.failure = err
		}
	}()
	return nil
}

// oldest are the offsets at which partitions begin, for what isn't a record's: nil where nothing wakes the stage.
func (w *worker) oldest(partitions []int32) (map[int32]int64, error) {
	if w.stage.Wake == nil {
		return nil, nil
	}
	scanner, err := NewScanner(w.stage.Broker, w.stage.Name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = scanner.Close() }()
	oldest := make(map[int32]int64, len(partitions))
	for _, partition := range partitions {
		if oldest[partition], err = scanner.Oldest(w.stage.Topic, partition); err != nil {
			return nil, fmt.Errorf("ask where %s/%d begins: %w", w.stage.Topic, partition, err)
		}
	}
	return oldest, nil
}

// open makes the producer ready for a session with these partitions; without one there is nothing to write.
func (w *worker) open(ctx context.Context, partitions []int32) error {
	if len(partitions) == 0 {
		w.closeProducer() // its id is somebody else's now
		return nil
	}
	limit := RecordLimit(w.stage.Broker)
	if w.stage.Limit != nil {
		var err error
		if limit, err = w.stage.Limit(ctx); err != nil {
			return fmt.Errorf("ask what the topics take: %w", err)
		}
	}
	id, err := takeOver(ctx, w.stage.Broker, w.stage.Name, w.stage.Group, partitions)
	if err != nil {
		return err
	}
	w.closeProducer() // the balance has ended it: see takingOver
	w.producer, err = openProducer(ctx, w.stage.Broker, w.stage.Name, id, limit)
	return err
}

// A chunk is what is passed on at once, for a record alone takes longer to be passed on than to be read. Large records go one
// by one: what waits here is held beside what the client holds.
const (
	chunkRecords = 64
	chunkBytes   = 64 << 10
)

// chunk is messages of one partition; they become records in their batch, where these stay.
type chunk []*sarama.ConsumerMessage

// chunkOf is a message with those that wait behind it.
func chunkOf(m *sarama.ConsumerMessage, messages <-chan *sarama.ConsumerMessage) chunk {
	c := make(chunk, 0, min(1+len(messages), chunkRecords))
	for bytes, ok := 0, true; ok; m, ok = <-messages { // nobody else takes of them, so that it doesn't wait
		c = append(c, m)
		if bytes += sizeOf(m); len(c) == cap(c) || bytes >= chunkBytes {
			break
		}
	}
	return c
}

// sizeOf is what Record.Size will be of a message.
func sizeOf(m *sarama.ConsumerMessage) int {
	n := perRecord + len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		n += perHeader + len(h.Key) + len(h.Value)
	}
	return n
}

// ConsumeClaim passes a partition's messages on. Returning ends the session for all partitions.
func (w *worker) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	w.places.begin(claim.Partition(), claim.InitialOffset())
	for {
		select {
		case <-session.Context().Done():
			return nil
		case <-w.done:
			return nil
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			select {
			case w.intake <- chunkOf(m, claim.Messages()):
			case <-w.done:
				return nil
			case <-session.Context().Done():
				return nil
			}
		}
	}
}

// Cleanup waits for the session's goroutine; where Setup failed there is none, and Cleanup is called all the same.
func (w *worker) Cleanup(sarama.ConsumerGroupSession) error {
	if w.cancel == nil {
		return nil
	}
	w.cancel()
	<-w.done
	w.cancel = nil
	return nil
}

func (w *worker) takeFailure() error {
	err := w.failure
	w.failure = nil
	return err
}

// processed is a batch and what became of it.
type processed struct {
	batch, written []Record
	next           map[int32]int64 // the offsets behind it
}

// work commits batch after batch until ctx ends or one fails; its error is never nil. While one is processed and committed
// the next is collected, never more than that one; where the stage works ahead, it is processed too.
func (w *worker) work(ctx context.Context, session sarama.ConsumerGroupSession) error {
	group := sarama.NewConsumerGroupMetadataFromSession(session, w.stage.Group, nil)
	steps, ctx := errgroup.WithContext(ctx)
	collected := make(chan []Record)
	steps.Go(func() error {
		for w.collect(ctx, collected) {
		}
		return ctx.Err()
	})
	if w.stage.Ahead > 0 {
		ready := make(chan processed, w.stage.Ahead-1)
		steps.Go(func() error {
			return each(ctx, collected, func(batch []Record) error { return w.process(ctx, batch, ready) })
		})
		steps.Go(func() error { return each(ctx, ready, func(p processed) error { return w.commit(ctx, group, p) }) })
		return steps.Wait()
	}
	steps.Go(func() error {
		return each(ctx, collected, func(batch []Record) error {
			p, some, err := w.become(ctx, batch)
			if err != nil || !some {
				return err
			}
			return w.commit(ctx, group, p)
		})
	})
	return steps.Wait()
}

// each does a step with everything that comes, until it fails or ctx ends.
func each[T any](ctx context.Context, from <-chan T, do func(T) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case v := <-from:
			if err := do(v); err != nil {
				return err
			}
		}
	}
}

// become processes a batch; some is false where nothing is to be committed.
func (w *worker) become(ctx context.Context, batch []Record) (p processed, some bool, err error) {
	p = processed{batch: batch, next: w.places.behind(batch)}
	if len(p.next) == 0 {
		return p, false, nil // woken before any claim began: there is nothing to fence by yet
	}
	p.written, err = w.stage.Process(ctx, batch)
	return p, err == nil && (len(batch) > 0 || len(p.written) > 0), err
}

// process hands on what becomes of a batch.
func (w *worker) process(ctx context.Context, batch []Record, to chan<- processed) error {
	p, some, err := w.become(ctx, batch)
	if err != nil || !some {
		return err
	}
	select {
	case to <- p:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// commit commits what became of a batch with its offsets.
func (w *worker) commit(ctx context.Context, group *sarama.ConsumerGroupMetadata, p processed) error {
	err := w.producer.transact(ctx, p.written, func(producer sarama.AsyncProducer) error {
		return producer.AddOffsetsToTxnWithGroupMetadata(w.offsets(p.next), group)
	})
	if err != nil {
		w.closeProducer()
		return err
	}
	if !w.committed {
		w.committed = true
		w.stage.fail(nil)
	}
	if w.stage.Committed != nil {
		w.stage.Committed(p.batch, p.written)
	}
	return nil
}

// collect waits for a record, takes what follows, and hands it all over once it has lingered, or is full: it grows for as
// long as the batch before it takes. Where it is woken while there is none, it hands over nothing. False: ctx has ended.
func (w *worker) collect(ctx context.Context, to chan<- []Record) bool {
	var batch []Record
	bytes := 0
	linger := time.NewTimer(w.stage.Linger)
	defer linger.Stop()
	lingered := (<-chan time.Time)(nil) // for as long as there is nothing
	intake, ready := w.intake, (chan<- []Record)(nil)
	take := func(chunk chunk) {
		if batch == nil {
			batch = make([]Record, 0, max(w.usual, len(chunk)))
			linger.Reset(w.stage.Linger)
			lingered = linger.C
		}
		n := 0
		for n < len(chunk) && len(batch) < w.stage.MaxRecords && bytes < w.stage.MaxBytes {
			batch = append(batch, fromSarama(chunk[n]))
			bytes += batch[len(batch)-1].Size()
			n++
		}
		if w.rest = chunk[n:]; len(batch) >= w.stage.MaxRecords || bytes >= w.stage.MaxBytes {
			intake, ready = nil, to
		}
	}
	if len(w.rest) > 0 {
		take(w.rest)
	}
	for {
		select {
		case <-ctx.Done():
			return false
		case <-lingered:
			ready, lingered = to, nil
		case <-w.stage.Wake:
			ready = to
		case <-w.places.late:
			ready = to
		case chunk := <-intake:
			take(chunk)
		case ready <- batch:
			w.usual = len(batch)
			return true
		}
	}
}

// offsets are the next offsets as a transaction takes them.
func (w *worker) offsets(next map[int32]int64) map[string][]*sarama.PartitionOffsetMetadata {
	all := make([]*sarama.PartitionOffsetMetadata, 0, len(next))
	for partition, offset := range next {
		all = append(all, &sarama.PartitionOffsetMetadata{Partition: partition, Offset: offset})
	}
	return map[string][]*sarama.PartitionOffsetMetadata{w.stage.Topic: all}
}

func (w *worker) closeProducer() {
	if w.producer == nil {
		return
	}
	if err := w.producer.close(); err != nil && !errors.Is(classify(err), ErrFenced) {
		w.stage.Log.Debug("close producer", "error", err)
	}
	w.producer = nil
}
