package chat

import (
	"bytes"
	"context"
	"fmt"
	"regexp"

	"datawatch/collector/internal/record"
	"datawatch/pkg/broker"
	"datawatch/pkg/telegram"
)

var compareForm = regexp.MustCompile(`^(\S+)\s+(\S+)$`)

// compare tells how two recordings differ.
func (d *Desk) compare(_ context.Context, c telegram.Command) ([]telegram.Block, error) {
	m := compareForm.FindStringSubmatch(c.Args)
	if m == nil {
		return say(d.words.compareForm), nil
	}
	list := d.list(d.of(c.Message.Chat))
	var pair [2]recording
	for i := range pair {
		var err error
		if pair[i], err = named(list, m[1+i]); err != nil {
			return say(fmt.Sprintf(d.words.recordUnknown, m[1+i])), nil //nolint:nilerr // it is told
		}
	}
	d.jobs <- func(ctx context.Context) error { return d.sendComparison(ctx, c, pair) }
	return say(fmt.Sprintf(d.words.comparing, m[1], m[2])), nil
}

func (d *Desk) sendComparison(ctx context.Context, c telegram.Command, pair [2]recording) error {
	scanner, err := broker.NewScanner(d.o.Broker, "datawatch-collector")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }() // it only read
	var lines [2][]record.Line
	for i, one := range pair {
		r, err := d.collect(ctx, scanner, one)
		if err != nil {
			return err
		}
		lines[i] = record.Canonical(r)
	}
	differences := record.Compare(lines[0], lines[1])
	if len(differences) == 0 {
		return d.answer(ctx, c, say(fmt.Sprintf(d.words.alike, pair[0].Name, pair[1].Name)))
	}
	var text bytes.Buffer
	if err := record.WriteDifferences(&text, differences); err != nil {
		return err
	}
	head := telegram.Line(telegram.Bold(d.differ(pair, len(differences))))
	if text.Len() <= mostText {
		return d.answer(ctx, c, []telegram.Block{head, telegram.Pre(text.String())})
	}
	doc := telegram.Document{Name: pair[0].Name + "-" + pair[1].Name + ".diff.txt", Content: text.Bytes(), Caption: telegram.NewMessage(head)}
	_, err = d.o.Bot.SendDocument(ctx, c.Message.Chat, doc, telegram.Warning)
	return err
}

// mostText is how much of a comparison is a message; more is a file.
const mostText = 3000

func (d *Desk) differ(pair [2]recording, n int) string {
	form := d.words.differ
	if n == 1 {
		form = d.words.differOne
	}
	return fmt.Sprintf(form, pair[0].Name, pair[1].Name, d.number(n))
}
