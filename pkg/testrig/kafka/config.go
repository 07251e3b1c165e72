package kafka

import (
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed log4j2.properties
var log4j []byte

func (s *Server) properties() string { return filepath.Join(s.dir, "server.properties") }
func (s *Server) log4j() string      { return filepath.Join(s.dir, "log4j2.properties") }
func (s *Server) data() string       { return filepath.Join(s.dir, "data") }

// configure writes the server's configuration for its present ports.
func (s *Server) configure() error {
	settings := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        "1",
		"controller.quorum.voters":       fmt.Sprintf("1@127.0.0.1:%d", s.controllerPort),
		"controller.listener.names":      "CONTROLLER",
		"listeners":                      fmt.Sprintf("PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d", s.port, s.controllerPort),
		"advertised.listeners":           fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", s.port),
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
		"inter.broker.listener.name":     "PLAINTEXT",
		"log.dirs":                       s.data(),

		// One node can't have three replicas.
		"default.replication.factor":                       "1",
		"offsets.topic.replication.factor":                 "1",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",

		// The usual 50 partitions each would be made when the first client comes.
		"offsets.topic.num.partitions":         "4",
		"transaction.state.log.num.partitions": "4",

		// A killed broker's registration has to lapse before it may register again.
		"broker.session.timeout.ms":    "3000",
		"broker.heartbeat.interval.ms": "500",

		"group.initial.rebalance.delay.ms": "0",
		"auto.create.topics.enable":        "false",
		"log.cleaner.dedupe.buffer.size":   "16777216", // of 128 MiB, a quarter of the heap
	}
	for _, name := range slices.Sorted(maps.Keys(s.options.Listeners)) {
		l := s.options.Listeners[name]
		settings["listeners"] += "," + name + "://" + l.Address
		settings["advertised.listeners"] += "," + name + "://" + cmp.Or(l.Advertised, l.Address)
		settings["listener.security.protocol.map"] += "," + name + ":" + cmp.Or(l.Protocol, "PLAINTEXT")
	}
	maps.Copy(settings, s.options.Settings)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s=%s\n", name, strings.ReplaceAll(settings[name], `\`, `\\`))
	}
	if err := os.WriteFile(s.properties(), []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	if err := os.WriteFile(s.log4j(), log4j, 0o644); err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	return nil
}
