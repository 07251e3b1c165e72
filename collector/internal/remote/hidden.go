package remote

import (
	"context"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/hide"
)

// Hidden is what the schemas say that no one may be shown, as the validator said last.
func Hidden(ctx context.Context, c config.Broker) (*hide.Set, error) {
	scanner, err := broker.NewScanner(c, ClientID)
	if err != nil {
		return nil, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	state, err := scanner.State(ctx, broker.TopicsOf(c.TopicPrefix).State, hide.Key)
	if err != nil {
		return nil, err
	}
	var files []hide.File
	if value, ok := state[hide.Key]; ok {
		if files, err = hide.Decode(value); err != nil {
			return nil, err
		}
	}
	return hide.NewSet(files)
}
