// Package registry reads schemas from Confluent's schema registry, for package normalize.
//
// It refuses to write, and to ask again and again: a schema is asked for once, since an id never gets another one, and
// after a failure the same answer is given for a moment. What isn't there or can't be reached is a
// *normalize.Unavailable: the record waits, nothing is lost.
package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"datawatch/pkg/config"
	"datawatch/pkg/normalize"
)

const (
	timeout       = 5 * time.Second // of one request
	failurePause  = 2 * time.Second // between attempts for one schema
	maxReferences = 200             // of one schema
	maxFailures   = 10_000          // that are remembered
)

// Registry is a registry's client. It may be used by several goroutines.
type Registry struct {
	client *sr.Client
	url    string // without a password

	mu       sync.Mutex
	failures map[int]failure
	now      func() time.Time
}

type failure struct {
	err   error
	until time.Time
}

var _ normalize.Schemas = (*Registry)(nil)

// New makes a client; nothing is asked yet.
func New(c config.SchemaRegistry) (*Registry, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("schema_registry ca_file: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("schema_registry ca_file %s: no certificate in it", c.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
	options := []sr.ClientOpt{sr.URLs(c.URL), sr.HTTPClient(&http.Client{Timeout: timeout, Transport: transport}), sr.UserAgent("datawatch")}
	if c.Username != "" {
		options = append(options, sr.BasicAuth(c.Username, c.Password.Reveal()))
	}
	client, err := sr.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("schema_registry %s: %w", c.URL, err)
	}
	shown := c.URL
	if parsed, err := url.Parse(c.URL); err == nil {
		shown = parsed.Redacted()
	}
	return &Registry{client: client, url: shown, failures: map[int]failure{}, now: time.Now}, nil
}

// codeNoSchema is the registry's own code for a schema that isn't there, as against a path that isn't.
const codeNoSchema = 40403

// Check asks for a schema, which is all that is ever asked for. That there is none is a fine answer.
func (r *Registry) Check(ctx context.Context) error {
	_, err := r.client.SchemaByID(ctx, 1)
	if answer, ok := errors.AsType[*sr.ResponseError](err); ok && answer.ErrorCode == codeNoSchema {
		return nil
	}
	return err
}

// Schema gives a schema with what it refers to.
func (r *Registry) Schema(ctx context.Context, id int) (*normalize.Schema, error) {
	r.mu.Lock()
	failed, ok := r.failures[id]
	r.mu.Unlock()
	if ok && r.now().Before(failed.until) {
		return nil, failed.err
	}
	schema, err := r.fetch(ctx, id)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.failures, id)
	if err == nil {
		return schema, nil
	}
	if len(r.failures) >= maxFailures {
		clear(r.failures)
	}
	err = r.unavailable(id, err)
	r.failures[id] = failure{err, r.now().Add(failurePause)}
	return nil, err
}

// unavailable says what is missing: the schema, where the registry has answered that it is, else the registry.
func (r *Registry) unavailable(id int, err error) error {
	if answer, ok := errors.AsType[*sr.ResponseError](err); ok && answer.StatusCode == http.StatusNotFound {
		return &normalize.Unavailable{What: fmt.Sprintf("schema %d of %s", id, r.url), Schema: id, Registry: r.url, Err: err}
	}
	return &normalize.Unavailable{What: "schema registry " + r.url, Registry: r.url, Err: err}
}

func (r *Registry) fetch(ctx context.Context, id int) (*normalize.Schema, error) {
	found, err := r.client.SchemaByID(ctx, id)
	if err != nil {
		return nil, err
	}
	schema := &normalize.Schema{Type: normalize.SchemaType(found.Type.String()), Text: found.Schema}
	seen := map[string]bool{}
	return schema, r.refer(ctx, schema, found.References, seen)
}

// refer adds what is referred to, each behind what it refers to itself.
func (r *Registry) refer(ctx context.Context, s *normalize.Schema, references []sr.SchemaReference, seen map[string]bool) error {
	for _, ref := range references {
		if seen[ref.Name] {
			continue
		}
		if seen[ref.Name] = true; len(seen) > maxReferences {
			return fmt.Errorf("more than %d references", maxReferences)
		}
		found, err := r.client.SchemaByVersion(ctx, ref.Subject, ref.Version)
		if err != nil {
			return fmt.Errorf("reference %s: %w", ref.Name, err)
		}
		if err := r.refer(ctx, s, found.References, seen); err != nil {
			return err
		}
		s.References = append(s.References, normalize.Reference{Name: ref.Name, Text: found.Schema.Schema})
	}
	return nil
}
