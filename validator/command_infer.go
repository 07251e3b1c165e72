package validator

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/infer"
	"datawatch/validator/internal/replay"
)

func inferCommand(load func() (Config, error)) *cobra.Command {
	var (
		flags   pastFlags
		file    string
		force   bool
		options infer.Options
	)
	cmd := &cobra.Command{
		Use:   "infer --stream STREAM",
		Short: "Write a schema from past traffic",
		Long: "Writes the JSON Schema that the stream's newest events fit: types, what is required, what may be null, formats,\n" +
			"enums where few values recur, maps, and candidates for x-pii. Read it, correct it, and put it into the schema folder.\n" +
			"Replaying it on the same traffic finds nothing wrong.\n\n" +
			"Exits with 3 where more is asked for than clean still holds.",
		Example: "  validator infer --stream shop-db/public.orders --out schemas/shop-db/public.orders.json",
		Args:    between(0, 0, "flags only: validator infer --stream shop-db/public.orders"),
	}
	flags.add(cmd, defaultLast)
	cmd.Flags().StringVar(&file, "out", "", "write to this file (default: standard output)")
	cmd.Flags().BoolVar(&force, "force", false, "overwrite the file where it exists")
	cmd.Flags().BoolVar(&options.Bounds, "bounds", false, "the least and greatest numbers seen as minimum and maximum")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if flags.stream == "" {
			return usage(cmd, "--stream is missing", "the stream, as in --stream shop-db/public.orders")
		}
		r, err := flags.rangeOf(cmd, time.Now())
		if err != nil {
			return err
		}
		c, err := load()
		if err != nil {
			return err
		}
		inference, err := inferPast(cmd, c, r, options)
		if err != nil {
			return err
		}
		if file == "" {
			_, err = cmd.OutOrStdout().Write(inference.Schema())
			return err
		}
		return writeSchema(file, inference.Schema(), force)
	}
	return cmd
}

func inferPast(cmd *cobra.Command, c Config, r replay.Range, options infer.Options) (*infer.Inference, error) {
	past, done, err := openPast(cmd.Context(), c, r)
	if err != nil {
		return nil, stopped(cmd.Context(), err)
	}
	defer done()
	cmd.PrintErrln(past.Held())
	inference := infer.New(r.Stream, options)
	show, end := progress(cmd.ErrOrStderr(), "reading")
	unreadable := 0
	err = past.Each(cmd.Context(), func(record *broker.Record, clean *event.Clean) error {
		switch {
		case clean == nil:
			unreadable++
			return nil
		case clean.Change == nil:
			return nil
		}
		if show != nil && inference.Events%1000 == 0 {
			show(inference.Events)
		}
		return inference.Add(clean.Change, record.Timestamp)
	})
	end()
	if err != nil {
		return nil, stopped(cmd.Context(), err)
	}
	if inference.Events == 0 {
		return nil, fmt.Errorf("no event of %s to learn from (%s)", r.Stream, past.Held())
	}
	cmd.PrintErrf("learned from %d events; %d deletes and the like passed over", inference.Events, inference.Skipped)
	if n := inference.Beyond + unreadable; n > 0 {
		cmd.PrintErrf("; %d that can't be judged left out: they are violations by any schema", n)
	}
	cmd.PrintErrln()
	return inference, nil
}

// writeSchema writes a file, which people may have edited where it exists.
func writeSchema(name string, schema []byte, force bool) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write schema: %w", err)
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(name, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: --force overwrites it", name)
	}
	if err != nil {
		return fmt.Errorf("write schema: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(schema); err != nil {
		return fmt.Errorf("write schema %s: %w", name, err)
	}
	return nil
}
