package validator

import (
	"context"
	"errors"
	"fmt"

	"datawatch/pkg/broker"
	"datawatch/pkg/cel"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/validator/internal/schemas"
)

// Service is the validator as a program.
func Service() daemon.Service[Config] {
	return daemon.Service[Config]{
		Name:     "validator",
		Summary:  "Judges clean events by JSON Schema and rules, and tells people what is wrong.",
		Default:  DefaultConfig,
		Shared:   func(c *Config) *config.Shared { return &c.Shared },
		Listen:   func(c *Config) string { return c.Validator.Listen },
		Run:      Run,
		Check:    check,
		Busy:     true, // events are judged on all cores
		Commands: commands,
	}
}

// check looks at the broker and its topics, at Telegram, and at the schema folder.
func check(ctx context.Context, c Config) []daemon.Finding {
	topics := broker.TopicsOf(c.Broker.TopicPrefix)
	findings := daemon.CheckBroker(ctx, c.Broker, "datawatch-validator", c.Broker.TopicPrefix+"-validator",
		topics.Clean, topics.Violations, topics.Wrong, topics.Control, topics.State)
	findings = append(findings, daemon.CheckTelegram(ctx, c.Shared, "validator", c.Telegram.AlertChats()...))
	set, err := schemas.Load(c.Validator.Schemas)
	if err != nil {
		return append(findings, daemon.Finding{What: "schemas", Err: err, Remedy: "set validator.schemas to the folder"})
	}
	folder := daemon.Finding{What: "schemas " + c.Validator.Schemas, Detail: fmt.Sprintf("%d files", len(set.Files()))}
	if len(set.Files()) == 0 {
		folder.Detail = "no file: nothing is checked; the path is the stream, as in shop-db/public.orders.json"
	}
	findings = append(findings, folder)
	for _, p := range set.Problems() {
		if p.Severity == cel.Error {
			findings = append(findings, daemon.Finding{What: "schema file", Err: errors.New(p.String())})
		}
	}
	return findings
}
