package registry_test

import (
	"errors"
	"net/http"
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
