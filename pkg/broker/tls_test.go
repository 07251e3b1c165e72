package broker

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"datawatch/pkg/config"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
)

// encrypted is a broker behind TLS, and the file with the authority that signed its certificate.
func encrypted(t *testing.T) (addr, caFile string) {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // for its certificate, which is for 127.0.0.1
	defer certified.Close()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS12}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate().Raw})
	if err := os.WriteFile(caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return cluster.ListenAddrs()[0], caFile
}

func TestRecordsGoThroughTLS(t *testing.T) {
	addr, caFile := encrypted(t)
	c := config.DefaultShared().Broker
	c.Addresses, c.TLS = []string{addr}, config.TLS{Enabled: true, CAFile: caFile}
	if err := EnsureTopics(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	topic := TopicsOf(c.TopicPrefix).Raw
	p, err := OpenPublisher(t.Context(), c, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if err := p.Publish(t.Context(), []Record{{Topic: topic, Key: []byte("k"), Value: []byte("v")}}); err != nil {
		t.Fatal(err)
	}
	s, err := NewScanner(c, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var values []string
	for partition := range c.Partitions {
		end, err := s.Settled(t.Context(), topic, partition)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Scan(t.Context(), topic, partition, 0, end, func(r Record) error { values = append(values, string(r.Value)); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(values, " ") != "v" {
		t.Errorf("read %q", values)
	}
}

func TestBrokerWithACertificateOfUnknownOriginIsNotSpokenTo(t *testing.T) {
	addr, _ := encrypted(t)
	c := config.DefaultShared().Broker
	c.Addresses, c.TLS = []string{addr}, config.TLS{Enabled: true}
	s, err := ClientConfig(c.Cluster, "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.Net.Proxy.Dialer.Dial("tcp", addr); err == nil || !strings.Contains(err.Error(), "tls with "+addr) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
}

// TestABrokerThatSpeaksNoTLSIsNamedSoon, and what to do about it.
func TestABrokerThatSpeaksNoTLSIsNamedSoon(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c := config.DefaultShared().Broker
		c.Addresses, c.TLS = []string{addr}, config.TLS{Enabled: true}
		mismatched(t, c, reason.KafkaPlain)
	})
}

// TestABrokerThatSpeaksTLSOnlyIsNamedSoon, and what to do about it.
func TestABrokerThatSpeaksTLSOnlyIsNamedSoon(t *testing.T) {
	addr, _ := encrypted(t)
	c := config.DefaultShared().Broker
	c.Addresses = []string{addr}
	mismatched(t, c, reason.KafkaEncrypted)
}

func mismatched(t *testing.T, c config.Broker, want reason.Code) {
	t.Helper()
	began := time.Now()
	_, err := NewScanner(c, "test")
	if err == nil {
		t.Fatal("connected")
	}
	why, do := reason.Of(err)
	if took := time.Since(began); !errors.Is(err, ErrConnect) || why.Code != want || why.Values["broker"] != c.Addresses[0] || do.IsZero() || took > 10*time.Second {
		t.Errorf("after %s: %v (%v, %v)", took, err, why, do)
	}
}
