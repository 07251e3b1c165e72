package daemon

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"datawatch/pkg/config"
)

// UsageError is a command line that can't be understood: the program exits with ExitConfig.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap gives the reason.
func (e UsageError) Unwrap() error { return e.Err }

// noArguments takes a word for a misspelt command.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	of := cmd
	if !cmd.HasAvailableSubCommands() {
		of = cmd.Root()
	}
	var known []string
	for _, c := range of.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	hint := "known: " + strings.Join(known, ", ")
	if near := config.Nearest(args[0], known); near != "" {
		hint = "did you mean " + near + "?"
	}
	return UsageError{fmt.Errorf("%s: unknown command %q (%s)", cmd.CommandPath(), args[0], hint)}
}

// checkArguments has the arguments that a command below cmd refuses be a UsageError, whichever check it came with.
func checkArguments(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		if check := c.Args; check != nil {
			c.Args = func(c *cobra.Command, args []string) error { return wrongArguments(c, args, check(c, args)) }
		}
		checkArguments(c)
	}
}

func wrongArguments(c *cobra.Command, args []string, err error) error {
	var usage UsageError
	switch {
	case err == nil || errors.As(err, &usage):
		return err
	case c.HasAvailableSubCommands():
		return noArguments(c, args)
	}
	if none := cobra.NoArgs(c, args); none != nil && none.Error() == err.Error() {
		return UsageError{fmt.Errorf("%s: %q is one too many: it takes flags only", c.CommandPath(), args[0])}
	}
	return UsageError{fmt.Errorf("%s: %w", c.CommandPath(), err)}
}
