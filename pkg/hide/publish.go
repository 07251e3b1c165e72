package hide

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
)

// Publish writes what is to be hidden, where that differs from what is written; it tells whether it did. Of the streams in
// keep nothing is known now (their file is broken, and there is no good version of it): what was hidden of them stays.
func Publish(ctx context.Context, c config.Broker, clientID string, files []File, keep []string) (written bool, err error) {
	scanner, err := broker.NewScanner(c, clientID)
	if err != nil {
		return false, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	topic := broker.TopicsOf(c.TopicPrefix).State
	state, err := scanner.State(ctx, topic, prefix)
	if err != nil {
		return false, err
	}
	if before := state[Key]; before != nil && len(keep) > 0 {
		known, err := Decode(before)
		if err != nil {
			return false, err
		}
		for _, f := range known {
			if slices.Contains(keep, f.Stream) {
				files = append(slices.Clip(files), f)
			}
		}
	}
	value, err := Encode(files)
	if err != nil {
		return false, fmt.Errorf("write %s: %w", Key, err)
	}
	if bytes.Equal(value, state[Key]) {
		return false, nil
	}
	p, err := broker.OpenPublisher(ctx, c, c.TopicPrefix+"-hide")
	if err != nil {
		return false, err
	}
	defer func() { _ = p.Close() }() // what it has published is committed
	if err := p.Publish(ctx, []broker.Record{{Topic: topic, Key: []byte(Key), Value: value}}); err != nil {
		return false, fmt.Errorf("write %s: %w", Key, err)
	}
	return true, nil
}
