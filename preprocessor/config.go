package preprocessor

import (
	"fmt"
	"net"

	"datawatch/pkg/config"
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
	// Transforms change events on their way. None is known to this version, so the list has to be empty.
	Transforms []map[string]string `yaml:"transforms"`
}

// Validate checks the address and the transforms.
func (s *Section) Validate(p *config.Problems) {
	if _, _, err := net.SplitHostPort(s.Listen); err != nil {
		p.Add("listen", fmt.Sprintf("%q is not an address", s.Listen), "host:port, as in 127.0.0.1:9102")
	}
	if len(s.Transforms) > 0 {
		p.Add("transforms", "this version has no transforms", "leave it out, or write transforms: []")
	}
}

// DefaultConfig is what stands where the file says nothing.
func DefaultConfig() Config {
	return Config{Shared: config.DefaultShared(), Preprocessor: Section{Listen: "127.0.0.1:9102"}}
}
