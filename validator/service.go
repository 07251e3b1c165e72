package validator

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

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
		Run:      Run,
		Check:    check,
		Commands: func(func() (Config, error)) []*cobra.Command { return []*cobra.Command{lintCommand()} },
	}
}

// check finds out whether the broker answers and the schema folder can be loaded.
func check(_ context.Context, c Config) []daemon.Finding {
	findings := []daemon.Finding{checkBroker(c)}
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
	if c.Telegram.Token == "" {
		findings = append(findings, daemon.Finding{What: "telegram", Detail: "no token: messages go to the log"})
	}
	return findings
}

func checkBroker(c Config) daemon.Finding {
	f := daemon.Finding{What: fmt.Sprintf("broker %v", c.Broker.Addresses)}
	scanner, err := broker.NewScanner(c.Broker, "datawatch-check")
	if err != nil {
		f.Err, f.Remedy = err, "is it up, and are broker.addresses right?"
		return f
	}
	defer func() { _ = scanner.Close() }()
	if _, err := scanner.Partitions(broker.TopicsOf(c.Broker.TopicPrefix).Clean); err != nil {
		f.Detail = "connected; the topics aren't there yet: they are made at the first start"
	}
	return f
}

// errLint says that lint has printed errors.
var errLint = errors.New("the folder has errors")

func lintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lint DIR",
		Short: "Say what is wrong with a folder of schema files",
		Long: "Loads the folder as the service would, and prints what is wrong, a line each: file:line:column: message (hint).\n" +
			"Exits with 1 where there are errors; warnings alone are fine.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return lint(cmd.OutOrStdout(), args[0]) },
	}
}

func lint(to io.Writer, dir string) error {
	set, err := schemas.Load(dir)
	if err != nil {
		return err
	}
	failed := false
	for _, p := range set.Problems() {
		failed = failed || p.Severity == cel.Error
		if _, err := fmt.Fprintln(to, p); err != nil {
			return err
		}
	}
	if failed {
		return errLint
	}
	return nil
}
