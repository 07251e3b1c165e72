package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"golang.org/x/sync/errgroup"

	"datawatch/collector"
	"datawatch/pkg/broker/embedded"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/preprocessor"
	"datawatch/validator"
)

// Config is the whole of datawatch.yaml, and where the embedded broker keeps its data.
type Config struct {
	config.Shared `yaml:",inline"`
	Collector     collector.Section    `yaml:"collector"`
	Preprocessor  preprocessor.Section `yaml:"preprocessor"`
	Validator     validator.Section    `yaml:"validator"`
	Standalone    Section              `yaml:"standalone"`
}

// Section is what only this program reads.
type Section struct {
	// DataDir is the folder of the embedded broker. Default ./datawatch-data.
	DataDir string `yaml:"data_dir"`
}

func defaultConfig() Config {
	c := Config{
		Shared:    config.DefaultShared(),
		Collector: collector.DefaultConfig().Collector, Preprocessor: preprocessor.DefaultConfig().Preprocessor, Validator: validator.DefaultConfig().Validator,
		Standalone: Section{DataDir: "datawatch-data"},
	}
	c.Broker.Addresses = []string{"127.0.0.1:9092"}
	return c
}

// Validate checks that the broker can be the embedded one.
func (c *Config) Validate(p *config.Problems) {
	loopback := false
	if len(c.Broker.Addresses) == 1 {
		host, _, err := net.SplitHostPort(c.Broker.Addresses[0])
		ip := net.ParseIP(host)
		loopback = err == nil && ip != nil && ip.IsLoopback()
	}
	if !loopback {
		p.Add("broker.addresses", fmt.Sprintf("standalone brings its own broker, and %v isn't an address for it", c.Broker.Addresses),
			`leave it out, or ["127.0.0.1:9092"]; for a Kafka of yours run collector, preprocessor and validator`)
	}
	if c.Broker.TLS.Enabled || c.Broker.SASL.Mechanism != "" {
		p.Add("broker", "the embedded broker has neither TLS nor SASL: it listens on this machine only", "leave broker.tls and broker.sasl out")
	}
	if c.Broker.Replication != 1 {
		p.Add("broker.replication", "there is one broker", "1")
	}
}

const summary = `The embedded broker and the three services in one command, for one machine without Kafka

What it survives: SIGTERM and Ctrl-C, a restart, and the end of any service's work at any moment.
What it doesn't promise: that what it holds is whole after a power cut or a SIGKILL of the broker's process. Captured
changes may then be lost or repeated. Where that matters, run the services with an Apache Kafka.`

func service() daemon.Service[Config] {
	return daemon.Service[Config]{
		Name: "standalone", Summary: summary, Default: defaultConfig,
		Shared: func(c *Config) *config.Shared { return &c.Shared },
		Listen: func(c *Config) string { return c.Collector.Listen },
		Check:  check,

		RunReloading: run,
	}
}

// run runs the broker and the services; the broker stops last. What the configuration becomes the collector is told, as where
// it runs alone.
func run(ctx context.Context, c Config, reloads <-chan daemon.Reload[Config], env daemon.Env) (err error) {
	env.Log.Warn("the embedded broker keeps its data over a clean stop; after a power cut or a SIGKILL of its process nothing is promised", "data", c.Standalone.DataDir)
	broker, err := startBroker(ctx, c, env.Log)
	if err != nil {
		return err
	}
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), daemon.StopTimeout)
		defer cancel()
		err = errors.Join(err, broker.Stop(stopping))
	}()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		select {
		case <-broker.Done():
			return fmt.Errorf("the embedded broker ended: %w", broker.Err())
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	part := func(name string) daemon.Env { return daemon.NewEnv(env.Log.With("part", name)) }
	collectors := make(chan daemon.Reload[collector.Config])
	group.Go(func() error { return handOn(ctx, reloads, collectors) })
	group.Go(func() error { return collector.RunReloading(ctx, collectorsOf(c), collectors, part("collector")) })
	group.Go(func() error {
		return preprocessor.Run(ctx, preprocessor.Config{Shared: c.Shared, Preprocessor: c.Preprocessor}, part("preprocessor"))
	})
	group.Go(func() error {
		return validator.Run(ctx, validator.Config{Shared: c.Shared, Validator: c.Validator}, part("validator"))
	})
	return group.Wait()
}

// handOn gives the collector its part of each configuration that was read anew.
func handOn(ctx context.Context, reloads <-chan daemon.Reload[Config], to chan<- daemon.Reload[collector.Config]) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case reload := <-reloads:
			select {
			case <-ctx.Done():
				return ctx.Err()
			case to <- daemon.Reload[collector.Config]{Config: collectorsOf(reload.Config), Err: reload.Err}:
			}
		}
	}
}

func collectorsOf(c Config) collector.Config {
	return collector.Config{Shared: c.Shared, Collector: c.Collector}
}

func startBroker(ctx context.Context, c Config, log *slog.Logger) (*embedded.Process, error) {
	return embedded.Start(ctx, embedded.StartOptions{
		DataDir: c.Standalone.DataDir, Listen: c.Broker.Addresses[0], Log: log.With("part", "broker"),
	})
}

// check starts the broker for as long as the services' own checks take.
func check(ctx context.Context, c Config) []daemon.Finding {
	broker, err := startBroker(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return []daemon.Finding{{What: "embedded broker", Err: err, Remedy: "is another standalone running, or another program at " + strings.Join(c.Broker.Addresses, ", ") + "?"}}
	}
	var findings []daemon.Finding
	findings = append(findings, collector.Service().Check(ctx, collectorsOf(c))...)
	findings = append(findings, preprocessor.Service().Check(ctx, preprocessor.Config{Shared: c.Shared, Preprocessor: c.Preprocessor})...)
	findings = append(findings, validator.Service().Check(ctx, validator.Config{Shared: c.Shared, Validator: c.Validator})...)
	return append(findings, daemon.Finding{What: "embedded broker", Err: broker.Stop(ctx)})
}
