package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/IBM/sarama"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// What fills a batch, and for how long one that isn't full waits for more. Progress without events (markers of
// transactions, aborted records) waits longer: nobody waits for it.
const (
	batchRecords   = 5000
	batchBytes     = 4 << 20
	linger         = 20 * time.Millisecond
	progressLinger = time.Second
)

// reader turns chunks into events and decides where partitions begin. Everything but the board is its own goroutine's.
type reader struct {
	*Source
	cluster   *cluster
	emitter   *emitter
	positions map[partition]position // behind what was taken from chunks
	board     *board
	throttle  *throttle
	group     *group // nil where the cluster isn't told
	chunks    chan chunk
	lost      chan struct{}
	fetchers  func(*fetcher) // starts one
	fetching  map[int32]bool // brokers that have one

	events     []event.Raw
	bytes      int
	oldest     time.Time              // of the events, zero where there are none
	moved      map[partition]struct{} // whose progress goes into the next batch
	suspects   map[partition]int32    // whose log may not be the one that was read, and since which leader epoch
	started    json.RawMessage        // the source's own progress, where it goes into the next batch
	flushAt    time.Time              // zero where nothing waits
	refreshed  time.Time              // when the cluster last described itself
	refreshDue time.Time
	state      source.State
	said       string
}

func newReader(s *Source, k *cluster, positions map[partition]position, emit source.Emit) *reader {
	return &reader{
		Source: s, cluster: k, emitter: &emitter{emit: emit}, positions: positions, board: newBoard(),
		throttle: &throttle{rate: (int64(s.Config.MaxBytesPerSecond) + int64(s.Config.Shards) - 1) / max(int64(s.Config.Shards), 1)},
		chunks:   make(chan chunk), lost: make(chan struct{}, 1), fetching: map[int32]bool{},
		moved: map[partition]struct{}{}, suspects: map[partition]int32{}, state: source.Connecting,
	}
}

// minRefresh is how often the cluster may be asked at most, where partitions fail one after the other.
const minRefresh = 500 * time.Millisecond

func (r *reader) run(ctx context.Context, first bool) error {
	defer r.emitter.close()
	if err := r.begin(ctx, first); err != nil {
		return err
	}
	report := time.NewTicker(time.Second)
	defer report.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(time.Until(r.nextDeadline()))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c := <-r.chunks:
			err := r.take(ctx, c)
			c.taken <- struct{}{}
			if err != nil {
				return err
			}
		case err := <-r.emitter.ended:
			if err := r.emitter.end(err); err != nil {
				return err
			}
		case <-r.lost:
			r.refreshSoon()
		case <-report.C:
			r.report(time.Now())
		case <-timer.C:
		}
		if err := r.due(ctx, time.Now()); err != nil {
			return err
		}
	}
}

// begin finds out where to read, and commits that before anything is read.
func (r *reader) begin(ctx context.Context, first bool) error {
	deadline := time.Now().Add(r.patience)
	for {
		err := r.look(ctx, first)
		if err == nil {
			break
		}
		if !errors.Is(err, errUndecided) || time.Now().After(deadline) {
			return err
		}
		if err := pause(ctx, minRefresh); err != nil { // leaders are changing
			return err
		}
	}
	if first {
		r.started = encode(began{progressVersion, event.NewEpoch(time.Now(), "")})
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	if err := r.emitter.wait(); err != nil {
		return err
	}
	maps.DeleteFunc(r.positions, func(p partition, _ position) bool { return !r.mine(p) })
	r.tell(source.Streaming, reason.Text{})
	return nil
}

// look has the cluster describe itself, and reads what there is to read.
func (r *reader) look(ctx context.Context, first bool) error {
	topics, err := r.cluster.topics(ctx)
	if err != nil {
		return err
	}
	r.refreshed = time.Now()
	r.refreshDue = r.refreshed.Add(r.refresh)
	return r.reconcile(ctx, topics, first)
}

func (r *reader) nextDeadline() time.Time {
	if r.flushable() && r.flushAt.Before(r.refreshDue) {
		return r.flushAt
	}
	return r.refreshDue
}

// due does what the time has come for.
func (r *reader) due(ctx context.Context, now time.Time) error {
	if r.flushable() && !now.Before(r.flushAt) {
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	if now.Before(r.refreshDue) {
		return nil
	}
	err := r.look(ctx, false)
	var unanswered *unansweredError
	if !errors.As(err, &unanswered) {
		return err
	}
	if now.Sub(r.refreshed) > r.patience {
		return reason.Wrap(err, reason.KafkaSilent.With(r.patience))
	}
	r.refreshDue = time.Now().Add(min(r.refresh, r.patience/10))
	why, _ := reason.Of(err)
	r.tell(source.Stalled, why)
	return nil
}

// refreshSoon has the cluster asked who leads what.
func (r *reader) refreshSoon() {
	if soon := r.refreshed.Add(minRefresh); soon.Before(r.refreshDue) {
		r.refreshDue = soon
	}
}

// take adds a chunk to the batch, and emits as often as the batch is full.
func (r *reader) take(ctx context.Context, c chunk) error {
	at, ok := r.positions[c.partition]
	if !ok || r.from(c.partition, at) != c.from {
		return nil // fetched before the partition was set elsewhere
	}
	if isAnother(c.topicID, at.TopicID) {
		c.err = sarama.ErrUnknownTopicOrPartition // as a broker says where one isn't followed by another
	}
	if !isOK(c.err) {
		return r.refused(ctx, c)
	}
	if same, err := r.sameLog(ctx, c, &at); !same {
		return err
	}
	now := time.Now()
	stream := c.partition.stream(r.Name)
	for i := range c.records {
		record := &c.records[i]
		if record.offset < at.Offset {
			continue // of the batch that was looked at again
		}
		e := toRaw(r.Name, c.partition, stream, at.Epoch, record, now)
		switch { // what is set here makes it a dead letter
		case record.mark != nil && record.mark.Unreadable:
			e.Size, e.Unreadable = int64(record.size()+record.mark.Missing), record.mark.Reason
		case record.mark != nil:
			e.Size = int64(record.size() + record.mark.Missing)
		case !record.fits(r.Internal):
			e.Size = int64(record.size())
		}
		r.add(e)
		at.Offset, at.Time = record.offset+1, e.Time
		at.reached(record.epoch)
		if len(r.events) >= batchRecords || r.bytes >= batchBytes {
			r.move(c.partition, at)
			if err := r.flush(ctx); err != nil {
				return err
			}
		}
	}
	at.Offset = max(at.Offset, c.next)
	at.reached(c.epoch)
	r.move(c.partition, at)
	r.board.advance(c.partition, at.Offset, c.end)
	return nil
}

// refused handles a partition that its broker doesn't give.
func (r *reader) refused(ctx context.Context, c chunk) error {
	var why error = c.err
	denied := errors.Is(why, sarama.ErrTopicAuthorizationFailed)
	if denied {
		why = errDenied
	}
	r.board.hold(c.partition, why, time.Now())
	if errors.Is(why, sarama.ErrOffsetOutOfRange) {
		return r.outOfRange(ctx, c.partition)
	}
	if !denied { // a grant takes effect when the cluster is next described
		r.refreshSoon()
	}
	return nil
}

func (r *reader) add(e event.Raw) {
	if len(r.events) == 0 {
		r.oldest = e.Time
		r.flushWithin(linger)
	}
	if e.Time.Before(r.oldest) {
		r.oldest = e.Time
	}
	r.events = append(r.events, e)
	r.bytes += len(e.RecordKey) + len(e.Key) + len(e.Value)
	for _, h := range e.Headers {
		r.bytes += len(h.Name) + len(h.Value)
	}
}

func (r *reader) addGap(p partition, g gap, now time.Time) {
	r.Reporter.Gap(g.kind)
	r.Log.Warn("gap", "stream", p.stream(r.Name), "partition", p.id, "offset", g.position.Offset, "cause", g.why, "remedy", g.do)
	r.add(g.toRaw(r.Name, p, now))
}

// move notes where a partition stands once the batch is committed.
func (r *reader) move(p partition, at position) {
	r.positions[p] = at
	r.moved[p] = struct{}{}
	r.flushWithin(progressLinger)
}

func (r *reader) flushWithin(d time.Duration) {
	if at := time.Now().Add(d); r.flushAt.IsZero() || at.Before(r.flushAt) {
		r.flushAt = at
	}
}

// report tells lag and state.
func (r *reader) report(now time.Time) {
	var lag time.Duration
	for _, oldest := range []time.Time{r.oldest, r.emitter.oldest} {
		if !oldest.IsZero() {
			lag = max(lag, now.Sub(oldest))
		}
	}
	for _, p := range r.board.behind() {
		if at := r.positions[p].Time; !at.IsZero() {
			lag = max(lag, now.Sub(at))
		}
	}
	r.Reporter.Lag(max(lag, 0).Seconds())
	if now.Sub(r.refreshed) > 2*r.refresh {
		return // the cluster doesn't answer: due tells
	}
	if p, more, err := r.board.stalled(now.Add(-r.stalledAfter)); err != nil {
		r.tell(source.Stalled, unread(p, err, more))
		return
	}
	r.tell(source.Streaming, reason.Text{})
}

// tell reports a state when it is a new one.
func (r *reader) tell(state source.State, why reason.Text) {
	if said := why.String(); state != r.state || said != r.said {
		r.state, r.said = state, said
		r.Reporter.State(state, why)
	}
}

// unread is that a partition can't be read, and how many more.
func unread(p partition, err error, more int) reason.Text {
	why, _ := reason.Of(err)
	if more > 0 {
		return reason.KafkaPartitions.With(p, why, more)
	}
	return reason.KafkaPartition.With(p, why)
}

func isOK(err sarama.KError) bool { return errors.Is(err, sarama.ErrNoError) }
