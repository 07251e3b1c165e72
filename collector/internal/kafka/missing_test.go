package kafka

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/collector/internal/source"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/kafka"
)

// TestTopicThatMayNotBeReadIsToldAndReadOnceItMay takes rights away from a topic that is read and from one that never was; an
// Apache Kafka doesn't show them any more then.
func TestTopicThatMayNotBeReadIsToldAndReadOnceItMay(t *testing.T) {
	address := testrig.FreeAddress(t)
	server := testrig.KafkaServerOf(t, kafka.Options{
		Listeners: map[string]kafka.Listener{"PLAIN": {Address: address, Protocol: "SASL_PLAINTEXT"}},
		Settings: map[string]string{
			"listener.name.plain.sasl.enabled.mechanisms": "PLAIN",
			"listener.name.plain.plain.sasl.jaas.config":  `org.apache.kafka.common.security.plain.PlainLoginModule required user_shop="` + secret + `";`,
			"authorizer.class.name":                       "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
			"super.users":                                 "User:ANONYMOUS",
			"allow.everyone.if.no.acl.found":              "true",
		},
	})
	k := newCompany(t, server.Addr())
	orders, payments, hidden := k.topic(t, "orders", 1, nil), k.topic(t, "payments", 2, nil), k.topic(t, "hidden", 1, nil)
	k.deny(t, hidden, sarama.AclOperationDescribe)
	cfg := k.config(func(cfg *Config) {
		cfg.Topics, cfg.Addresses = []string{k.prefix + ".[op]*", hidden}, []string{address}
		cfg.SASL = config.SASL{Mechanism: "plain", Username: "shop", Password: secret}
	})
	c := newCapture()
	s := New(Options{Name: "k", Config: cfg, Internal: internal(), Reporter: c})
	s.refresh, s.stalledAfter = 100*time.Millisecond, 100*time.Millisecond
	c.runSource(t, s)
	c.awaitBegun(t)
	c.awaitState(t, source.Stalled, hidden+"/0", "grant DESCRIBE")
	k.allow(t, hidden)
	c.awaitState(t, source.Streaming)
	k.send(t, message(orders, 0, "a"), message(payments, 1, "b"), message(hidden, 0, "c"))
	c.awaitValues(t, "a", "b", "c")

	want := []string{"a", "b", "c"}
	for i, operation := range []sarama.AclOperation{sarama.AclOperationRead, sarama.AclOperationDescribe} {
		k.deny(t, payments, operation)
		c.awaitState(t, source.Stalled, payments+"/", "grant DESCRIBE")
		k.send(t, message(orders, 0, fmt.Sprint("d", i)), message(payments, 1, fmt.Sprint("e", i)))
		want = append(want, fmt.Sprint("d", i))
		c.awaitValues(t, want...) // what may be read goes on
		cfg.Topics = []string{payments}
		checked := New(Options{Name: "k", Config: cfg, Internal: internal(), Reporter: newCapture()}).Check(t.Context())
		if !slices.ContainsFunc(checked, func(f daemon.Finding) bool { return f.Err != nil && strings.Contains(f.Remedy, "grant DESCRIBE") }) {
			t.Errorf("without %s check says %+v", operation.String(), checked)
		}
		k.allow(t, payments)
		want = append(want, fmt.Sprint("e", i))
		c.awaitValues(t, want...)
		c.awaitState(t, source.Streaming)
	}
}

// awaitState waits until the state that was told last is one whose reason says something.
func (c *capture) awaitState(t testing.TB, state source.State, says ...string) {
	t.Helper()
	testrig.Eventually(t, 30*time.Second, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.reasons) == 0 {
			return errors.New("no state was told")
		}
		last := c.reasons[len(c.reasons)-1]
		if !strings.HasPrefix(last, string(state)+" ") || slices.ContainsFunc(says, func(part string) bool { return !strings.Contains(last, part) }) {
			return fmt.Errorf("it is %s", last)
		}
		return nil
	})
}

// deny takes a right on a topic from the user shop.
func (c *company) deny(t *testing.T, topic string, operation sarama.AclOperation) {
	t.Helper()
	acls := []*sarama.Acl{
		{Principal: "User:shop", Host: "*", Operation: operation, PermissionType: sarama.AclPermissionDeny},
		{Principal: "User:*", Host: "*", Operation: sarama.AclOperationAll, PermissionType: sarama.AclPermissionAllow},
	}
	resource := sarama.Resource{ResourceType: sarama.AclResourceTopic, ResourceName: topic, ResourcePatternType: sarama.AclPatternLiteral}
	if err := c.admin.CreateACLs([]*sarama.ResourceAcls{{Resource: resource, Acls: acls}}); err != nil {
		t.Fatal(err)
	}
}

// allow gives it back.
func (c *company) allow(t *testing.T, topic string) {
	t.Helper()
	_, err := c.admin.DeleteACL(sarama.AclFilter{
		ResourceType: sarama.AclResourceTopic, ResourceName: &topic, ResourcePatternTypeFilter: sarama.AclPatternLiteral,
		Operation: sarama.AclOperationAny, PermissionType: sarama.AclPermissionDeny,
	}, false)
	if err != nil {
		t.Fatal(err)
	}
}
