package kafka

import (
	"fmt"
	"maps"
	"slices"

	"github.com/IBM/sarama"
)

// A topic that is deleted and created again bears the same name and begins anew at offset 0, and requests for records and
// offsets name topics, not the ids that tell one from the other
// (https://cwiki.apache.org/confluence/display/KAFKA/KIP-516%3A+Topic+Identifiers). So the broker that was asked is asked for
// the id, too. It takes over what it describes before it changes its logs, and an id never comes back: what it describes
// after a fetch is the topic whose records came or a later one, and what it describes before a question for offsets is the
// topic that answers or an earlier one.

// topicIDs asks one broker for the ids of topics. Those that it doesn't know, or that have no id, are missing.
func (k *cluster) topicIDs(broker int32, names []string) (map[string]string, error) {
	b, err := k.broker(broker)
	if err != nil {
		return nil, err
	}
	response, err := b.GetMetadata(sarama.NewMetadataRequest(k.config.Version, names))
	if err != nil {
		return nil, fmt.Errorf("ask broker %d at %s which topics it has: %w", broker, b.Addr(), err)
	}
	ids := make(map[string]string, len(names))
	for name, t := range described(response.Topics) {
		if t.id != "" {
			ids[name] = t.id
		}
	}
	return ids, nil
}

// isAnother tells that an id is that of another topic than the one that is read, as far as both are known.
func isAnother(id, reads string) bool { return id != "" && reads != "" && id != reads }

// serving leaves out the partitions whose leader has another topic of the name than the cluster described, for now. A leader
// that can't be asked for that can't be asked for more either, and says why then.
func (k *cluster) serving(leaders map[partition]int32, topics map[string]topic) map[partition]int32 {
	led := map[int32]map[string]bool{}
	for p, leader := range leaders {
		if led[leader] == nil {
			led[leader] = map[string]bool{}
		}
		led[leader][p.topic] = true
	}
	ids := map[int32]map[string]string{}
	for leader, names := range led {
		if leader == noLeader {
			continue
		}
		if known, err := k.topicIDs(leader, slices.Collect(maps.Keys(names))); err == nil {
			ids[leader] = known
		}
	}
	serving := make(map[partition]int32, len(leaders))
	for p, leader := range leaders {
		if !isAnother(ids[leader][p.topic], topics[p.topic].id) {
			serving[p] = leader
		}
	}
	return serving
}
