package mongodb

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo"

	"datawatch/collector/internal/source"
)

// checkpoint is a cluster time: what was committed up to it is before the checkpoint.
type checkpoint struct {
	source     *Source
	client     *mongo.Client
	deployment deployment
}

var _ source.Checkpointer = (*Source)(nil)

// Checkpoint implements source.Checkpointer.
func (s *Source) Checkpoint(ctx context.Context) (source.Checkpoint, error) {
	client, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	c := &checkpoint{source: s, client: client}
	if c.deployment, err = ask(ctx, client); err == nil {
		err = c.deployment.usable()
	}
	if err != nil {
		disconnect(ctx, client)
		return nil, err
	}
	return c, nil
}

// Reached implements source.Checkpoint: a change stream that goes on from the progress has nothing up to the checkpoint. The progress of
// an idle stream is older than the checkpoint for a while, so the stream itself is asked.
func (c *checkpoint) Reached(ctx context.Context, committed source.Progress) (bool, error) {
	p, err := parseProgress(committed)
	if err != nil || p == nil || p.Reading != nil {
		return false, err
	}
	if c.deployment.now.before(p.At) {
		return true, nil
	}
	stream, err := c.source.watch(ctx, c.client, c.deployment, *p)
	if err != nil {
		return false, fmt.Errorf("look for what is before the checkpoint: %w", err)
	}
	defer func() { _ = stream.Close(ctx) }() // it was only looked at
	for range emptyBatches {
		if stream.TryNext(ctx) {
			t, i := clusterTimeOf(stream)
			return c.deployment.now.before(stamp{t, i}), nil
		}
		if err := stream.Err(); err != nil {
			return false, fmt.Errorf("look for what is before the checkpoint: %w", err)
		}
	}
	return true, nil
}

// emptyBatches is how often the stream says that there is nothing until that is believed: the first batch is always empty.
const emptyBatches = 3

func clusterTimeOf(stream *mongo.ChangeStream) (t, i uint32) {
	var at primitive.Timestamp
	if err := stream.Current.Lookup("clusterTime").Unmarshal(&at); err != nil {
		return 0, 0 // of no time: it counts as before the checkpoint
	}
	return at.T, at.I
}

// Close implements source.Checkpoint.
func (c *checkpoint) Close(ctx context.Context) { disconnect(ctx, c.client) }
