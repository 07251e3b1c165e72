package record

import (
	"context"
	"fmt"
	"strings"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
)

// arrivePause is how often progress is looked at.
const arrivePause = 50 * time.Millisecond

// Pipeline is datawatch as a recording sees it: the systems that are captured, by name, and the broker.
type Pipeline struct {
	Broker  config.Broker
	Scanner *broker.Scanner
	Sources map[string]source.Checkpointer
}

// Arrive returns when everything that the systems hold now has been captured, is in clean, and was judged. When ctx ends
// before, the error says where it stands.
func (p Pipeline) Arrive(ctx context.Context) error {
	if err := p.InClean(ctx); err != nil {
		return err
	}
	return p.Scanner.AwaitGroup(ctx, broker.GroupsOf(p.Broker.TopicPrefix).Validator, broker.TopicsOf(p.Broker.TopicPrefix).Clean)
}

// InClean returns when everything that the systems hold now has been captured and is in clean.
func (p Pipeline) InClean(ctx context.Context) error {
	topics := broker.TopicsOf(p.Broker.TopicPrefix)
	waiting := map[string]source.Checkpoint{}
	defer func() {
		for _, c := range waiting {
			c.Close(context.WithoutCancel(ctx))
		}
	}()
	for name, s := range p.Sources {
		c, err := s.Checkpoint(ctx)
		if err != nil {
			return fmt.Errorf("source %s: %w", name, err)
		}
		waiting[name] = c
	}
	state := follower{scanner: p.Scanner, topic: topics.State, entries: map[string]source.Progress{}}
	for {
		if err := state.read(ctx); err != nil {
			return err
		}
		for name, c := range waiting {
			reached, err := c.Reached(ctx, state.entries[name])
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("source %s: %w", name, err)
			}
			if reached {
				c.Close(ctx)
				delete(waiting, name)
			}
		}
		if len(waiting) == 0 {
			break
		}
		if err := wait(ctx); err != nil {
			return fmt.Errorf("not everything was captured of %s: does a collector run, and keep up? %w", strings.Join(names(waiting), ", "), err)
		}
	}
	return p.Scanner.AwaitGroup(ctx, broker.GroupsOf(p.Broker.TopicPrefix).Preprocessor, topics.Raw)
}

func wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(arrivePause):
		return nil
	}
}

func names(of map[string]source.Checkpoint) []string {
	var out []string
	for name := range of {
		out = append(out, name)
	}
	return out
}

// follower reads the sources' progress in the state topic, and reads on.
type follower struct {
	scanner *broker.Scanner
	topic   string
	next    int64
	begun   bool
	entries map[string]source.Progress // by source
}

const progressPrefix = "source/"

func (f *follower) read(ctx context.Context) error {
	end, err := f.scanner.Settled(ctx, f.topic, 0)
	if err != nil {
		return err
	}
	if !f.begun {
		if f.next, err = f.scanner.Oldest(f.topic, 0); err != nil {
			return err
		}
		f.begun = true
	}
	err = f.scanner.Scan(ctx, f.topic, 0, f.next, end, func(r broker.Record) error {
		key, ours := strings.CutPrefix(string(r.Key), progressPrefix)
		if !ours {
			return nil
		}
		name, entry, _ := strings.Cut(key, "/")
		p := f.entries[name]
		if p == nil {
			p = source.Progress{}
			f.entries[name] = p
		}
		p[entry] = r.Value
		if r.Value == nil {
			delete(p, entry)
		}
		return nil
	})
	f.next = max(f.next, end)
	return err
}
