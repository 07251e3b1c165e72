package config

import (
	"fmt"
	"path"
	"strings"
)

// Format says of a stream's Kafka records what otherwise is guessed. The first entry that matches a stream counts.
type Format struct {
	// Stream is a stream or a glob: source/topic.
	Stream string `yaml:"stream"`
	// Key and Value are auto (guessed), plain (guessed, but never the schema registry's format), json, text, bytes, or
	// registry. A record that isn't what is said here is a dead letter. Empty is auto.
	Key   string `yaml:"key"`
	Value string `yaml:"value"`
	// Envelope is auto (guessed), none, debezium, maxwell, canal or cloudevents: then only that one is looked for. Empty is auto.
	Envelope string `yaml:"envelope"`
}

// Validate checks the glob, and that the names are known.
func (f *Format) Validate(p *Problems) {
	if _, err := path.Match(f.Stream, ""); err != nil || !strings.Contains(f.Stream, "/") {
		p.Add("stream", fmt.Sprintf("%q is not a stream or a glob of streams", f.Stream), `source/topic, as in "shop-kafka/blobs.*"`)
	}
	if f.Key == "" && f.Value == "" && f.Envelope == "" {
		p.Add("", "nothing is said of the stream's records", "key, value or envelope")
	}
	for _, part := range [][2]string{{"key", f.Key}, {"value", f.Value}} {
		if part[1] != "" {
			p.OneOf(part[0], part[1], "auto", "plain", "json", "text", "bytes", "registry")
		}
	}
	if f.Envelope != "" {
		p.OneOf("envelope", f.Envelope, "auto", "none", "debezium", "maxwell", "canal", "cloudevents")
	}
}
