package mongodb

import (
	"context"
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

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/pkg/config"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/mongodb"
)

const password = "open sesame"

// TestSecuredDeploymentIsCapturedAndWhatIsMissingIsTold has a server that wants TLS and users: by SCRAM, and by X.509 (of
// those that SecantusDB knows; its users are made while it still lets everybody in).
func TestSecuredDeploymentIsCapturedAndWhatIsMissingIsTold(t *testing.T) {
	dir, pems := t.TempDir(), certify(t)
	open := testrig.PrivateMongoDB(t, mongodb.Options{Dir: dir})
	users(t, open, pems.subject)
	if err := open.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	server := testrig.PrivateMongoDB(t, mongodb.Options{
		Dir: dir, URIOptions: "tls=true&tlsCAFile=" + pems.authority,
		Arguments: []string{"--auth", "--tls-cert-file", pems.certificate, "--tls-key-file", pems.key, "--tls-ca-file", pems.authority},
	})
	as := func(user, secret string) string {
		return strings.Replace(server.URI(), "mongodb://", "mongodb://"+user+":"+secret+"@", 1) + "&authSource=admin"
	}
	s := newShop(t, as("writer", strings.ReplaceAll(password, " ", "%20")))
	s.db = s.client.Database("shop")
	of := func(uri string) Config {
		cfg := s.config("*")
		cfg.URI = config.Secret(uri)
		return cfg
	}
	secret := strings.ReplaceAll(password, " ", "%20")
	for name, uri := range map[string]string{
		"SCRAM-SHA-256": as("reader", secret) + "&authMechanism=SCRAM-SHA-256",
		"SCRAM-SHA-1":   as("reader", secret) + "&authMechanism=SCRAM-SHA-1",
		"X.509":         server.URI() + "&authMechanism=MONGODB-X509&tlsCertificateKeyFile=" + pems.both,
	} {
		t.Run(name, func(t *testing.T) {
			for _, f := range New(Options{Name: "shop-mongo", Config: of(uri), Reporter: newCapture()}).Check(t.Context()) {
				if f.Err != nil {
					t.Errorf("%s: %v", f.What, f.Err)
				}
			}
			c := newCapture()
			c.run(t, of(uri))
			s.insert(t, "carts", doc("_id", name))
			if got := told(c.await(t, 1)[0]); got != `insert carts {"_id":"`+name+`"}  -> {"_id":"`+name+`"}` {
				t.Error(got)
			}
		})
	}
	for name, c := range map[string]struct{ uri, reason, remedy string }{
		"wrong password":    {as("reader", "wrong"), "uthentication failed", "password"},
		"missing privilege": {as("stranger", secret), "shop", "role read on shop"},
		"unknown authority": {strings.ReplaceAll(as("reader", secret), "&tlsCAFile="+pems.authority, ""), "certificate", "tls"},
	} {
		t.Run(name, func(t *testing.T) {
			var told bool
			for _, f := range New(Options{Name: "shop-mongo", Config: of(with(c.uri, "serverSelectionTimeoutMS", "5000")), Reporter: newCapture()}).Check(t.Context()) {
				if f.Err != nil && strings.Contains(f.Err.Error(), c.reason) && strings.Contains(f.Remedy, c.remedy) {
					told = true
				}
				if f.Err != nil && (strings.Contains(f.Err.Error(), password) || strings.Contains(f.Err.Error(), secret)) {
					t.Errorf("the password is shown: %v", f.Err)
				}
				t.Log(f)
			}
			if !told {
				t.Error("check doesn't say it")
			}
		})
	}
}

// users are one who writes, one who reads, one who may read another database only, and one whom a certificate names.
func users(t *testing.T, server *mongodb.Server, subject string) {
	t.Helper()
	client, err := mongo.Connect(t.Context(), options.Client().ApplyURI(server.URI()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(t.Context())) }()
	for user, role := range map[string]bson.D{
		"writer": doc("role", "root", "db", "admin"), "reader": doc("role", "read", "db", "shop"), "stranger": doc("role", "read", "db", "other"),
	} {
		if err := client.Database("admin").RunCommand(t.Context(), doc("createUser", user, "pwd", password,
			"mechanisms", bson.A{"SCRAM-SHA-1", "SCRAM-SHA-256"}, "roles", bson.A{role})).Err(); err != nil {
			t.Fatal(err)
		}
	}
	named := doc("createUser", subject, "mechanisms", bson.A{"MONGODB-X509"}, "roles", bson.A{doc("role", "read", "db", "shop")})
	if err := client.Database("$external").RunCommand(t.Context(), named).Err(); err != nil {
		t.Fatal(err)
	}
}

// pems are files: an authority's certificate for 127.0.0.1, which serves as everybody's own too, and its key.
type pems struct{ authority, certificate, key, both, subject string }

func certify(t *testing.T) pems {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
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
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	dir := t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return pems{
		authority: file("authority.pem", certificate), certificate: file("certificate.pem", certificate), key: file("key.pem", secret),
		both: file("both.pem", append(secret, certificate...)), subject: "CN=shop",
	}
}
