package broker

import (
	"slices"

	"github.com/IBM/sarama"
)

// oneMember gives every partition to the member whose id sorts first. A member keeps its id while it stays in the group,
// so the work moves only when its holder leaves, or when one with a smaller id comes.
type oneMember struct{}

var _ sarama.BalanceStrategy = oneMember{}

func (oneMember) Name() string { return "datawatch-one-member" }

func (oneMember) Plan(members map[string]sarama.ConsumerGroupMemberMetadata, topics map[string][]int32) (sarama.BalanceStrategyPlan, error) {
	plan := sarama.BalanceStrategyPlan{}
	if len(members) == 0 {
		return plan, nil
	}
	ids := make([]string, 0, len(members))
	for id := range members {
		ids = append(ids, id)
	}
	holder := slices.Min(ids)
	for topic, partitions := range topics {
		plan.Add(holder, topic, partitions...)
	}
	return plan, nil
}

func (oneMember) AssignmentData(string, map[string][]int32, int32) ([]byte, error) { return nil, nil }
