package supervise

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"datawatch/collector/internal/remote"
	"datawatch/collector/internal/source"
	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
	"datawatch/pkg/reason"
)

// session is one run of a source with the writer that it is run with.
type session struct {
	*runner
	topics broker.Topics

	mu        sync.Mutex // the publisher is for one goroutine: emits, and signs of life
	publisher *broker.Publisher
	beaten    time.Time // the last sign of life that was committed
	failed    error     // what the publisher failed with

	committed atomic.Bool // a batch went through
}

// session opens the writer, reads progress back, and runs the source until it fails or ctx is done. committed tells
// whether a batch went through.
func (r *runner) session(ctx context.Context) (committed bool, err error) {
	r.report.State(source.Connecting, reason.Text{})
	var progress source.Progress
	publisher, err := broker.OpenPublisher(ctx, r.Broker, transactionalID(r.Broker.TopicPrefix, r.unit.Name, r.unit.Shard, r.unit.Shards))
	if err != nil {
		r.brokerFailed(err)
		return false, err
	}
	s := &session{runner: r, topics: broker.TopicsOf(r.Broker.TopicPrefix), publisher: publisher}
	defer func() {
		if closeErr := publisher.Close(); closeErr != nil {
			r.log.Debug("close publisher", "error", closeErr)
		}
	}()
	// Behind the opening: from here on nobody else can commit this unit's progress.
	if err = r.settleLayout(ctx); err == nil {
		progress, err = r.progress(ctx)
	}
	if err != nil {
		r.brokerFailed(err)
		return false, err
	}
	if err := s.publish(ctx, nil); err != nil {
		return false, err
	}
	group, running := errgroup.WithContext(ctx)
	src := s.unit.New(s.report)
	if snapshotter, ok := src.(source.Snapshotter); ok {
		requests := make(chan source.SnapshotRequest)
		snapshotter.TakeSnapshots(requests)
		group.Go(func() error { return s.listen(running, progress, requests) })
	}
	group.Go(func() error { return s.runSource(running, src, progress) })
	group.Go(func() error { return s.showLife(running) })
	err = group.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil { // whatever the source made of it
		err = s.failed
	} else {
		s.withdraw(ctx, err)
	}
	return s.committed.Load(), err
}

func (s *session) runSource(ctx context.Context, src source.Source, progress source.Progress) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = reason.Wrap(fmt.Errorf("panic: %v\n%s", p, debug.Stack()), reason.Panicked.With())
		}
	}()
	err = src.Run(ctx, progress, s.emit)
	if err == nil {
		err = reason.New(reason.SourceEnded.With())
	}
	return err
}

// emit implements source.Emit.
func (s *session) emit(ctx context.Context, batch source.Batch) error {
	if len(batch.Events) == 0 && len(batch.Progress) == 0 {
		return nil
	}
	s.metrics.seen(batch.Events)
	records, events := s.prepare(batch.Events)
	for entry, value := range batch.Progress {
		records = append(records, broker.Record{Topic: s.topics.State, Key: []byte(progressKey(s.unit.Name, entry)), Value: value})
	}
	s.report.emitting(true)
	defer s.report.emitting(false)
	if err := s.publish(ctx, records); err != nil {
		return err
	}
	s.committed.Store(true)
	s.metrics.published(events)
	s.metrics.snapshots(s.unit.Name, batch.Progress)
	if s.unit.Feed != nil && len(events) > 0 {
		s.unit.Feed.Offer(events)
	}
	return nil
}

// publish commits records, with a sign of life where one is due.
func (s *session) publish(ctx context.Context, records []broker.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err // the publisher stays fit for withdraw
	}
	now := time.Now()
	beats := s.due(now)
	if beats {
		records = append(records, leaseRecord(s.topics.State, s.unit.label(), s.holder, now), s.status(now).Record(s.topics.State, s.unit.Name))
	}
	if err := s.publisher.Publish(ctx, records); err != nil {
		s.failed = err
		s.brokerFailed(err)
		return fmt.Errorf("publish: %w", err)
	}
	s.Health.Set("broker", daemon.Ready, reason.Text{})
	if beats {
		s.beaten = now
	}
	return nil
}

// status is what the state topic is told of the unit.
func (s *session) status(now time.Time) remote.Status {
	status := s.report.status(now)
	if s.unit.Shards > 1 {
		status.Shard, status.Shards = s.unit.Shard, s.unit.Shards
	}
	return status
}

// due tells whether a sign of life is to be given: now and then, and when the source's state has changed.
func (s *session) due(now time.Time) bool {
	return now.Sub(s.beaten) >= s.times.beat || s.report.changedAfter(s.beaten)
}

// showLife has a collector whose source is idle heard of, and hear of its own fencing.
func (s *session) showLife(ctx context.Context) error {
	ticker := time.NewTicker(s.times.beat / 6)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		s.mu.Lock()
		due := s.due(time.Now())
		s.mu.Unlock()
		if !due {
			continue
		}
		if err := s.publish(ctx, nil); err != nil {
			return err
		}
	}
}

// withdrawTimeout bounds what a stop spends on telling others.
const withdrawTimeout = 3 * time.Second

// withdraw takes the sign of life back: the source is run here no more. Where it failed and is run again, it only says so.
func (s *session) withdraw(ctx context.Context, because error) {
	now := time.Now()
	status := s.status(now)
	var records []broker.Record
	if ctx.Err() == nil {
		status.State, status.Reason, status.Why = source.Failed, because.Error(), reason.Why(because).Pointer()
	} else {
		status.State, status.Reason, status.Why, status.Since = remote.Stopped, "", nil, now.UTC()
		records = append(records, broker.Record{Topic: s.topics.State, Key: []byte(leaseKey(s.unit.label()))})
	}
	records = append(records, status.Record(s.topics.State, s.unit.Name))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTimeout)
	defer cancel()
	if err := s.publisher.Publish(ctx, records); err != nil {
		s.log.Debug("say that the source runs no more", "error", err)
	}
}

func (r *runner) brokerFailed(err error) {
	if !errors.Is(err, broker.ErrFenced) {
		r.Health.Set("broker", daemon.NotReady, reason.Why(err))
	}
}

// progressKey is the key in the state topic of a source's progress entry.
func progressKey(name, entry string) string {
	if entry == "" {
		return "source/" + name
	}
	return "source/" + name + "/" + entry
}

// progress reads what the source's last committed batches left in the state topic.
func (r *runner) progress(ctx context.Context) (source.Progress, error) {
	own := progressKey(r.unit.Name, "")
	state, err := r.state(ctx, own)
	if err != nil {
		return nil, err
	}
	progress := source.Progress{}
	for key, value := range state {
		entry, found := strings.CutPrefix(key, own+"/")
		if found || key == own {
			progress[strings.TrimPrefix(entry, own)] = value
		}
	}
	return progress, nil
}

// state reads the state topic's values whose keys begin with prefix.
func (r *runner) state(ctx context.Context, prefix string) (map[string][]byte, error) {
	scanner, err := broker.NewScanner(r.Broker, "datawatch-collector")
	if err != nil {
		return nil, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	return scanner.State(ctx, broker.TopicsOf(r.Broker.TopicPrefix).State, prefix)
}
