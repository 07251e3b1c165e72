package judge

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/verdict"
	"datawatch/validator/internal/wrongrows"
)

const (
	// againStep is how many events are judged again at a time.
	againStep = 500
	// againGap is how many events that nobody asked for are read over, rather than asked around.
	againGap = 1000
)

// again judges the wrong rows of a stream in a partition by the file in force, from the events that they stand by. The newest
// events come first: of a row that has several it decides, and the others find it judged.
type again struct {
	stream    event.Stream
	file      *schemas.File
	partition int32
	offsets   []int64 // in clean, the newest first
	partly    partly
}

// partly are rows of a stream whose newest event couldn't answer all rules: older ones say nothing of the rest. Those of which
// it is true have an event that is whole, and rules that aren't asked since its structure is broken.
type partly map[wrongrows.ID]bool

func (j *Judge) newAgain(ctx context.Context, stream event.Stream, file *schemas.File, partition int32, p partly) (*again, error) {
	a := &again{stream: stream, file: file, partition: partition, partly: p}
	err := j.eachWrong(ctx, partition, stream, func(r broker.Record, _ string) error {
		if r.Value == nil {
			return nil
		}
		var v struct {
			Position event.ViolationPosition `json:"position"`
		}
		if err := json.Unmarshal(r.Value, &v); err != nil {
			return fmt.Errorf("wrong row at %s/%d/%d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		a.offsets = append(a.offsets, v.Position.Offset)
		return nil
	})
	if err != nil {
		return nil, err
	}
	oldest, err := j.scanner.Oldest(j.topics.Clean, partition)
	if err != nil {
		return nil, fmt.Errorf("judge wrong rows again: %w", err)
	}
	slices.SortFunc(a.offsets, func(x, y int64) int { return cmp.Compare(y, x) })
	a.offsets = slices.Compact(a.offsets)
	for i, offset := range a.offsets {
		if offset < oldest {
			a.offsets = a.offsets[:i]
			break
		}
	}
	return a, nil
}

// eachWrong reads what the topic of wrong rows holds of a stream in a partition.
func (j *Judge) eachWrong(ctx context.Context, partition int32, stream event.Stream, each func(r broker.Record, rule string) error) error {
	if err := j.inTurn.settle(ctx); err != nil { // the batches before may have written there
		return err
	}
	from, err := j.scanner.Oldest(j.topics.Wrong, partition)
	if err != nil {
		return fmt.Errorf("read wrong rows of partition %d: %w", partition, err)
	}
	to, err := j.scanner.Settled(ctx, j.topics.Wrong, partition)
	if err != nil {
		return fmt.Errorf("read wrong rows of partition %d: %w", partition, err)
	}
	return j.scanner.Scan(ctx, j.topics.Wrong, partition, from, to, func(r broker.Record) error {
		_, of, rule, err := wrongrows.ParseKey(r.Key)
		if err != nil || of != stream {
			return err
		}
		return each(r, rule)
	})
}

func (a *again) of() event.Stream { return a.stream }

func (a *again) passed(*broker.Record, event.Stream, []change) {} // a row that was judged since isn't outdated any more

func (a *again) step(ctx context.Context, j *Judge) ([]broker.Record, bool, error) {
	n := 0
	for n < len(a.offsets) && n < againStep && (n == 0 || a.offsets[n-1]-a.offsets[n] <= againGap) {
		n++
	}
	events, err := a.read(ctx, j, a.offsets[:n])
	if err != nil {
		return nil, false, err
	}
	a.offsets = a.offsets[n:]
	var out []broker.Record
	for _, r := range slices.Backward(events) {
		records, err := a.judge(ctx, j, &r)
		if err != nil {
			return nil, false, err
		}
		out = append(out, records...)
	}
	if len(a.offsets) > 0 {
		return out, false, nil
	}
	return out, true, a.finish(ctx, j)
}

// read gives the events at offsets that lie near each other, the newest first; the events are in their order.
func (a *again) read(ctx context.Context, j *Judge, offsets []int64) ([]broker.Record, error) {
	if len(offsets) == 0 {
		return nil, nil
	}
	wanted := make(map[int64]bool, len(offsets))
	for _, offset := range offsets {
		wanted[offset] = true
	}
	var events []broker.Record
	err := j.scanner.Scan(ctx, j.topics.Clean, a.partition, offsets[len(offsets)-1], offsets[0]+1, func(r broker.Record) error {
		if wanted[r.Offset] {
			events = append(events, r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("judge wrong rows of %s again: %w", a.stream, err)
	}
	return events, nil
}

func (a *again) judge(ctx context.Context, j *Judge, r *broker.Record) ([]broker.Record, error) {
	row := wrongrows.Hash(r.Key)
	if _, asked := a.partly[row]; asked || j.rows.Judged(r.Partition, r.Key, a.file.Version()) {
		return nil, nil
	}
	clean, err := event.ParseClean(r.Value)
	if err != nil || clean.Change == nil {
		return nil, nil //nolint:nilerr // an event that can't be read has never made a row stand
	}
	v, err := verdict.Judge(ctx, a.file, clean, event.ViolationPosition{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}, time.Now())
	if err != nil {
		return nil, err
	}
	records, err := j.records(r, v.Violation, j.stand(r, a.file, clean, v))
	if !j.rows.Judged(r.Partition, r.Key, a.file.Version()) {
		a.partly[row] = clean.Change.Incomplete == nil
	}
	return slices.DeleteFunc(records, func(r broker.Record) bool { return r.Topic != j.topics.Wrong }), err
}

// finish ends what stands by rules that are no more, and tells of what can't be judged.
func (a *again) finish(ctx context.Context, j *Judge) error {
	left := j.rows.OutdatedRows(a.stream, a.file.Version())
	others := slices.ContainsFunc(j.works, func(w work) bool { return w != work(a) && w.of() == a.stream })
	if left == 0 || others { // the last partition tells
		return nil
	}
	known := map[string]bool{schemas.SchemaRule: true}
	for _, rule := range a.file.Rules() {
		known[rule.ID] = true
	}
	if err := j.plan(ctx, a.stream, func(rule, _ string) bool { return !known[rule] }); err != nil {
		return err
	}
	stuck := Stuck{Stream: a.stream, Rows: left, Broken: j.rows.OutdatedOf(a.stream, a.file.Version(), a.partly), Since: j.held(ctx)}
	if stuck.Broken > 0 {
		j.options.Log.Info("rules of the changed schema file aren't asked of wrong rows whose structure is broken: what they found stands until the next change",
			"stream", stuck.Stream, "rows", stuck.Broken, "file", a.file.Name)
	}
	if gone := stuck.Gone(); gone > 0 {
		j.metrics.stuck.WithLabelValues(string(a.stream)).Add(float64(gone))
		j.options.Log.Warn("wrong rows can't be judged again by the changed schema file: they stand as they were until their next change",
			"stream", stuck.Stream, "rows", gone, "file", a.file.Name, "clean_since", stuck.Since,
			"hint", "collector snapshot reads the table as it is, and has each row judged")
	}
	j.options.Stuck(stuck)
	return nil
}

// held is the time of the oldest event that clean still holds in the session's partitions.
func (j *Judge) held(ctx context.Context) time.Time {
	var since time.Time
	for _, partition := range j.partitions {
		from, err := j.scanner.Oldest(j.topics.Clean, partition)
		if err != nil {
			return time.Time{}
		}
		to, err := j.scanner.End(j.topics.Clean, partition)
		if err != nil || from >= to {
			continue
		}
		_ = j.scanner.Scan(ctx, j.topics.Clean, partition, from, min(from+1, to), func(r broker.Record) error { // told as far as it can be
			if since.IsZero() || r.Timestamp.Before(since) {
				since = r.Timestamp
			}
			return nil
		})
	}
	return since
}
