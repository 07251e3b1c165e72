// Package validator is the service that says what is wrong with the data: clean events in, violations and wrong rows out,
// and one living Telegram message a group of violations.
//
// Every event is judged by the schema file of its stream, in transactions that carry violations, wrong rows and offsets
// together. Several validators share the partitions; one of them at a time keeps the alerts, and another takes over when
// it leaves. It refuses to guess: a stream without a schema is counted, not alerted; a schema file that is wrong changes
// nothing, and people are told of it.
package validator

import (
	"strings"

	"datawatch/pkg/config"
)

// Config is what the service reads of datawatch.yaml.
type Config struct {
	config.Shared `yaml:",inline"`
	Validator     Section `yaml:"validator"`
}

// Section is the part of the file that is the validator's alone.
type Section struct {
	// Listen is where /metrics, /healthz and /readyz are served.
	Listen string `yaml:"listen"`
	// Schemas is the folder of schema files.
	Schemas string `yaml:"schemas"`
}

// DefaultConfig is what stands where the file says nothing.
func DefaultConfig() Config {
	return Config{Shared: config.DefaultShared(), Validator: Section{Listen: "127.0.0.1:9103", Schemas: "./schemas"}}
}

// Validate checks that there is an address and a folder.
func (s *Section) Validate(p *config.Problems) {
	if !strings.Contains(s.Listen, ":") {
		p.Add("listen", "not an address", "host:port, as in 127.0.0.1:9103")
	}
	if s.Schemas == "" {
		p.Add("schemas", "missing", "the folder of schema files, as in ./schemas")
	}
}
