package registry_test

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"datawatch/pkg/config"
	"datawatch/pkg/normalize"
	"datawatch/pkg/normalize/registry"
)

func open(t *testing.T, c config.SchemaRegistry) *registry.Registry {
	t.Helper()
	r, err := registry.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSchemaComesWithWhatItRefersTo(t *testing.T) {
	server := srfake.New(srfake.WithAuth("Basic dXNlcjpzZWNyZXQ="))
	t.Cleanup(server.Close)
	client, err := sr.NewClient(sr.URLs(server.URL()), sr.BasicAuth("user", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	create := func(subject, text string, refs ...sr.SchemaReference) int {
		t.Helper()
		s, err := client.CreateSchema(t.Context(), subject, sr.Schema{Type: sr.TypeAvro, Schema: text, References: refs})
		if err != nil {
			t.Fatal(err)
		}
		return s.ID
	}
	create("money", `{"type":"record","name":"Money","fields":[{"name":"n","type":"long"}]}`)
	create("line", `{"type":"record","name":"Line","fields":[{"name":"m","type":"Money"}]}`, sr.SchemaReference{Name: "Money", Subject: "money", Version: 1})
	id := create("order", `{"type":"record","name":"Order","fields":[{"name":"l","type":"Line"},{"name":"m","type":"Money"}]}`,
		sr.SchemaReference{Name: "Line", Subject: "line", Version: 1}, sr.SchemaReference{Name: "Money", Subject: "money", Version: 1})

	s, err := open(t, config.SchemaRegistry{URL: server.URL(), Username: "user", Password: "secret"}).Schema(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if s.Type != normalize.Avro || len(s.References) != 2 || s.References[0].Name != "Money" || s.References[1].Name != "Line" {
		t.Errorf("%+v", s)
	}
	if err := open(t, config.SchemaRegistry{URL: server.URL()}).Check(t.Context()); err == nil {
		t.Error("a check without a password passes")
	}
	if err := open(t, config.SchemaRegistry{URL: server.URL(), Username: "user", Password: "secret"}).Check(t.Context()); err != nil {
		t.Error(err)
	}
	_, err = open(t, config.SchemaRegistry{URL: server.URL()}).Schema(t.Context(), id)
	if u, ok := errors.AsType[*normalize.Unavailable](err); !ok || !strings.HasPrefix(u.What, "schema registry ") {
		t.Errorf("without a password: %v", err)
	}
}

func TestMissingSchemaIsAskedForOnceAMoment(t *testing.T) {
	asked := 0
	server := srfake.New()
	server.Intercept(func(http.ResponseWriter, *http.Request) bool { asked++; return false })
	t.Cleanup(server.Close)
	r := open(t, config.SchemaRegistry{URL: server.URL()})
	for range 3 {
		_, err := r.Schema(t.Context(), 42)
		if u, ok := errors.AsType[*normalize.Unavailable](err); !ok || !strings.HasPrefix(u.What, "schema 42 of ") {
			t.Errorf("%v", err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// served puts a registry behind TLS, with a certificate of its own.
func served(t *testing.T, h http.Handler) (url, caFile string) {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL, caFile
}

func TestRegistryBehindTLSAsksForAPassword(t *testing.T) {
	fake := srfake.New(srfake.WithAuth("Basic dXNlcjpzZWNyZXQ="))
	t.Cleanup(fake.Close)
	fake.SeedSchema("orders", 1, 7, sr.Schema{Type: sr.TypeJSON, Schema: `{}`})
	url, ca := served(t, fake.Handler())
	s, err := open(t, config.SchemaRegistry{URL: url, Username: "user", Password: "secret", CAFile: ca}).Schema(t.Context(), 7)
	if err != nil || s.Type != normalize.JSONSchema {
		t.Fatalf("%v, %v", s, err)
	}
	for name, c := range map[string]config.SchemaRegistry{
		"a certificate that nobody vouches for": {URL: url, Username: "user", Password: "secret"},
		"a wrong password":                      {URL: url, Username: "user", Password: "wrong", CAFile: ca},
	} {
		_, err := open(t, c).Schema(t.Context(), 7)
		if u, ok := errors.AsType[*normalize.Unavailable](err); !ok || u.Schema != 0 || u.Registry != url {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := registry.New(config.SchemaRegistry{URL: url, CAFile: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a file of certificates that isn't there is no error")
	}
}

func TestPasswordInTheAddressIsNeverShown(t *testing.T) {
	fake := srfake.New()
	t.Cleanup(fake.Close)
	address := strings.Replace(fake.URL(), "http://", "http://user:hidden@", 1)
	_, err := open(t, config.SchemaRegistry{URL: address}).Schema(t.Context(), 7)
	if u, ok := errors.AsType[*normalize.Unavailable](err); !ok || strings.Contains(u.What+u.Registry+u.Error(), "hidden") {
		t.Errorf("%v", err)
	}
}
