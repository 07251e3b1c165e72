package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/config"
)

// Topics are the names of the internal topics.
type Topics struct {
	Raw, Clean, Violations, Wrong, DeadLetter, Control, State string
}

// Groups are the names of the services' consumer groups on the internal broker.
type Groups struct{ Preprocessor, Validator, Alerts string }

// GroupsOf gives the groups of a prefix.
func GroupsOf(prefix string) Groups {
	return Groups{Preprocessor: prefix + "-preprocessor", Validator: prefix + "-validator", Alerts: prefix + "-alerts"}
}

// TopicsOf are the names under a prefix.
func TopicsOf(prefix string) Topics {
	return Topics{
		Raw: prefix + ".raw", Clean: prefix + ".clean", Violations: prefix + ".violations", Wrong: prefix + ".wrong",
		DeadLetter: prefix + ".deadletter", Control: prefix + ".control", State: prefix + ".state",
	}
}

// All lists the names in the order of the flow.
func (t Topics) All() []string {
	return []string{t.Raw, t.Clean, t.Violations, t.Wrong, t.DeadLetter, t.Control, t.State}
}

type topicSpec struct {
	name       string
	partitions int32
	configs    map[string]string
}

func specs(c config.Broker) []topicSpec {
	t := TopicsOf(c.TopicPrefix)
	kept := func(d config.Duration) map[string]string {
		return map[string]string{"cleanup.policy": "delete", "retention.ms": strconv.FormatInt(d.Std().Milliseconds(), 10)}
	}
	// State is written with every transaction: small segments let compaction keep up.
	compacted := func() map[string]string {
		return map[string]string{"cleanup.policy": "compact", "segment.bytes": strconv.Itoa(16 << 20), "min.cleanable.dirty.ratio": "0.1"}
	}
	all := []topicSpec{
		{t.Raw, c.Partitions, kept(c.Retention.Raw)},
		{t.Clean, c.Partitions, kept(c.Retention.Clean)},
		{t.Violations, c.Partitions, kept(c.Retention.Violations)},
		{t.Wrong, c.Partitions, compacted()},
		{t.DeadLetter, c.Partitions, kept(c.Retention.DeadLetter)},
		{t.Control, 1, kept(config.Duration(7 * 24 * time.Hour))},
		{t.State, 1, compacted()},
	}
	for _, s := range all {
		s.configs["max.message.bytes"] = strconv.Itoa(int(c.MaxRecordBytes) + 2*recordSlack)
	}
	return all
}

// PartitionsOf is how many partitions the configuration gives an internal topic.
func PartitionsOf(c config.Broker, topic string) int32 {
	for _, spec := range specs(c) {
		if spec.name == topic {
			return spec.partitions
		}
	}
	return 0
}

// EnsureTopics creates the internal topics that are missing and compares those that exist with the configuration: a
// different number of partitions is an error, any other difference is logged. It alters nothing.
func EnsureTopics(ctx context.Context, c config.Broker, log *slog.Logger) error {
	s, err := ClientConfig(c.Cluster, "datawatch")
	if err != nil {
		return err
	}
	admin, err := sarama.NewClusterAdmin(c.Addresses, s)
	if err != nil {
		return fmt.Errorf("%w %v: %w", ErrConnect, c.Addresses, err)
	}
	defer func() { _ = admin.Close() }()

	var names []string
	for _, spec := range specs(c) {
		if err := createTopic(admin, c, spec, log); err != nil {
			return err
		}
		names = append(names, spec.name)
	}
	found, err := awaitTopics(ctx, admin, names)
	if err != nil {
		return err
	}
	var wrong []error
	for i, spec := range specs(c) {
		if n := int32(len(found[i].Partitions)); n != spec.partitions {
			wrong = append(wrong, fmt.Errorf("%w: topic %s has %d partitions, the configuration says %d: set broker.partitions to %d, "+
				"or choose another broker.topic_prefix; partitions are never changed", ErrPartitions, spec.name, n, spec.partitions, n))
		}
		if err := tellDifferences(admin, spec, log); err != nil {
			wrong = append(wrong, err)
		}
	}
	return errors.Join(wrong...)
}

func createTopic(admin sarama.ClusterAdmin, c config.Broker, spec topicSpec, log *slog.Logger) error {
	configs := map[string]*string{}
	for name, value := range spec.configs {
		configs[name] = &value
	}
	err := admin.CreateTopic(spec.name, &sarama.TopicDetail{
		NumPartitions: spec.partitions, ReplicationFactor: int16(c.Replication), ConfigEntries: configs,
	}, false)
	switch {
	case err == nil:
		log.Info("topic created", "topic", spec.name, "partitions", spec.partitions, "replication", c.Replication)
		return nil
	case errors.Is(err, sarama.ErrTopicAlreadyExists):
		return nil
	default:
		return fmt.Errorf("create topic %s: %w", spec.name, err)
	}
}

// awaitTopics waits until the cluster's metadata shows the topics with a leader for each partition.
func awaitTopics(ctx context.Context, admin sarama.ClusterAdmin, names []string) ([]*sarama.TopicMetadata, error) {
	for {
		found, err := admin.DescribeTopics(names)
		if err == nil && len(found) == len(names) {
			ready := true
			for _, t := range found {
				ready = ready && errors.Is(t.Err, sarama.ErrNoError) && len(t.Partitions) > 0
				for _, p := range t.Partitions {
					ready = ready && p.Leader >= 0
				}
			}
			if ready {
				return inOrder(found, names), nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for topics %v: %w", names, errors.Join(ctx.Err(), err))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func inOrder(found []*sarama.TopicMetadata, names []string) []*sarama.TopicMetadata {
	byName := map[string]*sarama.TopicMetadata{}
	for _, t := range found {
		byName[t.Name] = t
	}
	ordered := make([]*sarama.TopicMetadata, len(names))
	for i, name := range names {
		ordered[i] = byName[name]
	}
	return ordered
}

func tellDifferences(admin sarama.ClusterAdmin, spec topicSpec, log *slog.Logger) error {
	resource := &sarama.ConfigResource{Type: sarama.TopicResource, Name: spec.name}
	results, err := admin.DescribeConfigs([]*sarama.ConfigResource{resource}, sarama.DescribeConfigsOptions{})
	if err != nil {
		return fmt.Errorf("describe topic %s: %w", spec.name, err)
	}
	for _, result := range results {
		for _, e := range result.Configs {
			if want, ok := spec.configs[e.Name]; ok && e.Value != want {
				log.Warn("topic differs from the configuration; it is left as it is", "topic", spec.name, "setting", e.Name, "is", e.Value, "configured", want)
			}
		}
	}
	return nil
}

// Limit is the most bytes that a record of each of the topics may have (Record.Size): RecordLimit, or less where one of
// them takes less. Where the cluster doesn't tell, it is RecordLimit.
func Limit(c config.Broker, clientID string, topics ...string) (int, error) {
	limit := RecordLimit(c)
	s, err := ClientConfig(c.Cluster, clientID)
	if err != nil {
		return 0, err
	}
	admin, err := sarama.NewClusterAdmin(c.Addresses, s)
	if err != nil {
		return 0, fmt.Errorf("%w %v: %w", ErrConnect, c.Addresses, err)
	}
	defer func() { _ = admin.Close() }()
	resources := make([]*sarama.ConfigResource, len(topics))
	for i, topic := range topics {
		resources[i] = &sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"max.message.bytes"}}
	}
	results, err := admin.DescribeConfigs(resources, sarama.DescribeConfigsOptions{})
	if err != nil {
		return limit, nil // to ask needs a right that a service may not have
	}
	for _, result := range results {
		for _, e := range result.Configs {
			if taken, err := strconv.Atoi(e.Value); err == nil && e.Name == "max.message.bytes" {
				limit = min(limit, inBatch(taken))
			}
		}
	}
	return limit, nil
}

// inBatch is what a record may have in a batch of so many bytes: the batch has a header, and what can't be compressed grows
// by a little.
func inBatch(bytes int) int { return bytes - bytes/256 - 1024 }
