package preprocessor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
)

// Service is the preprocessor as a program.
func Service() daemon.Service[Config] {
	return daemon.Service[Config]{
		Name:    "preprocessor",
		Summary: "Turns raw records into clean events, exactly once",
		Default: DefaultConfig,
		Shared:  func(c *Config) *config.Shared { return &c.Shared },
		Run:     Run,
		Check:   check,
	}
}

// check looks at the broker, the topics and the group; it creates nothing.
func check(_ context.Context, c Config) []daemon.Finding {
	reach := daemon.Finding{What: "broker " + strings.Join(c.Broker.Addresses, ", ")}
	scanner, err := broker.NewScanner(c.Broker, clientID(c))
	if err != nil {
		reach.Err, reach.Remedy = err, "see broker.addresses, broker.tls and broker.sasl; is the broker running?"
		return []daemon.Finding{reach}
	}
	defer func() { _ = scanner.Close() }()
	findings := []daemon.Finding{reach}
	topics := broker.TopicsOf(c.Broker.TopicPrefix)
	for _, topic := range []string{topics.Raw, topics.Clean, topics.DeadLetter} {
		findings = append(findings, checkTopic(scanner, topic, c.Broker.Partitions))
	}
	return append(findings, daemon.Finding{
		What: "group " + group(c), Err: scanner.CheckGroup(group(c)), Remedy: "the user needs the right to read this group",
	})
}

func checkTopic(scanner *broker.Scanner, topic string, configured int32) daemon.Finding {
	f := daemon.Finding{What: "topic " + topic}
	partitions, err := scanner.Partitions(topic)
	switch {
	case errors.Is(err, broker.ErrUnknownTopic):
		f.Detail = fmt.Sprintf("missing; it will be created with %d partitions", configured)
	case err != nil:
		f.Err, f.Remedy = err, "the user needs the right to describe, read and write this topic"
	case len(partitions) != int(configured):
		f.Err = fmt.Errorf("%d partitions, the configuration says %d", len(partitions), configured)
		f.Remedy = fmt.Sprintf("set broker.partitions to %d, or choose another broker.topic_prefix", len(partitions))
	default:
		f.Detail = fmt.Sprintf("%d partitions", len(partitions))
	}
	return f
}
