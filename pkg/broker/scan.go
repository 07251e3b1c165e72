package broker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/config"
)

// Scanner reads topics without joining a consumer group and without leaving a trace.
type Scanner struct {
	client   sarama.Client
	fetch    int32
	maxFetch int32
}

// NewScanner connects to the internal broker.
func NewScanner(c config.Broker, clientID string) (*Scanner, error) {
	s, err := ClientConfig(c.Cluster, clientID)
	if err != nil {
		return nil, err
	}
	Hold(s, c)
	client, err := sarama.NewClient(c.Addresses, s)
	if err != nil {
		return nil, fmt.Errorf("%w %v: %w", ErrConnect, c.Addresses, err)
	}
	return &Scanner{client: client, fetch: 1 << 20, maxFetch: int32(c.MaxRecordBytes) + 2*recordSlack}, nil
}

// OpenScanner connects for a command, in front of which somebody sits: it doesn't wait long for a broker that is silent.
func OpenScanner(ctx context.Context, c config.Broker, clientID string) (*Scanner, error) {
	if err := Reach(ctx, c, clientID); err != nil {
		return nil, err
	}
	return NewScanner(c, clientID)
}

// Close ends the connection.
func (s *Scanner) Close() error { return s.client.Close() }

// Partitions lists the partitions of a topic.
func (s *Scanner) Partitions(topic string) ([]int32, error) { return s.client.Partitions(topic) }

// Oldest is the first offset that the partition still holds.
func (s *Scanner) Oldest(topic string, partition int32) (int64, error) {
	return s.client.GetOffset(topic, partition, sarama.OffsetOldest)
}

// Since is the first offset whose record is not older than t, or the end where there is none.
func (s *Scanner) Since(topic string, partition int32, t time.Time) (int64, error) {
	offset, err := s.client.GetOffset(topic, partition, t.UnixMilli())
	if err != nil || offset >= 0 {
		return offset, err
	}
	return s.End(topic, partition)
}

// End is the last stable offset: everything before it is committed or aborted.
func (s *Scanner) End(topic string, partition int32) (int64, error) {
	leader, err := s.client.Leader(topic, partition)
	if err != nil {
		return 0, err
	}
	_ = leader.Open(s.client.Config())
	request := sarama.NewOffsetRequest(s.client.Config().Version)
	request.IsolationLevel = sarama.ReadCommitted
	request.AddBlock(topic, partition, sarama.OffsetNewest, 1)
	response, err := leader.GetAvailableOffsets(request)
	if err != nil {
		return 0, err
	}
	block := response.GetBlock(topic, partition)
	if block == nil {
		return 0, sarama.ErrIncompleteResponse
	}
	if !errors.Is(block.Err, sarama.ErrNoError) {
		return 0, block.Err
	}
	return block.Offset, nil
}

// Written is the offset behind the last record, whose transaction may still be open.
func (s *Scanner) Written(topic string, partition int32) (int64, error) {
	return s.client.GetOffset(topic, partition, sarama.OffsetNewest)
}

// Settled is what End is once every transaction that is open now has ended. Whoever takes over from another writer reads
// to here: before End alone may lie less than what that one has committed, while some third one's transaction is open.
func (s *Scanner) Settled(ctx context.Context, topic string, partition int32) (int64, error) {
	written, err := s.Written(topic, partition)
	if err != nil {
		return 0, err
	}
	for {
		end, err := s.End(topic, partition)
		if err != nil || end >= written {
			return end, err
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for open transactions of %s/%d: %w", topic, partition, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Scan hands every committed record in [from, to) to each, in order. each may keep what it gets.
func (s *Scanner) Scan(ctx context.Context, topic string, partition int32, from, to int64, each func(Record) error) error {
	fetch := s.fetch
	for from < to {
		if err := ctx.Err(); err != nil {
			return err
		}
		block, err := s.fetchOnce(topic, partition, from, fetch)
		if errors.Is(err, sarama.ErrNotLeaderForPartition) || errors.Is(err, sarama.ErrLeaderNotAvailable) {
			if err = s.client.RefreshMetadata(topic); err == nil {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("fetch %s/%d from %d: %w", topic, partition, from, err)
		}
		next, err := eachCommitted(topic, partition, from, to, block, each)
		if err != nil {
			return err
		}
		if next == from { // the next batch is larger than the fetch
			if fetch >= s.maxFetch {
				return fmt.Errorf("fetch %s/%d from %d: a batch larger than %d bytes", topic, partition, from, fetch)
			}
			fetch = min(2*fetch, s.maxFetch)
			continue
		}
		from, fetch = next, s.fetch
	}
	return nil
}

func (s *Scanner) fetchOnce(topic string, partition int32, from int64, size int32) (*sarama.FetchResponseBlock, error) {
	leader, err := s.client.Leader(topic, partition)
	if err != nil {
		return nil, err
	}
	_ = leader.Open(s.client.Config())
	request := &sarama.FetchRequest{Version: 11, MaxWaitTime: 500, MinBytes: 1, MaxBytes: s.maxFetch, Isolation: sarama.ReadCommitted, SessionEpoch: -1}
	request.AddBlock(topic, partition, from, size, -1)
	response, err := leader.Fetch(request)
	if err != nil {
		return nil, err
	}
	block := response.GetBlock(topic, partition)
	if block == nil {
		return nil, sarama.ErrIncompleteResponse
	}
	if !errors.Is(block.Err, sarama.ErrNoError) {
		return nil, block.Err
	}
	return block, nil
}

// eachCommitted walks the batches of a fetch and returns the offset behind the last. Which transactions were aborted is
// told by the response: from FirstOffset on, a producer's batches are void until its abort marker
// (https://kafka.apache.org/documentation/#controlbatch).
func eachCommitted(topic string, partition int32, from, to int64, block *sarama.FetchResponseBlock, each func(Record) error) (int64, error) {
	next := from
	aborted := slices.SortedFunc(slices.Values(block.AbortedTransactions), func(a, b *sarama.AbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	void := map[int64]bool{}
	for _, set := range block.RecordsSet {
		batch := set.RecordBatch
		if batch == nil {
			return next, fmt.Errorf("%s/%d at %d: record format older than v2", topic, partition, next)
		}
		if batch.PartialTrailingRecord && len(batch.Records) == 0 {
			break
		}
		for len(aborted) > 0 && aborted[0].FirstOffset <= batch.LastOffset() {
			void[aborted[0].ProducerID] = true
			aborted = aborted[1:]
		}
		switch {
		case batch.Control:
			if isAbort(batch) {
				delete(void, batch.ProducerID)
			}
		case batch.IsTransactional && void[batch.ProducerID]:
		default:
			if err := eachRecord(topic, partition, from, to, batch, each); err != nil {
				return next, err
			}
		}
		next = max(next, batch.LastOffset()+1)
	}
	return next, nil
}

func eachRecord(topic string, partition int32, from, to int64, batch *sarama.RecordBatch, each func(Record) error) error {
	for _, r := range batch.Records {
		offset := batch.FirstOffset + r.OffsetDelta
		if offset < from || offset >= to {
			continue
		}
		record := Record{
			Topic: topic, Partition: partition, Offset: offset, Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value),
			Timestamp: batch.FirstTimestamp.Add(r.TimestampDelta),
		}
		if batch.LogAppendTime {
			record.Timestamp = batch.MaxTimestamp
		}
		for _, h := range r.Headers {
			record.addHeader(h.Key, bytes.Clone(h.Value))
		}
		if err := each(record); err != nil {
			return err
		}
	}
	return nil
}

// isAbort reads a control record's key: a version and a type, 0 for abort and 1 for commit, both int16.
func isAbort(batch *sarama.RecordBatch) bool {
	return len(batch.Records) > 0 && len(batch.Records[0].Key) >= 4 && binary.BigEndian.Uint16(batch.Records[0].Key[2:]) == 0
}

// State reads the newest value of each key of the state topic that begins with one of the prefixes; keys with tombstones are
// left out. It goes through the whole topic: who needs several kinds asks for them at once.
func (s *Scanner) State(ctx context.Context, topic string, prefixes ...string) (map[string][]byte, error) {
	state := map[string][]byte{}
	from, err := s.Oldest(topic, 0)
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	to, err := s.Settled(ctx, topic, 0)
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	err = s.Scan(ctx, topic, 0, from, to, func(r Record) error {
		switch key := string(r.Key); {
		case !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) }):
		case r.Value == nil:
			delete(state, key)
		default:
			state[key] = r.Value
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	return state, nil
}

// Committed is where a consumer group goes on in each partition of a topic: what it has committed, else the oldest record.
func (s *Scanner) Committed(group, topic string) (map[int32]int64, error) {
	partitions, err := s.Partitions(topic)
	if err != nil {
		return nil, err
	}
	admin, err := sarama.NewClusterAdminFromClient(s.client) // not to be closed: the client would be
	if err != nil {
		return nil, err
	}
	found, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: partitions})
	if err != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", group, err)
	}
	offsets := make(map[int32]int64, len(partitions))
	for _, p := range partitions {
		oldest, err := s.Oldest(topic, p)
		if err != nil {
			return nil, err
		}
		offsets[p] = oldest
		if block := found.GetBlock(topic, p); block != nil && block.Offset > oldest {
			offsets[p] = block.Offset
		}
	}
	return offsets, nil
}

// CheckGroup finds the coordinator of a consumer group: it fails where groups can't be used.
func (s *Scanner) CheckGroup(group string) error {
	if _, err := s.client.Coordinator(group); err != nil {
		return fmt.Errorf("find the coordinator of group %s: %w", group, err)
	}
	return nil
}
