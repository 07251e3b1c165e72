package preprocessor

import (
	"fmt"
	"net"
	"time"

	"datawatch/pkg/config"

	"datawatch/preprocessor/internal/transform"
)

// Config is what the preprocessor reads of datawatch.yaml.
type Config struct {
	config.Shared `yaml:",inline"`
	Preprocessor  Section `yaml:"preprocessor"`
}

// Section is the preprocessor's own part.
type Section struct {
	// Listen is the address of /metrics, /healthz and /readyz. Default 127.0.0.1:9102.
	Listen string `yaml:"listen"`
	// SchemaWait is how long records wait for a schema that the registry doesn't have or give; then they are dead letters.
	// Default 15m.
	SchemaWait config.Duration `yaml:"schema_wait"`
	// Transforms change events on their way, in this order.
	Transforms []transform.Rule `yaml:"transforms"`
}

// Validate checks the address and the wait; each transform checks itself.
func (s *Section) Validate(p *config.Problems) {
	if _, _, err := net.SplitHostPort(s.Listen); err != nil {
		p.Add("listen", fmt.Sprintf("%q is not an address", s.Listen), "host:port, as in 127.0.0.1:9102")
	}
	if s.SchemaWait < 0 {
		p.Add("schema_wait", "less than nothing", "a duration, as in 15m; 0s is no wait")
	}
}

// DefaultConfig is what stands where the file says nothing.
func DefaultConfig() Config {
	return Config{Shared: config.DefaultShared(), Preprocessor: Section{Listen: "127.0.0.1:9102", SchemaWait: config.Duration(15 * time.Minute)}}
}
