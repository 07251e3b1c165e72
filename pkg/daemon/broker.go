package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/reason"
)

// BrokerPart is the internal broker's name in /readyz.
const BrokerPart = "broker"

// Pauses between attempts.
const (
	firstPause = 250 * time.Millisecond
	longPause  = 10 * time.Second
)

// AwaitTopics creates the internal topics that are missing, and waits for the broker where it is away. What the
// configuration has wrong is an error at once.
func AwaitTopics(ctx context.Context, c config.Broker, env Env) error {
	if _, err := broker.ClientConfig(c.Cluster, "datawatch"); err != nil {
		return err
	}
	err := Insist(ctx, env, BrokerPart, func() error { return broker.EnsureTopics(ctx, c, env.Log) })
	if err == nil {
		env.Health.Set(BrokerPart, Ready, reason.Text{})
	}
	return err
}

// Insist tries again, with growing pauses, until try succeeds, ctx is done, or the error is one that trying doesn't mend.
// Meanwhile health says why part isn't ready.
func Insist(ctx context.Context, env Env, part string, try func() error) error {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := try()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil || errors.Is(err, broker.ErrPartitions):
			return err
		}
		env.Health.Set(part, NotReady, reason.Why(err))
		env.Log.Warn("trying again", "part", part, "error", err, "pause", pause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

const brokerRemedy = "see broker.addresses, broker.tls and broker.sasl; is the broker running?"

// CheckBroker looks at the internal broker and at the topics that a service needs; it creates nothing. group is the
// consumer group that the service joins, or "".
func CheckBroker(ctx context.Context, c config.Broker, clientID, group string, topics ...string) []Finding {
	reach := Finding{What: "broker " + strings.Join(c.Addresses, ", ")}
	var scanner *broker.Scanner
	err := broker.Reach(ctx, c, clientID)
	if err == nil {
		scanner, err = broker.NewScanner(c, clientID)
	}
	if err != nil {
		reach.Err, reach.Remedy = err, cmp.Or(remedyOf(err), brokerRemedy)
		return []Finding{reach}
	}
	defer func() { _ = scanner.Close() }() // it only read
	findings := []Finding{reach}
	for _, topic := range topics {
		findings = append(findings, checkTopic(scanner, topic, broker.PartitionsOf(c, topic)))
	}
	if group != "" {
		findings = append(findings, Finding{What: "group " + group, Err: scanner.CheckGroup(group), Remedy: "the user needs the right to read this group"})
	}
	return findings
}

func checkTopic(scanner *broker.Scanner, topic string, configured int32) Finding {
	f := Finding{What: "topic " + topic}
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
