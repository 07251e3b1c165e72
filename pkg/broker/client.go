package broker

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/config"
)

// transactionTimeout is how long a transaction that nobody ends holds back readers. Whoever takes over by the same
// transactional id ends it at once.
const transactionTimeout = 10 * time.Second

// recordSlack is what the internal topics take beyond max_record_bytes: the headers and the envelope of the largest record.
const recordSlack = 256 << 10

const (
	// gather is how long records wait for more of their transaction before they are sent, unless they are all. Else the client
	// sends the first one or two at once and the others behind the answer: twice the requests, and twice two waits for the
	// broker's disk, for the transaction's partitions are told to its coordinator as they come.
	gather = time.Millisecond
	// gatherBytes are not waited with.
	gatherBytes = 1 << 20
)

// RecordLimit is the most bytes that a record of an internal topic may have, by Record.Size; a larger one is ErrTooLarge.
func RecordLimit(c config.Broker) int { return int(c.MaxRecordBytes) + recordSlack }

// ClientConfig is the client's configuration for a cluster: who it is, how it connects, read_committed. What fetches bring is
// bounded, however small it was compressed (package unfold).
func ClientConfig(c config.Cluster, clientID string) (*sarama.Config, error) {
	s := sarama.NewConfig()
	s.ClientID = clientID
	s.Version = sarama.V2_8_0_0
	s.Net.DialTimeout, s.Net.ReadTimeout, s.Net.WriteTimeout = 10*time.Second, 30*time.Second, 30*time.Second
	s.Admin.Timeout = 20 * time.Second // what a broker that has much to do needs for a topic, and less than its answer is waited for
	s.Metadata.AllowAutoTopicCreation = false
	s.Metadata.Retry.Max = 5
	s.Consumer.IsolationLevel = sarama.ReadCommitted
	s.Consumer.Return.Errors = true
	s.Consumer.MaxProcessingTime = time.Second
	s.Consumer.MaxWaitTime = 250 * time.Millisecond
	t, err := tlsOf(c.TLS)
	if err != nil {
		return nil, err
	}
	s.Net.Proxy.Enable = true
	s.Net.Proxy.Dialer = bounded{below: &net.Dialer{Timeout: s.Net.DialTimeout, KeepAlive: 30 * time.Second}, tls: t, timeout: s.Net.DialTimeout, most: leastHeld}
	if err := setSASL(s, c.SASL); err != nil {
		return nil, err
	}
	return s, nil
}

// tlsOf is how connections are encrypted; nil is not at all.
func tlsOf(c config.TLS) (*tls.Config, error) {
	if !c.Enabled {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls ca_file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls ca_file %s: no certificate in it", c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls cert_file: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// producerConfig is ClientConfig for transactions on the internal broker.
func producerConfig(c config.Broker, clientID, transactionalID string) (*sarama.Config, error) {
	s, err := ClientConfig(c.Cluster, clientID)
	if err != nil {
		return nil, err
	}
	s.Net.MaxOpenRequests = 1
	s.Producer.Idempotent = true
	s.Producer.RequiredAcks = sarama.WaitForAll
	s.Producer.Transaction.ID = transactionalID
	s.Producer.Transaction.Timeout = transactionTimeout
	s.Producer.Partitioner = newPartitioner
	s.Producer.Compression = sarama.CompressionLZ4
	s.Producer.MaxMessageBytes = RecordLimit(c)
	s.Producer.Flush.Frequency, s.Producer.Flush.Bytes = gather, gatherBytes
	s.Producer.Return.Successes = true
	s.Producer.Return.Errors = true
	s.Producer.Retry.Max = 10
	s.Producer.Retry.Backoff = 100 * time.Millisecond
	// A coordinator that is still ending the last transaction answers CONCURRENT_TRANSACTIONS until it has: mostly for a few
	// milliseconds, after a predecessor's death for some seconds. The pause begins small: see newPatience.
	s.Producer.Transaction.Retry.Max = 110
	s.Producer.Transaction.Retry.Backoff = 100 * time.Millisecond
	return s, nil
}

// stageConfig is ClientConfig for a member of a consumer group.
func stageConfig(c config.Broker, clientID string) (*sarama.Config, error) {
	s, err := ClientConfig(c.Cluster, clientID)
	if err != nil {
		return nil, err
	}
	// While a transaction is open that holds offsets, they are not stable: a moment, since takingOver ends those of the dead.
	s.Metadata.Retry.Max = 48
	s.Metadata.Retry.Backoff = 250 * time.Millisecond
	s.Consumer.Offsets.Initial = sarama.OffsetOldest
	s.Consumer.Offsets.AutoCommit.Enable = false
	// Who was killed is known to be gone after this and a heartbeat; until then readers wait for what it left open. Brokers
	// take no less than 6 s unless they are told to (group.min.session.timeout.ms).
	s.Consumer.Group.Session.Timeout = 6 * time.Second
	s.Consumer.Group.Heartbeat.Interval = 1500 * time.Millisecond
	s.Consumer.Group.Rebalance.Timeout = 30 * time.Second
	s.Consumer.Fetch.Default = 256 << 10 // of a partition, compressed: ten times as much in memory
	s.Consumer.Fetch.Max = int32(c.MaxRecordBytes) + 2*recordSlack
	Hold(s, c)
	s.ChannelBufferSize = 64
	return s, nil
}
