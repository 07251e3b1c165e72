package validator

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"datawatch/validator/internal/infer"
	"datawatch/validator/internal/replay"
)

func inferCommand(load func() (Config, error)) *cobra.Command {
	var (
		flags   pastFlags
		file    string
		edited  string
		force   bool
		options infer.Options
	)
	cmd := &cobra.Command{
		Use:   "infer --stream STREAM",
		Short: "Write a schema from past traffic",
		Long: "Writes the JSON Schema that the stream's newest events fit: types, what is required, what may be null, formats,\n" +
			"enums where few values recur, maps, and candidates for x-pii. Read it, correct it, and put it into the schema folder.\n" +
			"Replaying it on the same traffic finds nothing wrong.\n\n" +
			"With --update, what a file that people edited says nothing about is put into it, and the difference printed. What\n" +
			"stands there stays as it is; where the traffic is otherwise, that is told.\n\n" +
			"Exits with 3 where more is asked for than clean still holds.",
		Example: "  validator infer --stream shop-db/public.orders --out schemas/shop-db/public.orders.json\n" +
			"  validator infer --stream shop-db/public.orders --update schemas/shop-db/public.orders.json",
		Args: between(0, 0, "flags only: validator infer --stream shop-db/public.orders"),
	}
	flags.add(cmd, defaultLast)
	cmd.Flags().StringVar(&file, "out", "", "write to this file (default: standard output)")
	cmd.Flags().StringVar(&edited, "update", "", "add what is new to this schema file, and print the difference")
	cmd.Flags().BoolVar(&force, "force", false, "overwrite the file where it exists")
	cmd.Flags().BoolVar(&options.Bounds, "bounds", false, "the least and greatest numbers seen as minimum and maximum")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if flags.stream == "" {
			return usage(cmd, "--stream is missing", "the stream, as in --stream shop-db/public.orders")
		}
		if edited != "" && (file != "" || force) {
			return usage(cmd, "--update writes to its own file", "leave out --out and --force")
		}
		r, err := flags.rangeOf(cmd, time.Now())
		if err != nil {
			return err
		}
		var text []byte
		if edited != "" { // before minutes of reading
			if text, err = os.ReadFile(edited); err != nil {
				return fmt.Errorf("update: %w", err)
			}
		}
		c, err := load()
		if err != nil {
			return err
		}
		inference, err := inferPast(cmd, c, r, options)
		if err != nil {
			return err
		}
		if edited != "" {
			return updateSchema(cmd, edited, text, inference)
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
	show, end := progress(cmd.ErrOrStderr(), "reading", past.Most())
	unreadable, err := inference.Learn(cmd.Context(), past, show)
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

// updateSchema adds what is new to a file, and prints the difference.
func updateSchema(cmd *cobra.Command, name string, text []byte, inference *infer.Inference) error {
	u, err := inference.Update(name, text)
	if err != nil {
		return fmt.Errorf("update %s: %w (validator lint says where)", name, err)
	}
	if u.Diff == "" {
		cmd.PrintErrf("%s: nothing is new\n", name)
	} else if err := exchange(name, u.Text); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if len(u.Unlike) > 0 {
		cmd.PrintErrln("left as it is, though the traffic is otherwise:")
	}
	for _, line := range u.Unlike {
		cmd.PrintErrln("  " + line)
	}
	_, err = io.WriteString(cmd.OutOrStdout(), u.Diff)
	return err
}

// exchange puts a file in the place of another at once: a service that reads it finds the old one or the new one.
func exchange(name string, content []byte) (err error) {
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(target), ".datawatch-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), target)
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
