package broker

import (
	"fmt"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"

	"datawatch/pkg/config"
)

func setSASL(s *sarama.Config, c config.SASL) error {
	if c.Mechanism == "" {
		return nil
	}
	s.Net.SASL.Enable = true
	s.Net.SASL.User, s.Net.SASL.Password = c.Username, c.Password.Reveal()
	switch c.Mechanism {
	case "plain":
		s.Net.SASL.Mechanism = sarama.SASLTypePlaintext
	case "scram-sha-256":
		s.Net.SASL.Mechanism = sarama.SASLTypeSCRAMSHA256
		s.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: scram.SHA256} }
	case "scram-sha-512":
		s.Net.SASL.Mechanism = sarama.SASLTypeSCRAMSHA512
		s.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: scram.SHA512} }
	default:
		return fmt.Errorf("sasl mechanism %q: plain, scram-sha-256 or scram-sha-512", c.Mechanism)
	}
	return nil
}

// scramClient lends the SCRAM conversation (RFC 5802) to the Kafka client.
type scramClient struct {
	hash         scram.HashGeneratorFcn
	conversation *scram.ClientConversation
}

func (c *scramClient) Begin(user, password, authzID string) error {
	client, err := c.hash.NewClient(user, password, authzID)
	if err != nil {
		return err
	}
	c.conversation = client.NewConversation()
	return nil
}

func (c *scramClient) Step(challenge string) (string, error) { return c.conversation.Step(challenge) }

func (c *scramClient) Done() bool { return c.conversation.Done() }
