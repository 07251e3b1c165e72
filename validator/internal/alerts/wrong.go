package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/wrongrows"
)

// wrong follows the topic of wrong rows and counts them by fingerprint: some 30 bytes a row and rule.
type wrong struct {
	scanner *broker.Scanner
	topic   string
	next    map[int32]int64
	rows    map[wrongrows.ID]uint32 // by the record's key; the number of a combination
	combos  [][]string              // fingerprints, by number; 0 is none
	numbers map[string]uint32
	counts  map[string]int64
	ever    map[string]bool // fingerprints that made a row wrong since this was opened
}

func newWrong(scanner *broker.Scanner, topic string) *wrong {
	return &wrong{
		scanner: scanner, topic: topic, next: map[int32]int64{}, rows: map[wrongrows.ID]uint32{}, combos: make([][]string, 1),
		numbers: map[string]uint32{}, counts: map[string]int64{}, ever: map[string]bool{},
	}
}

// refresh reads what has come since.
func (w *wrong) refresh(ctx context.Context) error {
	partitions, err := w.scanner.Partitions(w.topic)
	if err != nil {
		return fmt.Errorf("read wrong rows: %w", err)
	}
	for _, partition := range partitions {
		end, err := w.scanner.End(w.topic, partition)
		if err != nil {
			return fmt.Errorf("read wrong rows of partition %d: %w", partition, err)
		}
		from, known := w.next[partition]
		if !known {
			if from, err = w.scanner.Oldest(w.topic, partition); err != nil {
				return fmt.Errorf("read wrong rows of partition %d: %w", partition, err)
			}
		}
		if from < end {
			if err := w.scanner.Scan(ctx, w.topic, partition, from, end, w.take); err != nil {
				return fmt.Errorf("read wrong rows of partition %d: %w", partition, err)
			}
		}
		w.next[partition] = end
	}
	return nil
}

func (w *wrong) take(r broker.Record) error {
	at := wrongrows.Hash(r.Key)
	if r.Value == nil {
		w.set(at, nil)
		return nil
	}
	_, _, rule, err := wrongrows.ParseKey(r.Key)
	if err != nil {
		return err
	}
	var v event.Violation
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return fmt.Errorf("wrong row at %s/%d/%d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	var fingerprints []string
	for i := range v.Errors {
		if e := &v.Errors[i]; wrongrows.RuleOf(e) == rule {
			fingerprints = append(fingerprints, e.Fingerprint)
		}
	}
	slices.Sort(fingerprints)
	w.set(at, slices.Compact(fingerprints))
	return nil
}

// set says by which fingerprints a row stands from now on; none ends it.
func (w *wrong) set(at wrongrows.ID, fingerprints []string) {
	for _, fingerprint := range w.combos[w.rows[at]] {
		if w.counts[fingerprint]--; w.counts[fingerprint] == 0 {
			delete(w.counts, fingerprint)
		}
	}
	if fingerprints == nil {
		delete(w.rows, at)
		return
	}
	w.rows[at] = w.number(fingerprints)
	for _, fingerprint := range fingerprints {
		w.counts[fingerprint]++
		w.ever[fingerprint] = true
	}
}

func (w *wrong) number(fingerprints []string) uint32 {
	if len(fingerprints) == 0 {
		return 0
	}
	name := strings.Join(fingerprints, " ")
	n, ok := w.numbers[name]
	if !ok {
		n = uint32(len(w.combos))
		w.combos, w.numbers[name] = append(w.combos, fingerprints), n
	}
	return n
}

// standing counts those of some rows of a group that are wrong now. rows are keys of records in wrong.
func (w *wrong) standing(fingerprint string, rows []wrongrows.ID) int64 {
	var n int64
	for _, row := range rows {
		if slices.Contains(w.combos[w.rows[row]], fingerprint) {
			n++
		}
	}
	return n
}
