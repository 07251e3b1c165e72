package validator

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"datawatch/validator/internal/samples"
	"datawatch/validator/internal/schemas"
)

func testCommand() *cobra.Command {
	var junit string
	cmd := &cobra.Command{
		Use:   "test DIR [FILE…]",
		Short: "Judge samples that have to pass or fail",
		Long: "Judges the samples under DIR/_tests by the schemas in DIR, as the service would:\n\n" +
			"  _tests/shop-db/public.orders/valid/paid.json      has to pass\n" +
			"  _tests/shop-db/public.orders/invalid/total.json   has to fail\n\n" +
			"A sample is the row itself, or, for rules about changes and to say what has to be reported:\n\n" +
			"  {\"op\": \"update\", \"old\": {…}, \"self\": {…}, \"expect\": [\"paid-stays-paid\", \"/items/0/price\"]}\n\n" +
			"where expect names rules, or places in the row. FILEs are samples, or folders of them, to judge instead of all.\n" +
			"Exits with 1 where one fails.",
		Example: "  validator test ./schemas\n  validator test ./schemas --junit report.xml",
		Args:    between(1, -1, "the folder of schema files: validator test ./schemas"),
	}
	out := outputFlag(cmd, "text", "json")
	cmd.Flags().StringVar(&junit, "junit", "", "write a JUnit report to this file too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := out.check(cmd); err != nil {
			return err
		}
		outcomes, err := judgeSamples(cmd, args[0], args[1:])
		if err != nil {
			return err
		}
		if junit != "" {
			if err := writeJUnit(junit, outcomes); err != nil {
				return err
			}
		}
		write := samples.Write
		if out.format == "json" {
			write = samples.WriteJSON
		}
		if err := write(cmd.OutOrStdout(), outcomes); err != nil {
			return err
		}
		if failed := samples.Failed(outcomes); failed > 0 {
			return fmt.Errorf("%d of %s failed", failed, some(len(outcomes), "sample"))
		}
		return nil
	}
	return cmd
}

func judgeSamples(cmd *cobra.Command, dir string, files []string) ([]samples.Outcome, error) {
	set, err := schemas.Load(dir)
	if err != nil {
		return nil, err
	}
	all, err := samples.Find(dir)
	if err != nil {
		return nil, err
	}
	picked, err := samples.Pick(all, dir, files)
	if err != nil {
		return nil, err
	}
	return samples.Judge(cmd.Context(), dir, set, picked)
}

func writeJUnit(name string, outcomes []samples.Outcome) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("junit report: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return samples.WriteJUnit(f, outcomes)
}
