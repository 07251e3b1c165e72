package preprocessor

import (
	"context"

	"github.com/spf13/cobra"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/normalize/registry"
)

// Service is the preprocessor as a program.
func Service() daemon.Service[Config] {
	return daemon.Service[Config]{
		Name:    "preprocessor",
		Summary: "Turns raw records into clean events, exactly once",
		Default: DefaultConfig,
		Shared:  func(c *Config) *config.Shared { return &c.Shared },
		Run:     Run,
		Check:   check,
		Memory:  memory,
		Listen:  func(c *Config) string { return c.Preprocessor.Listen },
		Commands: func(load func() (Config, error)) []*cobra.Command {
			return []*cobra.Command{deadLettersCommand(load)}
		},
	}
}

// memory is what garbage may fill up to: the service stays below 300 MB whatever it reads, unless records may be larger than
// by default.
func memory(c Config) int64 {
	const least, records = 230 << 20, 20
	return max(least, records*int64(broker.RecordLimit(c.Broker)))
}

// check looks at the schema registry, the broker, the topics, the group and Telegram; it creates nothing.
func check(ctx context.Context, c Config) []daemon.Finding {
	var findings []daemon.Finding
	if c.SchemaRegistry.URL != "" {
		findings = append(findings, checkRegistry(ctx, c))
	}
	findings = append(findings, checkBroker(ctx, c)...)
	return append(findings, daemon.CheckTelegram(ctx, c.Shared, "preprocessor", c.Telegram.Alerts))
}

func checkRegistry(ctx context.Context, c Config) daemon.Finding {
	f := daemon.Finding{What: "schema registry " + c.SchemaRegistry.URL, Remedy: "see schema_registry; is it running?"}
	r, err := registry.New(c.SchemaRegistry)
	if err == nil {
		err = r.Check(ctx)
	}
	f.Err = err
	return f
}

func checkBroker(ctx context.Context, c Config) []daemon.Finding {
	topics := broker.TopicsOf(c.Broker.TopicPrefix)
	return daemon.CheckBroker(ctx, c.Broker, clientID(c), group(c), topics.Raw, topics.Clean, topics.DeadLetter, topics.State)
}
