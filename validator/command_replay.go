package validator

import (
	"time"

	"github.com/spf13/cobra"

	"datawatch/validator/internal/replay"
)

// defaultLast is how many events are read where the command line doesn't say.
const defaultLast = 10_000

func replayCommand(load func() (Config, error)) *cobra.Command {
	var (
		flags   pastFlags
		against string
		samples int
	)
	cmd := &cobra.Command{
		Use:   "replay [DIR]",
		Short: "Say what schemas would have said of past traffic",
		Long: "Judges past events of the clean topic by the schemas in DIR (the configured folder where it is left out), as the\n" +
			"service would: how many of how many events would fail, by which schema and rule, and the first of them, masked.\n" +
			"With --against it compares with another folder: newly failing, newly passing. Nothing is alerted or written.\n\n" +
			"Exits with 3 where more is asked for than clean still holds.",
		Example: "  validator replay --last 10000\n  validator replay --since 24h --stream shop-db/public.orders ./new-schemas --against ./schemas",
		Args:    between(0, 1, "one folder: validator replay ./schemas"),
	}
	flags.add(cmd, defaultLast)
	cmd.Flags().StringVar(&against, "against", "", "another schema folder to compare with")
	cmd.Flags().IntVar(&samples, "samples", 3, "samples shown for each rule")
	out := outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := flags.rangeOf(cmd, time.Now())
		if err != nil {
			return err
		}
		if err := out.check(cmd); err != nil {
			return err
		}
		c, err := load()
		if err != nil {
			return err
		}
		dir := c.Validator.Schemas
		if len(args) > 0 {
			dir = args[0]
		}
		options := replay.Options{Samples: samples}
		if options.Schemas, err = loadFolder(cmd, dir); err != nil {
			return err
		}
		if against != "" {
			if options.Against, err = loadFolder(cmd, against); err != nil {
				return err
			}
		}
		report, err := replayPast(cmd, c, r, options)
		if err != nil {
			return err
		}
		if out.format == "json" {
			return writeJSON(cmd.OutOrStdout(), report)
		}
		return report.Write(cmd.OutOrStdout())
	}
	return cmd
}

func replayPast(cmd *cobra.Command, c Config, r replay.Range, o replay.Options) (*replay.Report, error) {
	past, done, err := openPast(cmd.Context(), c, r)
	if err != nil {
		return nil, stopped(cmd.Context(), err)
	}
	defer done()
	cmd.PrintErrln(past.Held())
	show, end := progress(cmd.ErrOrStderr(), "replaying", past.Most())
	defer end()
	o.Progress = show
	report, err := replay.Run(cmd.Context(), past, o)
	return report, stopped(cmd.Context(), err)
}
