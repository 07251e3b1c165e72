package broker

import (
	"context"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// waiting is a claim's messages of so many bytes each.
func waiting(n, size int) chan *sarama.ConsumerMessage {
	messages := make(chan *sarama.ConsumerMessage, n)
	for i := range n {
		messages <- &sarama.ConsumerMessage{Offset: int64(i), Value: make([]byte, size)}
	}
	return messages
}

func TestLargeRecordsArePassedOnOneByOneAndSmallOnesTogether(t *testing.T) {
	for name, test := range map[string]struct{ n, size, want int }{
		"small": {200, 10, chunkRecords}, "few": {3, 10, 3}, "large": {10, chunkBytes, 1}, "middling": {10, chunkBytes / 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			messages := waiting(test.n, test.size)
			if chunk := chunkOf(<-messages, messages); len(chunk) != test.want || chunk[len(chunk)-1].Offset != int64(test.want-1) {
				t.Errorf("%d records, not %d", len(chunk), test.want)
			}
		})
	}
	messages := waiting(2, 1)
	close(messages)
	if chunk := chunkOf(<-messages, messages); len(chunk) != 2 {
		t.Errorf("%d records of a claim that ended", len(chunk))
	}
}

// However chunks and batches lie, every record comes once, in order, and no batch is larger than it may be.
func TestBatchesHoldNoMoreThanTheyMayAndNothingIsLostBetweenThem(t *testing.T) {
	const all, size = 1000, 100
	for name, stage := range map[string]*Stage{"by records": {MaxRecords: 25}, "by bytes": {MaxBytes: 30 * size}, "one by one": {MaxRecords: 1}} {
		t.Run(name, func(t *testing.T) {
			stage.setDefaults()
			stage.Linger = time.Hour
			w := &worker{stage: stage, intake: make(chan chunk, 1), places: newPlaces(nil)}
			ctx, cancel := context.WithCancel(t.Context())
			batches, ended := make(chan []Record), make(chan struct{})
			go func() {
				defer close(ended)
				for w.collect(ctx, batches) {
				}
			}()
			defer func() { cancel(); <-ended }()
			go func() {
				messages := waiting(all, size-perRecord)
				close(messages)
				for m := range messages {
					select {
					case w.intake <- chunkOf(m, messages):
					case <-ctx.Done():
						return
					}
				}
			}()
			next := int64(0)
			for next+int64(min(stage.MaxRecords, 30)) <= all { // the last ones linger
				batch := <-batches
				if len(batch) != min(stage.MaxRecords, 30) {
					t.Fatalf("%d records at once", len(batch))
				}
				for _, r := range batch {
					if r.Offset != next {
						t.Fatalf("record %d came where %d should have", r.Offset, next)
					}
					next++
				}
			}
		})
	}
}
