package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
)

// Pipeline is collector and preprocessor, as far as their progress can be seen from outside.
type Pipeline struct {
	scanner *broker.Scanner
	topics  broker.Topics
	group   string
	name    string
	state   int64 // how far the state topic was read
}

// OpenPipeline connects to the broker; whoever called closes it.
func OpenPipeline(c config.Broker, name string) (*Pipeline, error) {
	scanner, err := broker.NewScanner(c, ClientID)
	if err != nil {
		return nil, err
	}
	p := &Pipeline{scanner: scanner, topics: broker.TopicsOf(c.TopicPrefix), group: c.TopicPrefix + "-preprocessor", name: name}
	return p, nil
}

// Close ends the connection.
func (p *Pipeline) Close() { _ = p.scanner.Close() } // it only read

// settleTimeout is how long the pipeline is waited for.
const settleTimeout = 2 * time.Minute

// ErrBehind says that the pipeline isn't where the source is.
var ErrBehind = errors.New("what was captured isn't in clean within " + settleTimeout.String())

// Settle returns when everything that the source's system had committed before the call is in clean.
func (p *Pipeline) Settle(ctx context.Context) error {
	waiting, cancel := context.WithTimeoutCause(ctx, settleTimeout, ErrBehind)
	defer cancel()
	err := p.captured(waiting)
	if err == nil {
		err = p.normalized(waiting)
	}
	if waiting.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: do the source's collector and the preprocessor run, and what is their lag?", ErrBehind)
	}
	return err
}

const settleEvery = 200 * time.Millisecond

// maxLag is what a source may be behind for its status to count: what was committed before the last but one was written, is
// captured when the last is.
const maxLag = 1.0 // seconds

// captured waits for two signs of life, of which the second tells that the source hardly lags: a change that was committed
// before the first is captured then.
func (p *Pipeline) captured(ctx context.Context) error {
	var err error
	if p.state, err = p.scanner.End(p.topics.State, 0); err != nil {
		return err
	}
	for signs := 0; ; {
		end, err := p.scanner.End(p.topics.State, 0)
		if err != nil {
			return err
		}
		err = p.scanner.Scan(ctx, p.topics.State, 0, p.state, end, func(r broker.Record) error {
			if string(r.Key) != statusPrefix+p.name {
				return nil
			}
			var s Status
			if err := json.Unmarshal(r.Value, &s); err != nil {
				return err
			}
			if s.State == Stopped {
				return ErrNobody
			}
			if signs == 0 || (s.State == source.Streaming || s.State == source.Snapshot) && s.LagSeconds <= maxLag {
				signs++
			}
			return nil
		})
		if err != nil {
			return err
		}
		if p.state = max(p.state, end); signs >= 2 {
			return nil
		}
		if err := wait(ctx); err != nil {
			return err
		}
	}
}

// normalized waits until the preprocessor has committed all that is in raw now.
func (p *Pipeline) normalized(ctx context.Context) error {
	partitions, err := p.scanner.Partitions(p.topics.Raw)
	if err != nil {
		return err
	}
	for _, partition := range partitions {
		end, err := p.scanner.Settled(ctx, p.topics.Raw, partition)
		if err != nil {
			return err
		}
		for {
			done, err := p.scanner.Consumed(ctx, p.group, p.topics.Raw, partition, end)
			if err != nil {
				return err
			}
			if done {
				break
			}
			if err := wait(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settleEvery):
		return nil
	}
}
