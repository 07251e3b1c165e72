package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/config"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/kafka"
)

const secret = "open sesame"

// TestSecuredClusterIsReadAndAWrongPasswordIsCalledSo has an Apache Kafka that wants PLAIN, and SCRAM behind TLS.
func TestSecuredClusterIsReadAndAWrongPasswordIsCalledSo(t *testing.T) {
	certificates := certify(t)
	plain, scram := testrig.FreeAddress(t), testrig.FreeAddress(t)
	const module = "org.apache.kafka.common.security."
	server := testrig.KafkaServerOf(t, kafka.Options{
		Listeners: map[string]kafka.Listener{
			"PLAIN": {Address: plain, Protocol: "SASL_PLAINTEXT"},
			"SCRAM": {Address: scram, Protocol: "SASL_SSL"},
		},
		Settings: map[string]string{
			"listener.name.plain.sasl.enabled.mechanisms":               "PLAIN",
			"listener.name.plain.plain.sasl.jaas.config":                module + `plain.PlainLoginModule required user_shop="` + secret + `";`,
			"listener.name.scram.sasl.enabled.mechanisms":               "SCRAM-SHA-256,SCRAM-SHA-512",
			"listener.name.scram.scram-sha-256.sasl.jaas.config":        module + "scram.ScramLoginModule required;",
			"listener.name.scram.scram-sha-512.sasl.jaas.config":        module + "scram.ScramLoginModule required;",
			"listener.name.scram.ssl.keystore.type":                     "PEM",
			"listener.name.scram.ssl.keystore.location":                 certificates.server,
			"listener.name.scram.ssl.endpoint.identification.algorithm": "",
		},
	})
	k := newCompany(t, server.Addr())
	topic := k.topic(t, "orders", 1, nil)
	k.send(t, message(topic, 0, "a"))
	for _, m := range []sarama.ScramMechanismType{sarama.SCRAM_MECHANISM_SHA_256, sarama.SCRAM_MECHANISM_SHA_512} {
		results, err := k.admin.UpsertUserScramCredentials([]sarama.AlterUserScramCredentialsUpsert{
			{Name: "shop", Mechanism: m, Iterations: 4096, Salt: []byte("salt"), Password: []byte(secret)},
		})
		if err != nil || !isOK(results[0].ErrorCode) {
			t.Fatal(err, results[0].ErrorCode)
		}
	}
	tls := config.TLS{Enabled: true, CAFile: certificates.authority}
	for _, c := range []struct {
		mechanism, addr string
		tls             config.TLS
	}{{"plain", plain, config.TLS{}}, {"scram-sha-256", scram, tls}, {"scram-sha-512", scram, tls}} {
		t.Run(c.mechanism, func(t *testing.T) {
			cfg := k.config(func(cfg *Config) {
				cfg.Start, cfg.Addresses, cfg.TLS = startEarliest, []string{c.addr}, c.tls
				cfg.SASL = config.SASL{Mechanism: c.mechanism, Username: "shop", Password: secret}
			})
			read := newCapture()
			testrig.Eventually(t, 30*time.Second, func() error { // new credentials take a moment to be known
				findings := New(Options{Name: "k", Config: cfg, Internal: internal(), Reporter: read}).Check(t.Context())
				return findings[0].Err
			})
			read.run(t, cfg)
			read.awaitValues(t, "a")

			cfg.SASL.Password = "wrong"
			findings := New(Options{Name: "k", Config: cfg, Internal: internal(), Reporter: newCapture()}).Check(t.Context())
			if err := findings[0].Err; err == nil || !strings.Contains(err.Error(), "wrong password") || strings.Contains(err.Error(), secret) {
				t.Errorf("with a wrong password check says %v", err)
			}
		})
	}
	for _, c := range []struct {
		name, mechanism, addr string
		tls                   config.TLS
		says                  reason.Code
	}{
		{"a port without TLS", "", server.Addr(), tls, reason.KafkaPlain}, {"a port without TLS for users", "plain", plain, tls, reason.KafkaPlain},
		{"a port that wants TLS", "", scram, config.TLS{}, reason.KafkaEncrypted}, {"a port that wants TLS of users", "scram-sha-256", scram, config.TLS{}, reason.KafkaEncrypted},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := k.config(func(cfg *Config) {
				cfg.Addresses, cfg.TLS = []string{c.addr}, c.tls
				if c.mechanism != "" {
					cfg.SASL = config.SASL{Mechanism: c.mechanism, Username: "shop", Password: secret}
				}
			})
			began := time.Now()
			finding := New(Options{Name: "k", Config: cfg, Internal: internal(), Reporter: newCapture()}).Check(t.Context())[0]
			if took := time.Since(began); finding.Err == nil || !strings.Contains(finding.Err.Error(), c.says.With(c.addr).String()) || !strings.Contains(finding.Remedy, "switch tls o") || took > 10*time.Second {
				t.Errorf("after %s check says %v (%s)", took, finding.Err, finding.Remedy)
			}
		})
	}
	t.Run("a certificate of an unknown authority", func(t *testing.T) {
		cfg := k.config(func(cfg *Config) {
			cfg.Addresses, cfg.TLS = []string{scram}, config.TLS{Enabled: true}
			cfg.SASL = config.SASL{Mechanism: "scram-sha-256", Username: "shop", Password: secret}
		})
		findings := New(Options{Name: "k", Config: cfg, Internal: internal(), Reporter: newCapture()}).Check(t.Context())
		if err := findings[0].Err; err == nil || !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), "password") {
			t.Errorf("check says %v", err)
		}
	})
}

// pems are files: the authority's certificate, and the server's key and certificate.
type pems struct{ authority, server string }

// certify makes an authority's certificate for 127.0.0.1, which serves as the server's own too.
func certify(t *testing.T) pems {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	both := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), certificate...)
	dir := t.TempDir()
	p := pems{filepath.Join(dir, "authority.pem"), filepath.Join(dir, "server.pem")}
	for path, text := range map[string][]byte{p.authority: certificate, p.server: both} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}
