package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/reason"
)

// clientID is how datawatch shows in the cluster's logs, metrics and quotas.
const clientID = "datawatch"

// noTopicID is what clusters before 2.8 give.
var noTopicID = sarama.Uuid{}.String()

// cluster holds the connections: one a broker. Its calls may be made from several goroutines; one connection serves one
// call at a time.
type cluster struct {
	config *sarama.Config
	seeds  []*sarama.Broker

	mu      sync.Mutex
	brokers map[int32]*sarama.Broker
	retired sync.WaitGroup // brokers that left; closing waits for the call that is under way
}

// topic is a topic as the cluster describes it.
type topic struct {
	name    string
	id      string          // empty where the cluster has no ids
	leaders map[int32]int32 // partition → broker, noLeader where there is none
	epochs  map[int32]int32 // partition → how often it has had another leader; 0 where the cluster doesn't tell
}

const noLeader int32 = -1

// newCluster makes the client; it connects when it is first asked something. The connections end with ctx. Records as large
// as the internal broker's come whole.
func newCluster(ctx context.Context, c config.Cluster, internal config.Broker) (*cluster, error) {
	s, err := broker.ClientConfig(c, clientID)
	if err != nil {
		return nil, err
	}
	s.Net.ReadTimeout, s.Net.WriteTimeout = 15*time.Second, 15*time.Second
	broker.Hold(s, internal)
	broker.Until(ctx, s)
	if err := s.Validate(); err != nil {
		return nil, err
	}
	k := &cluster{config: s, brokers: map[int32]*sarama.Broker{}}
	for _, address := range c.Addresses {
		k.seeds = append(k.seeds, sarama.NewBroker(address))
	}
	return k, nil
}

// newAnswering is newCluster by an address that answers, for whoever won't wait for one as Run does.
func newAnswering(ctx context.Context, c config.Cluster, internal config.Broker) (*cluster, error) {
	if _, err := broker.ClientConfig(c, clientID); err != nil {
		return nil, err
	}
	address, err := broker.Answering(ctx, c, clientID)
	if err != nil {
		return nil, unanswered([]error{err})
	}
	c.Addresses = []string{address}
	return newCluster(ctx, c, internal)
}

// close ends the connections. Where their context has ended, it waits for nobody.
func (k *cluster) close() {
	for _, b := range k.known() {
		_ = b.Close() // says only that it wasn't open
	}
	k.retired.Wait()
}

// open connects where it isn't connected.
func (k *cluster) open(b *sarama.Broker) error { return broker.Open(b, k.config) }

// broker is the connection to a broker by its id.
func (k *cluster) broker(id int32) (*sarama.Broker, error) {
	k.mu.Lock()
	b := k.brokers[id]
	k.mu.Unlock()
	if b == nil {
		return nil, fmt.Errorf("broker %d is not in the cluster's metadata", id)
	}
	return b, k.open(b)
}

// size is how many brokers the cluster has, as far as is known.
func (k *cluster) size() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.brokers)
}

// known lists the brokers, those that described the cluster before the configured addresses.
func (k *cluster) known() []*sarama.Broker {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]*sarama.Broker, 0, len(k.brokers)+len(k.seeds))
	for _, b := range k.brokers {
		all = append(all, b)
	}
	return append(all, k.seeds...)
}

// topics describes every topic that the client may see.
func (k *cluster) topics(ctx context.Context) (map[string]topic, error) {
	metadata, err := k.describe(ctx, nil)
	return described(metadata), err
}

// describe asks the first broker that answers for topics, all that the client may see where none is named.
func (k *cluster) describe(ctx context.Context, names []string) ([]*sarama.TopicMetadata, error) {
	var failed []error
	for _, b := range k.known() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := k.open(b); err != nil {
			failed = append(failed, err)
			continue
		}
		response, err := b.GetMetadata(sarama.NewMetadataRequest(k.config.Version, names))
		if err != nil {
			failed = append(failed, fmt.Errorf("describe the cluster by %s: %w", b.Addr(), err))
			continue
		}
		k.keep(response.Brokers)
		return response.Topics, nil
	}
	return nil, unanswered(failed)
}

// unansweredError says that no broker of the cluster can be asked, and why not: what each connection failed with.
type unansweredError struct{ says *reason.Error }

func unanswered(failed []error) error {
	says := reason.Wrap(errors.Join(failed...), reason.KafkaUnanswered.With())
	if _, do := reason.Of(says); do.IsZero() {
		says = says.Advise(reason.DoKafkaUnanswered.With())
	}
	return &unansweredError{says}
}

func (e *unansweredError) Error() string { return e.says.Error() }

// Unwrap gives what says it by code.
func (e *unansweredError) Unwrap() error { return e.says }

// keep takes over the brokers of new metadata; those that are gone or moved are closed.
func (k *cluster) keep(brokers []*sarama.Broker) {
	k.mu.Lock()
	defer k.mu.Unlock()
	present := map[int32]bool{}
	for _, b := range brokers {
		present[b.ID()] = true
		old := k.brokers[b.ID()]
		if old != nil && old.Addr() == b.Addr() {
			continue
		}
		if old != nil {
			k.retired.Go(func() { _ = old.Close() })
		}
		k.brokers[b.ID()] = b
	}
	for id, old := range k.brokers {
		if !present[id] {
			k.retired.Go(func() { _ = old.Close() })
			delete(k.brokers, id)
		}
	}
}

func described(metadata []*sarama.TopicMetadata) map[string]topic {
	topics := make(map[string]topic, len(metadata))
	for _, m := range metadata {
		if m.IsInternal || !errors.Is(m.Err, sarama.ErrNoError) && !errors.Is(m.Err, sarama.ErrLeaderNotAvailable) {
			continue
		}
		t := topic{name: m.Name, id: m.Uuid.String(), leaders: make(map[int32]int32, len(m.Partitions)), epochs: make(map[int32]int32, len(m.Partitions))}
		if t.id == noTopicID {
			t.id = ""
		}
		for _, p := range m.Partitions {
			t.leaders[p.ID], t.epochs[p.ID] = noLeader, p.LeaderEpoch
			if errors.Is(p.Err, sarama.ErrNoError) || errors.Is(p.Err, sarama.ErrReplicaNotAvailable) {
				t.leaders[p.ID] = p.Leader
			}
		}
		topics[m.Name] = t
	}
	return topics
}

// offsets asks the leaders for an offset of each partition: sarama.OffsetOldest, or sarama.OffsetNewest as isolation
// sees it. Partitions whose leader can't tell now are missing from the answer; the error is of one of them.
func (k *cluster) offsets(ctx context.Context, leaders map[partition]int32, at int64, isolation sarama.IsolationLevel) (map[partition]int64, error) {
	requests := map[int32]*sarama.OffsetRequest{}
	for p, leader := range leaders {
		if leader == noLeader {
			continue
		}
		if requests[leader] == nil {
			requests[leader] = sarama.NewOffsetRequest(k.config.Version)
			requests[leader].IsolationLevel = isolation
		}
		requests[leader].AddBlock(p.topic, p.id, at, 1)
	}
	found := make(map[partition]int64, len(leaders))
	var failed error
	for leader, request := range requests {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := k.broker(leader)
		if err != nil {
			failed = err
			continue
		}
		response, err := b.GetAvailableOffsets(request)
		if err != nil {
			failed = fmt.Errorf("ask broker %d for offsets: %w", leader, err)
			continue
		}
		for p, l := range leaders {
			if l != leader {
				continue
			}
			block := response.GetBlock(p.topic, p.id)
			switch {
			case block == nil:
				failed = fmt.Errorf("ask broker %d for the offset of %s: %w", leader, p, sarama.ErrIncompleteResponse)
			case !errors.Is(block.Err, sarama.ErrNoError):
				failed = fmt.Errorf("ask broker %d for the offset of %s: %w", leader, p, block.Err)
			default:
				found[p] = block.Offset
			}
		}
	}
	return found, failed
}
