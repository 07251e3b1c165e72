package validator

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/validator/internal/alerts"
	"datawatch/validator/internal/schemas"
)

// names are the streams and rules by which rows that are wrong may be asked for.
type names struct{ streams, rules map[string]bool }

func newNames() names {
	return names{streams: map[string]bool{}, rules: map[string]bool{schemas.SchemaRule: true}}
}

func (n names) add(stream event.Stream, rule string) {
	n.streams[string(stream)], n.rules[rule] = true, true
}

// check refuses a filter by which no row was found where it has a name that nothing has: a slip of the pen isn't good news.
// seen are the names in the topic. Where the schema files aren't all here, that they don't have the name is only said.
func (f wrongFilter) check(cmd *cobra.Command, c Config, scanner *broker.Scanner, seen names) error {
	if f.group != "" {
		known, err := alerts.Known(cmd.Context(), scanner, broker.TopicsOf(c.Broker.TopicPrefix).State, f.group)
		if err != nil {
			return err
		}
		if !known {
			return usage(cmd, noGroup(f.group), "")
		}
	}
	set, err := schemas.Load(c.Validator.Schemas)
	if err != nil {
		set = schemas.Empty()
	}
	for _, file := range set.Files() {
		seen.streams[strings.TrimSuffix(file.Name, ".json")] = true
		for _, rule := range file.Rules() {
			seen.rules[rule.ID] = true
		}
	}
	for _, n := range []struct {
		flag, name string
		known      map[string]bool
		matched    bool
	}{
		{"stream", f.stream, seen.streams, len(set.Matching(event.Stream(f.stream))) > 0},
		{"rule", f.rule, seen.rules, false},
	} {
		if n.name == "" || n.known[n.name] || n.matched {
			continue
		}
		what, hint := fmt.Sprintf("no schema file in %s and no row that was wrong has the %s %q", c.Validator.Schemas, n.flag, n.name), ""
		if near := config.Nearest(n.name, slices.Sorted(maps.Keys(n.known))); near != "" {
			hint = "did you mean " + near + "?"
		}
		slip := usage(cmd, what, hint)
		if len(set.Files()) > 0 && len(set.Failures()) == 0 {
			return slip
		}
		cmd.PrintErrln(slip)
	}
	return nil
}
