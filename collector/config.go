package collector

import (
	"fmt"
	"net"

	"datawatch/collector/internal/kafka"
	"datawatch/collector/internal/mongodb"
	"datawatch/collector/internal/postgres"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
)

// Config is what the collector reads of datawatch.yaml.
type Config struct {
	config.Shared `yaml:",inline"`
	Collector     Section `yaml:"collector"`
}

// Section is the collector's own part.
type Section struct {
	// Listen is the address of /metrics, /healthz and /readyz. Default 127.0.0.1:9101.
	Listen  string   `yaml:"listen"`
	Sources []Source `yaml:"sources"`
}

// Source is one captured system: a name, and exactly one of the kinds.
type Source struct {
	Name string `yaml:"name"`
	// Feed shows the source's events in the live feed. Default true.
	Feed     bool             `yaml:"feed"`
	Postgres *postgres.Config `yaml:"postgres"`
	MongoDB  *mongodb.Config  `yaml:"mongodb"`
	Kafka    *kafka.Config    `yaml:"kafka"`
}

// SetDefaults sets what stands where the file says nothing.
func (s *Source) SetDefaults() { *s = Source{Feed: true} }

// DefaultConfig is what stands where the file says nothing.
func DefaultConfig() Config {
	return Config{Shared: config.DefaultShared(), Collector: Section{Listen: "127.0.0.1:9101"}}
}

// Validate checks the address, and that no two sources have one name, or one outbox.
func (s *Section) Validate(p *config.Problems) {
	if _, _, err := net.SplitHostPort(s.Listen); err != nil {
		p.Add("listen", fmt.Sprintf("%q is not an address", s.Listen), "host:port, as in 127.0.0.1:9101")
	}
	if len(s.Sources) == 0 {
		p.Add("sources", "missing", "at least one system to capture")
	}
	names := map[string]bool{}
	for i, source := range s.Sources {
		if names[source.Name] && source.Name != "" {
			p.Add(fmt.Sprintf("sources[%d].name", i), fmt.Sprintf("%q is taken by another source", source.Name), "a name of its own: streams are named for it")
		}
		names[source.Name] = true
		for _, other := range s.Sources[:i] {
			if source.hasOutbox() && other.hasOutbox() && postgres.SameDatabase(source.Postgres.DSN, other.Postgres.DSN) {
				p.Add(fmt.Sprintf("sources[%d].postgres.dsn", i), fmt.Sprintf("it is the database of the source %q too, and has one outbox", other.Name), "one source, with the tables of both; or capture: wal")
			}
		}
	}
}

// hasOutbox tells whether triggers in the source's database write what it captures.
func (s *Source) hasOutbox() bool { return s.Postgres != nil && !s.Postgres.CapturesWAL() }

// Validate checks the name and that there is one kind.
func (s *Source) Validate(p *config.Problems) {
	if err := event.CheckSourceName(s.Name); err != nil {
		p.Add("name", err.Error(), "as in shop-db")
	}
	var kinds int
	for _, given := range []bool{s.Postgres != nil, s.MongoDB != nil, s.Kafka != nil} {
		if given {
			kinds++
		}
	}
	if kinds != 1 {
		p.Add("", fmt.Sprintf("%d kinds of system are given", kinds), "exactly one of postgres, mongodb and kafka")
	}
}
