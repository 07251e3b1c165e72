package preprocessor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
	"datawatch/pkg/reason"
	"datawatch/preprocessor/internal/deadletter"
)

// letterFlags are those that the deadletters commands share.
type letterFlags struct {
	filter deadletter.Filter
	since  string
	output string
}

func (f *letterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.filter.Stream, "stream", "", "only those of this stream, or of streams that this glob matches")
	flags.StringVar(&f.filter.Class, "class", "", "only those of this class: "+strings.Join(classes(), ", "))
	flags.StringVar(&f.filter.ID, "id", "", "only those of the event with this id")
	flags.StringVar(&f.since, "since", "", "only those written since: "+daemon.SinceForms)
	flags.StringVar(&f.output, "output", "text", "text | json (one object a line)")
}

// classes are those that letters are written with.
func classes() (known []string) {
	for _, code := range reason.Codes() {
		if class, ok := strings.CutPrefix(string(code), "letter_"); ok && code != reason.LetterOther {
			known = append(known, class)
		}
	}
	return known
}

// check reads what the flags say; what is wrong is told by the flag's name.
func (f *letterFlags) check(now time.Time) error {
	if f.output != "text" && f.output != "json" {
		return daemon.UsageError{Err: fmt.Errorf("--output: %q is not allowed (text | json)", f.output)}
	}
	if err := f.filter.Check(); err != nil {
		return daemon.UsageError{Err: fmt.Errorf("--stream: %w", err)}
	}
	if known := classes(); f.filter.Class != "" && !slices.Contains(known, f.filter.Class) {
		return daemon.UsageError{Err: fmt.Errorf("--class: %q is none (%s)", f.filter.Class, strings.Join(known, ", "))}
	}
	if f.since == "" {
		return nil
	}
	at, err := daemon.ParseSince(f.since, now)
	if err != nil {
		return daemon.UsageError{Err: fmt.Errorf("--since: %w (%s)", err, daemon.SinceForms)}
	}
	f.filter.Since = at
	return nil
}

func deadLettersCommand(load func() (Config, error)) *cobra.Command {
	group := &cobra.Command{
		Use: "deadletters", Short: "List, show and send again what couldn't be understood",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }, Args: cobra.NoArgs,
	}
	group.AddCommand(
		lettersCommand(load, "list", "List dead letters, one a line", (*letters).list),
		lettersCommand(load, "show", "Show dead letters whole: reason, headers, key and bytes", (*letters).show),
		replayCommand(load),
	)
	return group
}

func lettersCommand(load func() (Config, error), use, short string, do func(*letters, *deadletter.Found) error) *cobra.Command {
	flags := new(letterFlags)
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		l, err := openLetters(cmd, load, flags)
		if err != nil {
			return err
		}
		defer l.close()
		return l.each(cmd.Context(), func(f *deadletter.Found) error { return do(l, f) })
	}}
	flags.add(cmd)
	return cmd
}

// letters is one run of a command.
type letters struct {
	config  Config
	flags   *letterFlags
	scanner *broker.Scanner
	out     io.Writer
	err     io.Writer
}

func openLetters(cmd *cobra.Command, load func() (Config, error), flags *letterFlags) (*letters, error) {
	if err := flags.check(time.Now()); err != nil {
		return nil, err
	}
	c, err := load()
	if err != nil {
		return nil, err
	}
	s, err := broker.OpenScanner(cmd.Context(), c.Broker, clientID(c)+"-deadletters")
	if err != nil {
		return nil, err
	}
	return &letters{config: c, flags: flags, scanner: s, out: cmd.OutOrStdout(), err: cmd.ErrOrStderr()}, nil
}

func (l *letters) close() { _ = l.scanner.Close() }

// each walks through the letters that the flags choose. It says since when the topic holds them, and ends with
// daemon.ErrTooFarBack where more was asked for.
func (l *letters) each(ctx context.Context, each func(*deadletter.Found) error) error {
	held, err := deadletter.Each(ctx, l.scanner, broker.TopicsOf(l.config.Broker.TopicPrefix).DeadLetter, l.flags.filter, each)
	if err != nil || held.IsZero() {
		return err
	}
	if _, err := fmt.Fprintf(l.err, "older letters than %s are gone (broker.retention.deadletter)\n", held.UTC().Format(time.RFC3339)); err != nil {
		return err
	}
	if since := l.flags.filter.Since; !since.IsZero() && since.Before(held) {
		return fmt.Errorf("--since %s: %w", since.UTC().Format(time.RFC3339), daemon.ErrTooFarBack)
	}
	return nil
}

func (l *letters) list(f *deadletter.Found) error {
	if l.flags.output == "json" {
		return printJSON(l.out, summaryOf(f))
	}
	_, err := fmt.Fprintf(l.out, "%s  %-11s  %s  %s\n", f.Time.UTC().Format(time.RFC3339), f.Class, f.Name(), f.Reason)
	return err
}

func (l *letters) show(f *deadletter.Found) error {
	if l.flags.output == "json" {
		return printJSON(l.out, wholeOf(f))
	}
	return printWhole(l.out, f)
}

func replayCommand(load func() (Config, error)) *cobra.Command {
	flags := new(letterFlags)
	var dry, all bool
	cmd := &cobra.Command{
		Use: "replay", Short: "Send dead letters through the preprocessor again", Args: cobra.NoArgs,
		Long: "Send dead letters through the preprocessor again, as they came, with the header datawatch_replayed. Each keeps its id and\n" +
			"position, and stands in clean behind what came since. However often a letter is sent again, its events come out once.",
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := openLetters(cmd, load, flags)
		if err != nil {
			return err
		}
		defer l.close()
		if flags.filter.IsZero() && !all {
			return errors.New("nothing chosen: give --stream, --class, --since or --id, or --all for every letter")
		}
		return l.replay(cmd.Context(), dry)
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "tell what would be sent, and send nothing")
	cmd.Flags().BoolVar(&all, "all", false, "every letter")
	return cmd
}

// replay sends the letters again and prints a line each. What can't be sent is told, and is an error at the end.
func (l *letters) replay(ctx context.Context, dry bool) error {
	raw := broker.TopicsOf(l.config.Broker.TopicPrefix).Raw
	var resend *deadletter.Resend
	if !dry {
		var err error
		if resend, err = deadletter.OpenResend(ctx, l.config.Broker); err != nil {
			return err
		}
		defer func() { _ = resend.Close() }()
	}
	var sent, refused int
	failed := l.each(ctx, func(f *deadletter.Found) error {
		record, err := f.Replay(raw, time.Now())
		if err != nil {
			refused++
			return l.told(f, "refused", err.Error())
		}
		sent++
		if dry {
			return l.told(f, "would be sent", "")
		}
		if err := resend.Add(ctx, record); err != nil {
			return err
		}
		return l.told(f, "sent", "")
	})
	if resend != nil && (failed == nil || errors.Is(failed, daemon.ErrTooFarBack)) {
		failed = errors.Join(resend.Flush(ctx), failed)
	}
	if failed != nil {
		return failed
	}
	if refused > 0 {
		return fmt.Errorf("%d of %d letters can't be sent again", refused, sent+refused)
	}
	return nil
}

func (l *letters) told(f *deadletter.Found, result, why string) error {
	if l.flags.output == "json" {
		return printJSON(l.out, replayed{Result: result, Why: why, summary: summaryOf(f)})
	}
	line := result + "  " + f.Name()
	if why != "" {
		line += ": " + why
	}
	_, err := fmt.Fprintln(l.out, line)
	return err
}
