package validator

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/alerts"
)

func acceptCommand(load func() (Config, error)) *cobra.Command {
	var group, keys, until, reason string
	cmd := &cobra.Command{
		Use:   "accept",
		Short: "Accept a group of alerts, or some of its rows, until a day",
		Long: "Says that a group of alerts is known and accepted: nobody hears of it until the day, but the digest lists it. With --keys,\n" +
			"only the rows of these keys are accepted; others still ring. The file is what `validator wrong --output csv` writes, or has\n" +
			"one key a line, as JSON. In the chat: /accept ID 30d reason, and a button that undoes it.",
		Example: "  validator accept --group k3f9a1mmrtqz --until 2026-12-31 --reason \"import of 2019\"",
		Args:    between(0, 0, "flags only: validator accept --group ID --until 30d --reason TEXT"),
	}
	cmd.Flags().StringVar(&group, "group", "", "the group's ID, the last word of its message")
	cmd.Flags().StringVar(&keys, "keys", "", "a file of keys; - is standard input")
	cmd.Flags().StringVar(&until, "until", "", "30d, 2026-12-31 or 2026-12-31T08:00:00Z")
	cmd.Flags().StringVar(&reason, "reason", "", "why; people read it in the chat")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		a := alerts.Accept{Group: group, By: operator(), At: time.Now().UTC(), Reason: strings.TrimSpace(reason)}
		if group == "" || a.Reason == "" {
			return usage(cmd, "--group and --reason are needed", "validator accept --group ID --until 30d --reason TEXT")
		}
		var err error
		if a.Until, err = parseUntil(until, a.At); err != nil {
			return usage(cmd, "--until: "+err.Error(), "30d, 2026-12-31 or 2026-12-31T08:00:00Z")
		}
		c, err := load()
		if err != nil {
			return err
		}
		if keys != "" {
			if a.Keys, err = readKeys(cmd, keys); err != nil {
				return err
			}
		}
		if err := publishAccept(cmd, c, a); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s accepted until %s; the validator that keeps alerts takes it within seconds\n", group, a.Until.Format(time.RFC3339))
		return err
	}
	return cmd
}

// publishAccept refuses a group that isn't known, so that a slip of the pen is found at once.
func publishAccept(cmd *cobra.Command, c Config, a alerts.Accept) error {
	scanner, err := broker.OpenScanner(cmd.Context(), c.Broker, "datawatch-validator-tools")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }() // it only read
	topics := broker.TopicsOf(c.Broker.TopicPrefix)
	known, err := alerts.Known(cmd.Context(), scanner, topics.State, a.Group)
	if err != nil {
		return err
	}
	if !known {
		return errors.New(noGroup(a.Group))
	}
	p, err := broker.OpenPublisher(cmd.Context(), c.Broker, c.Broker.TopicPrefix+"-accept-"+uuid.NewString())
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	return p.Publish(cmd.Context(), []broker.Record{alerts.AcceptRecord(topics.Control, a)})
}

func noGroup(group string) string {
	return fmt.Sprintf("no group %s is known: see the last word of its message, or /alerts", group)
}

// operator is who runs the command.
func operator() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "somebody"
}

// parseUntil reads a time, a date (UTC, to its end) or a span from now, that lies ahead.
func parseUntil(text string, now time.Time) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		if at, err = time.Parse(time.DateOnly, text); err == nil {
			at = at.AddDate(0, 0, 1)
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok && err != nil {
		var n int
		n, err = strconv.Atoi(days)
		at = now.AddDate(0, 0, n)
	} else if err != nil {
		var span time.Duration
		span, err = time.ParseDuration(text)
		at = now.Add(span)
	}
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("%q is neither a time nor a span", text)
	case !at.After(now):
		return time.Time{}, fmt.Errorf("%q is over", text)
	}
	return at, nil
}

// readKeys reads keys, one JSON a line, or the column key of a CSV file, in their canonical form.
func readKeys(cmd *cobra.Command, name string) ([]string, error) {
	content, err := readFile(cmd.InOrStdin(), name)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	var texts []string
	if columns := strings.Split(strings.TrimSpace(first), ","); slices.Contains(columns, "key") {
		rows, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
		if err != nil {
			return nil, fmt.Errorf("keys %s: %w", name, err)
		}
		at := slices.Index(rows[0], "key")
		for _, row := range rows[1:] {
			texts = append(texts, row[at])
		}
	} else {
		lines := bufio.NewScanner(bytes.NewReader(content))
		for lines.Scan() {
			if text := strings.TrimSpace(lines.Text()); text != "" {
				texts = append(texts, text)
			}
		}
	}
	return canonicalKeys(name, texts)
}

func canonicalKeys(name string, texts []string) ([]string, error) {
	var keys []string
	for i, text := range texts {
		key, err := event.Canonical([]byte(text))
		if err != nil || string(key) == "null" {
			return nil, fmt.Errorf("keys %s: number %d: %q is no key; they are JSON, as in {\"id\": 1042}", name, i+1, text)
		}
		keys = append(keys, string(key))
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	switch {
	case len(keys) == 0:
		return nil, fmt.Errorf("keys %s: there is none", name)
	case len(keys) > alerts.MaxAcceptedKeys:
		return nil, fmt.Errorf("keys %s: %d, and %d can be accepted by name: accept the group as a whole, or mend some", name, len(keys), alerts.MaxAcceptedKeys)
	}
	return keys, nil
}

func readFile(stdin io.Reader, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(stdin)
	}
	content, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s isn't there", name)
	}
	return content, err
}
