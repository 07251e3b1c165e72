package validator

import (
	"fmt"

	"github.com/spf13/cobra"

	"datawatch/pkg/cel"
	"datawatch/validator/internal/lint"
)

func lintCommand() *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "lint DIR",
		Short: "Say what is wrong with a folder of schema files",
		Long: "Looks through the folder for what the service would refuse, and for what JSON Schema accepts in silence: misspelt\n" +
			"keywords, unknown formats, names that stand twice, required without properties, empty enums, patterns and $refs that\n" +
			"don't work, rules that can't be true or are never asked, globs that hide others. A line each:\n\n" +
			"  file:line:column: message (did you mean …)\n\n" +
			"Exits with 1 where there are errors, with --strict where there are warnings too.",
		Example: "  validator lint ./schemas\n  validator lint ./schemas --output github",
		Args:    between(1, 1, "the folder of schema files: validator lint ./schemas"),
	}
	out := outputFlag(cmd, lint.Formats...)
	cmd.Flags().BoolVar(&strict, "strict", false, "exit with 1 for warnings too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := out.check(cmd); err != nil {
			return err
		}
		findings, err := lint.Folder(args[0])
		if err != nil {
			return err
		}
		if err := lint.Write(cmd.OutOrStdout(), out.format, findings); err != nil {
			return err
		}
		if lint.Failed(findings, strict) {
			return fmt.Errorf("%s: %s", args[0], count(findings))
		}
		return nil
	}
	return cmd
}

// count says how many findings there are.
func count(findings []lint.Finding) string {
	errors := 0
	for _, f := range findings {
		if f.Severity == cel.Error {
			errors++
		}
	}
	return fmt.Sprintf("%s, %s", some(errors, "error"), some(len(findings)-errors, "warning"))
}

// some is a number of things.
func some(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
