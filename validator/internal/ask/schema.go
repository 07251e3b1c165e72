package ask

import (
	"context"
	"path"
	"strings"

	"datawatch/pkg/telegram"
	"datawatch/validator/internal/infer"
)

// inferred answers /schema with what infer finds, as a file.
func (d *Desk) inferred(ctx context.Context, c telegram.Command) error {
	if len(strings.Fields(c.Args)) != 1 {
		return d.say(ctx, c, telegram.Line(telegram.Code(d.words.form)))
	}
	stream, near, err := d.find(ctx, c.Args)
	if err != nil {
		return err
	}
	if stream == "" {
		return d.say(ctx, c, d.which(d.words.unknown(c.Args), near)...)
	}
	past, done, err := d.past(ctx, stream)
	if err != nil {
		return err
	}
	defer done()
	f := infer.New(stream, infer.Options{})
	if _, err := f.Learn(ctx, past, nil); err != nil {
		return err
	}
	if f.Events == 0 {
		return d.say(ctx, c, telegram.Line(telegram.Plain(d.words.noEvents(string(stream)))))
	}
	caption := telegram.NewMessage(
		telegram.Line(telegram.Plain("📋 "), telegram.Bold(string(stream)), telegram.Plain(" · "+d.words.learned(d.number(f.Events), d.clock(f.From), d.clock(f.To)))),
		telegram.Line(telegram.Plain(d.words.place), telegram.Code(string(stream)+".json")),
	)
	if file := d.o.Schemas().For(stream); file != nil {
		caption.Blocks = append(caption.Blocks, telegram.Line(telegram.Plain(d.words.already), telegram.Code(file.Name)))
	}
	caption.Silent, caption.ReplyTo = true, c.Message.ID
	_, err = d.o.Bot.SendDocument(ctx, c.Message.Chat, telegram.Document{Name: path.Base(string(stream)) + ".json", Content: f.Schema(), Caption: caption}, telegram.Warning)
	return err
}

// which asks for the stream, and names those that come near.
func (d *Desk) which(question string, near []string) []telegram.Block {
	lines := []telegram.Block{telegram.Line(telegram.Plain(question))}
	for i, s := range near {
		if i == mostNear {
			break
		}
		lines = append(lines, telegram.Line(telegram.Code(s)))
	}
	return lines
}

const mostNear = 10
