package preprocessor

import (
	"fmt"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"datawatch/pkg/config"
	"datawatch/pkg/event"

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
	// Plain are streams, or globs of them, whose keys and values never are in the schema registry's wire format, though they
	// may begin with a zero byte.
	Plain []string `yaml:"plain"`
	// Transforms change events on their way, in this order.
	Transforms []transform.Rule `yaml:"transforms"`
}

// Validate checks the address, the wait and the globs; each transform checks itself.
func (s *Section) Validate(p *config.Problems) {
	if _, _, err := net.SplitHostPort(s.Listen); err != nil {
		p.Add("listen", fmt.Sprintf("%q is not an address", s.Listen), "host:port, as in 127.0.0.1:9102")
	}
	if s.SchemaWait < 0 {
		p.Add("schema_wait", "less than nothing", "a duration, as in 15m; 0s is no wait")
	}
	for i, glob := range s.Plain {
		if _, err := path.Match(glob, ""); err != nil || !strings.Contains(glob, "/") {
			p.Add(fmt.Sprintf("plain[%d]", i), fmt.Sprintf("%q is not a stream or a glob of streams", glob), `source/entity, as in "shop-kafka/blobs.*"`)
		}
	}
}

func (s *Section) isPlain(stream event.Stream) bool {
	return slices.ContainsFunc(s.Plain, func(glob string) bool {
		ok, err := path.Match(glob, string(stream))
		return err == nil && ok
	})
}

// DefaultConfig is what stands where the file says nothing.
func DefaultConfig() Config {
	return Config{Shared: config.DefaultShared(), Preprocessor: Section{Listen: "127.0.0.1:9102", SchemaWait: config.Duration(15 * time.Minute)}}
}
