package judge

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/wrongrows"
)

// endingStep is how many tombstones are written at a time.
const endingStep = 2000

// ending ends what stands of a stream in a partition: all of it, or what over tells.
type ending struct {
	stream    event.Stream
	partition int32
	next, to  int64                     // in the topic of wrong rows
	keys      map[wrongrows.ID]struct{} // of the records to end
}

// newEnding looks for what is to be ended: of each row and rule the newest record says.
func (j *Judge) newEnding(ctx context.Context, stream event.Stream, partition int32, over func(rule, eventID string) bool) (*ending, error) {
	e := &ending{stream: stream, partition: partition, next: -1, keys: map[wrongrows.ID]struct{}{}}
	err := j.eachWrong(ctx, partition, stream, func(r broker.Record, rule string) error {
		if e.next < 0 {
			e.next = r.Offset
		}
		e.to = r.Offset + 1
		at := wrongrows.Hash(r.Key)
		delete(e.keys, at)
		if r.Value == nil {
			return nil
		}
		var v struct {
			EventID string `json:"event_id"`
		}
		if err := json.Unmarshal(r.Value, &v); err != nil {
			return fmt.Errorf("wrong row at %s/%d/%d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		if over(rule, v.EventID) {
			e.keys[at] = struct{}{}
		}
		return nil
	})
	return e, err
}

func (e *ending) of() event.Stream { return e.stream }

func (e *ending) passed(r *broker.Record, stream event.Stream, changes []change) {
	if stream != e.stream || r.Partition != e.partition {
		return
	}
	for _, c := range changes {
		delete(e.keys, wrongrows.Hash(wrongrows.Key(r.Key, c.rule)))
	}
}

func (e *ending) step(ctx context.Context, j *Judge) ([]broker.Record, bool, error) {
	var out []broker.Record
	to := min(e.next+endingStep, e.to)
	if len(e.keys) > 0 && e.next < e.to {
		err := j.scanner.Scan(ctx, j.topics.Wrong, e.partition, e.next, to, func(r broker.Record) error {
			at := wrongrows.Hash(r.Key)
			if _, ends := e.keys[at]; !ends {
				return nil
			}
			delete(e.keys, at)
			row, _, rule, err := wrongrows.ParseKey(r.Key)
			if err != nil {
				return err
			}
			standing, schema := j.rows.Standing(e.partition, row)
			rest := slices.DeleteFunc(slices.Clone(standing), func(s wrongrows.Standing) bool { return s.Rule == rule })
			j.rows.Set(e.partition, e.stream, row, schema, rest)
			out = append(out, broker.Record{Topic: j.topics.Wrong, Key: r.Key, PartitionBy: row})
			return nil
		})
		if err != nil {
			return nil, false, fmt.Errorf("end wrong rows of %s: %w", e.stream, err)
		}
	}
	e.next = to
	return out, len(e.keys) == 0 || e.next >= e.to, nil
}
