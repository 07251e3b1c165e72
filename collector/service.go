package collector

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"datawatch/collector/internal/postgres"
	"datawatch/collector/internal/postgres/wal"
	"datawatch/collector/internal/supervise"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
)

// Service is the collector as a program.
func Service() daemon.Service[Config] {
	return daemon.Service[Config]{
		Name:    "collector",
		Summary: "Captures databases and Kafka clusters, exactly once",
		Default: DefaultConfig,
		Shared:  func(c *Config) *config.Shared { return &c.Shared },
		Listen:  func(c *Config) string { return c.Collector.Listen },
		Run:     Run,
		Check:   check,
		Memory:  memory,

		RunReloading: RunReloading,
		Commands: func(load func() (Config, error)) []*cobra.Command {
			return commands(load)
		},
	}
}

const (
	memoryOfAll    = 64 << 20
	memoryOfSource = 32 << 20 // what a shard reads ahead while the broker is away, and what is made of it
)

// memory is from how many bytes on the collector of garbage works harder: without it, as much again as is held becomes garbage.
func memory(c Config) int64 {
	var shards int64
	for _, s := range c.Collector.Sources {
		shards++
		if s.Kafka != nil {
			shards += max(0, int64(s.Kafka.Shards)-1)
		}
	}
	return memoryOfAll + shards*memoryOfSource
}

// check looks at the broker, its topics and every source; it creates nothing.
func check(ctx context.Context, c Config) []daemon.Finding {
	topics := broker.TopicsOf(c.Broker.TopicPrefix)
	findings := daemon.CheckBroker(ctx, c.Broker, "datawatch-collector", supervise.Group(c.Broker.TopicPrefix), topics.Raw, topics.State)
	findings = append(findings, maskedSources(c)...)
	for _, s := range c.Collector.Sources {
		found := open(c, s, nowhere()).Check(ctx)
		findings = append(findings, found...)
		if s.Postgres != nil && !s.Postgres.CapturesWAL() && !postgres.NotConnected(found[0].Err) {
			findings = append(findings, wal.Compare(ctx, s.Name, *s.Postgres))
		}
	}
	return append(findings, daemon.CheckTelegram(ctx, c.Shared, "collector", c.Telegram.Feed, c.Telegram.Alerts))
}

// maskedSources names the entries of mask that are of no source's streams: they count for what raw holds of sources that are gone, and
// else are misspelt.
func maskedSources(c Config) (findings []daemon.Finding) {
	var known []string
	of := map[string]bool{}
	for _, s := range c.Collector.Sources {
		known = append(known, s.Name)
		for _, m := range masksOf(c.Mask, s.Name) {
			of[m.Stream] = true
		}
	}
	for i, m := range c.Mask {
		if !of[m.Stream] {
			findings = append(findings, daemon.Finding{
				What: fmt.Sprintf("mask[%d]", i), Detail: fmt.Sprintf("%s: the configuration has no source of that name: it has %s", m.Stream, strings.Join(known, ", ")),
			})
		}
	}
	return findings
}
