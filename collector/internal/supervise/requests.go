package supervise

import (
	"context"
	"time"

	"datawatch/collector/internal/remote"
	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/broker"
)

// listen hands the source what people ask of it by the control topic, from the offset on that its progress names: so a
// request that nobody took yet is taken by the next collector. A broker that is away is waited for.
func (s *session) listen(ctx context.Context, progress source.Progress, requests chan<- source.SnapshotRequest) error {
	account, err := backfill.Parse(progress)
	if err != nil {
		return err
	}
	next := account.Control
	var scanner *broker.Scanner
	defer func() {
		if scanner != nil {
			_ = scanner.Close() // it only read
		}
	}()
	for {
		if scanner == nil {
			scanner, err = broker.NewScanner(s.Broker, "datawatch-collector")
		}
		if err == nil {
			next, err = s.hear(ctx, scanner, next, requests)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.log.Debug("read what people ask for", "error", err)
			if scanner != nil {
				_ = scanner.Close() // it is opened anew
				scanner = nil
			}
		}
		if err := pause(ctx, s.times.ask); err != nil {
			return err
		}
	}
}

// hear reads on in the control topic, and tells where to go on.
func (s *session) hear(ctx context.Context, scanner *broker.Scanner, next int64, requests chan<- source.SnapshotRequest) (int64, error) {
	end, err := scanner.End(s.topics.Control, 0)
	if err != nil || end == next {
		return next, err
	}
	oldest, err := scanner.Oldest(s.topics.Control, 0)
	if err != nil {
		return next, err
	}
	if next < oldest || next > end { // it was emptied, or made anew
		next = oldest
	}
	err = scanner.Scan(ctx, s.topics.Control, 0, next, end, func(r broker.Record) error {
		request, found := remote.SnapshotOf(s.unit.Name, r)
		if !found {
			return nil
		}
		select {
		case requests <- request:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		return next, err
	}
	return end, nil
}

// askEvery is how often the control topic is looked at.
const askEvery = time.Second
