package chat

import (
	"bytes"
	"context"
	"regexp"

	"datawatch/collector/internal/feed"
	"datawatch/collector/internal/record"
	"datawatch/pkg/broker"
	"datawatch/pkg/telegram"
)

// whole has everything sent of which a message of the feed told a part. It is read again from raw, so a button works as long
// as raw holds what it stands for, whichever collector it is pressed at. A button that is pressed while its file is being
// made changes nothing.
func (d *Desk) whole(p telegram.Press, about []string) string {
	what, err := feed.ParseWhole(about)
	if err != nil || d.o.Feed == nil {
		return d.words.buttonUnknown
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.making[p.Message] {
		return d.words.fileFollows
	}
	select {
	case d.jobs <- func(ctx context.Context) error { return d.sendWhole(ctx, p.Message, what) }:
		d.making[p.Message] = true
		return d.words.fileFollows
	default:
		return d.words.busy
	}
}

func (d *Desk) sendWhole(ctx context.Context, to telegram.Ref, what feed.Whole) error {
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.making, to)
	}()
	r, err := d.read(ctx, to.Chat, what)
	if err != nil {
		return err
	}
	m := telegram.NewMessage(d.wholeCaption(r, what)...)
	m.Silent, m.ReplyTo = true, to.ID
	if len(r.Transactions) == 0 {
		_, err = d.o.Bot.Send(ctx, to.Chat, m, telegram.Warning)
		return err
	}
	var lines bytes.Buffer
	if err := r.WriteJSONLines(&lines); err != nil {
		return err
	}
	_, err = d.o.Bot.SendDocument(ctx, to.Chat, telegram.Document{Name: nameOf(r, what), Content: lines.Bytes(), Caption: m}, telegram.Warning)
	return err
}

func (d *Desk) read(ctx context.Context, chat telegram.Chat, what feed.Whole) (*record.Recording, error) {
	scanner, err := broker.NewScanner(d.o.Broker, "datawatch-collector")
	if err != nil {
		return nil, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	wanted := record.Wanted{First: what.First, Until: what.Until, Only: what.Wants}
	if what.Digest() {
		wanted.Source = d.o.Shown
	}
	if what.Followed {
		wanted.Around = d.o.Feed.Follows(chat)
	}
	r, err := record.Captured(ctx, scanner, d.topics, wanted, d.o.Normalizer, record.Options{Hide: d.o.Hide, MaxBytes: d.o.LargestFile})
	if err != nil {
		return nil, err
	}
	r.From, r.To = what.First, what.Last
	return r, nil
}

// wholeCaption says what the file holds, and what it lacks.
func (d *Desk) wholeCaption(r *record.Recording, what feed.Whole) []telegram.Block {
	if len(r.Transactions) == 0 {
		return say(d.words.notHeld)
	}
	found := r.Changes()
	caption := say("📎 " + d.counted(r))
	if r.Beyond > 0 {
		caption = append(caption, telegram.Line(telegram.Plain(d.some(r.Beyond, d.words.recordBeyondOne, d.words.recordBeyond))))
	}
	if missing := what.Changes - found - r.Beyond; missing > 0 && !what.Followed {
		caption = append(caption, telegram.Line(telegram.Italic(d.some(missing, d.words.partNotHeldOne, d.words.partNotHeld))))
	}
	return caption
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// nameOf is a name for the file: of the transaction, or of when it was.
func nameOf(r *record.Recording, what feed.Whole) string {
	name := "changes-" + what.First.UTC().Format("20060102-150405")
	if t := r.Transactions[0]; !what.Digest() && t.ID != "" {
		name = t.Source + "-" + t.ID
	} else if !what.Digest() {
		name = t.Source + "-" + what.First.UTC().Format("20060102-150405")
	}
	return notInName.ReplaceAllString(name, "_") + ".jsonl"
}
