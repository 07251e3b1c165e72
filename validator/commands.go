package validator

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
)

// commands are those beside the service: tools for the people who write schemas.
func commands(load func() (Config, error)) []*cobra.Command {
	return []*cobra.Command{
		lintCommand(), testCommand(), explainCommand(load), replayCommand(load), inferCommand(load), wrongCommand(load), acceptCommand(load),
	}
}

// usage is a command line that can't be understood, with what would be right.
func usage(cmd *cobra.Command, message, hint string) error {
	if hint != "" {
		message += " (" + hint + ")"
	}
	return daemon.UsageError{Err: fmt.Errorf("%s: %s", cmd.CommandPath(), message)}
}

// between takes so many arguments, named in the hint.
func between(least, most int, hint string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usage(cmd, "something is missing behind it", hint)
		case most >= 0 && len(args) > most:
			return usage(cmd, fmt.Sprintf("%q is one too many", args[most]), hint)
		}
		return nil
	}
}

// output is the flag that says how a result is written.
type output struct {
	format string
	known  []string
}

func outputFlag(cmd *cobra.Command, known ...string) *output {
	o := &output{known: known}
	cmd.Flags().StringVarP(&o.format, "output", "o", known[0], strings.Join(known, ", "))
	return o
}

func (o *output) check(cmd *cobra.Command) error {
	if slices.Contains(o.known, o.format) {
		return nil
	}
	hint := strings.Join(o.known, ", ")
	if near := config.Nearest(o.format, o.known); near != "" {
		hint = "did you mean " + near + "?"
	}
	return usage(cmd, fmt.Sprintf("unknown output %q", o.format), hint)
}

// writeJSON writes a result that is data.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
