package judge

import (
	"context"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
)

// work changes what stands for another reason than an event: a schema file that changed or went, a stream that was emptied.
// It is done a step at a time, between batches, and never over what an event has said since it began.
type work interface {
	// of is the stream that it is about.
	of() event.Stream
	// step does a part, and tells whether it was the last.
	step(ctx context.Context, j *Judge) (records []broker.Record, done bool, err error)
	// passed is told what an event has changed meanwhile.
	passed(r *broker.Record, stream event.Stream, changes []change)
}

// notice compares what stands with the schemas in force and with the streams that were emptied, and plans what follows.
func (j *Judge) notice(ctx context.Context, set *schemas.Set) error {
	if j.set != set {
		if err := j.compare(ctx, set); err != nil {
			return err
		}
		j.set = set
	}
	for _, stream := range j.rows.Streams() {
		if id := j.emptied.of(stream); id != "" && j.emptied.due(stream, id) {
			if err := j.plan(ctx, stream, func(_, eventID string) bool { return eventID < id }); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare plans for the streams whose schema file isn't the one by which rows stand.
func (j *Judge) compare(ctx context.Context, set *schemas.Set) error {
	if set.ReadAt.IsZero() { // the folder couldn't be read yet
		return nil
	}
	if j.set != nil {
		for _, stream := range j.rows.Streams() {
			if j.set.For(stream) != set.For(stream) { // also where only what it refers to has changed
				j.rows.Outdate(stream)
			}
		}
	}
	outdated := j.rows.Outdated(func(stream event.Stream) string {
		if f := set.For(stream); f != nil {
			return f.Version()
		}
		return ""
	})
	for _, stream := range outdated {
		if set.Broken(stream) { // after a restart: nobody knows what would be said of the rows
			continue
		}
		j.drop(stream)
		file := set.For(stream)
		if file == nil {
			if err := j.plan(ctx, stream, func(string, string) bool { return true }); err != nil {
				return err
			}
			continue
		}
		asked := partly{}
		for _, partition := range j.partitions {
			again, err := j.newAgain(ctx, stream, file, partition, asked)
			if err != nil {
				return err
			}
			j.works = append(j.works, again)
		}
	}
	return nil
}

// drop forgets what was planned for a stream.
func (j *Judge) drop(stream event.Stream) {
	var kept []work
	for _, w := range j.works {
		if w.of() != stream {
			kept = append(kept, w)
		}
	}
	j.works = kept
}

// plan has what stands of a stream ended, where over says so of a rule and the event that it stands by.
func (j *Judge) plan(ctx context.Context, stream event.Stream, over func(rule, eventID string) bool) error {
	for _, partition := range j.partitions {
		ending, err := j.newEnding(ctx, stream, partition, over)
		if err != nil {
			return err
		}
		j.works = append(j.works, ending)
	}
	return nil
}

// proceed does a step of what is planned.
func (j *Judge) proceed(ctx context.Context) ([]broker.Record, error) {
	if len(j.works) == 0 {
		return nil, nil
	}
	first := j.works[0]
	records, done, err := first.step(ctx, j)
	if err != nil {
		return nil, err
	}
	if done {
		j.works = j.works[1:]
	}
	if len(j.works) > 0 {
		j.wakeUp()
	}
	return records, nil
}
