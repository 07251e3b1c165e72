// Package ask answers questions about schemas that people ask in the chat: a schema file that somebody sends is answered
// with what lint finds in it and what it would have said of past traffic, /schema STREAM with the schema that infer finds.
//
// It stores nothing: a file is looked at in memory, as if it stood in the folder, and forgotten. What it shows of rows is
// masked as alerts are. Questions are answered one after the other, in their order; a question that a validator was asked
// that is killed before it answers is not answered, and may be asked again.
//
// It refuses files that are larger than MaxFile, and files that weren't meant for it: those without .json, and those in
// chats where nobody hears of alerts, unless /schema stands beneath them. Who may ask is the poller's to judge.
package ask

import (
	"context"
	"errors"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/replay"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/tally"
)

const (
	// MaxFile is how large a schema file may be that somebody sends.
	MaxFile = 1 << 20
	// newest is how many events an answer is about, where there are so many.
	newest = 10_000
	// mostWaiting questions wait; more are told to come again.
	mostWaiting = 10
	// longest is how long an answer may take.
	longest = 2 * time.Minute
)

// Bot is what is needed of Telegram; *telegram.Client is one.
type Bot interface {
	Send(ctx context.Context, chat telegram.Chat, m telegram.Message, p telegram.Priority) (telegram.Ref, error)
	SendDocument(ctx context.Context, chat telegram.Chat, d telegram.Document, p telegram.Priority) (telegram.Ref, error)
	Download(ctx context.Context, f telegram.File, most int64) ([]byte, error)
}

// Options of a desk.
type Options struct {
	Broker   config.Broker
	Bot      Bot
	Dir      string              // the schema folder
	Schemas  func() *schemas.Set // those in force
	Chats    []int64             // where a file is taken for a question: those of alerts
	Language string              // en | vi
	Zone     *time.Location
	Log      *slog.Logger
}

// Desk is where questions arrive.
type Desk struct {
	o      Options
	words  words
	topics broker.Topics
	waits  chan telegram.Command
}

// New makes a desk, which answers nothing before Run.
func New(o Options) *Desk {
	w, ok := catalogues[o.Language]
	if !ok {
		w = english
	}
	return &Desk{o: o, words: w, topics: broker.TopicsOf(o.Broker.TopicPrefix), waits: make(chan telegram.Command, mostWaiting)}
}

// Handlers take what is asked here, and leave the rest to others.
func (d *Desk) Handlers(others telegram.Handlers) telegram.Handlers {
	command := others.Command
	others.Command = func(ctx context.Context, c telegram.Command) error {
		if !d.asked(c) {
			if command == nil {
				return nil
			}
			return command(ctx, c)
		}
		select {
		case d.waits <- c:
			return nil
		default:
			return d.say(ctx, c, telegram.Line(telegram.Plain(d.words.busy)))
		}
	}
	return others
}

func (d *Desk) asked(c telegram.Command) bool {
	switch {
	case c.Name == "schema":
		return true
	case c.Name != "" || c.File == nil:
		return false
	}
	return strings.HasSuffix(strings.ToLower(c.File.Name), ".json") && slices.Contains(d.o.Chats, c.Message.Chat.ID)
}

// Run answers until ctx is done, and returns its error.
func (d *Desk) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c := <-d.waits:
			if err := d.answer(ctx, c); err != nil && ctx.Err() == nil {
				d.o.Log.Warn("question about a schema not answered", "update", c.Update, "error", err)
			}
		}
	}
}

func (d *Desk) answer(ctx context.Context, c telegram.Command) error {
	ctx, stop := context.WithTimeout(ctx, longest)
	defer stop()
	do := d.inferred
	if c.File != nil {
		do = d.judged
	}
	err := do(ctx, c)
	if err == nil || errors.Is(err, telegram.ErrRejected) || errors.Is(err, telegram.ErrStopped) {
		return err
	}
	telling, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	return errors.Join(err, d.say(telling, c, telegram.Line(telegram.Plain(d.words.failed))))
}

func (d *Desk) say(ctx context.Context, c telegram.Command, lines ...telegram.Block) error {
	m := telegram.NewMessage(lines...)
	m.Silent, m.ReplyTo = true, c.Message.ID
	m.More = func(n int) telegram.Block { return telegram.Line(telegram.Italic(d.words.more(n))) }
	_, err := d.o.Bot.Send(ctx, c.Message.Chat, m, telegram.Warning)
	return err
}

// past opens what clean holds of a stream; whoever called closes it.
func (d *Desk) past(ctx context.Context, stream event.Stream) (*replay.Past, func(), error) {
	scanner, err := broker.NewScanner(d.o.Broker, "datawatch-validator-chat")
	if err != nil {
		return nil, nil, err
	}
	past, err := replay.Open(ctx, scanner, d.topics.Clean, replay.Range{Stream: stream, Last: newest, Lenient: true})
	if err != nil {
		_ = scanner.Close()
		return nil, nil, err
	}
	return past, func() { _ = scanner.Close() }, nil
}

// find is the stream that a word names: the whole of it, or its entity or the end of that where only one stream has such.
// Otherwise it tells which come near.
func (d *Desk) find(ctx context.Context, word string) (stream event.Stream, near []string, err error) {
	known, err := d.known(ctx)
	if err != nil {
		return "", nil, err
	}
	var matching []string
	for _, s := range known {
		entity := event.Stream(s).Entity()
		if s == word || entity == word || strings.HasSuffix(entity, "."+word) {
			matching = append(matching, s)
		}
	}
	switch {
	case slices.Contains(matching, word), len(matching) == 0 && isStream(word):
		return event.Stream(word), nil, nil
	case len(matching) == 1:
		return event.Stream(matching[0]), nil, nil
	case len(matching) > 1:
		return "", matching, nil
	}
	for _, s := range known {
		if config.Nearest(word, []string{event.Stream(s).Entity(), s, path.Ext("." + event.Stream(s).Entity())[1:]}) != "" {
			near = append(near, s)
		}
	}
	return "", near, nil
}

func isStream(word string) bool {
	source, entity, ok := strings.Cut(word, "/")
	return ok && source != "" && entity != "" && !strings.ContainsAny(word, " *?[\\") && !strings.Contains(word, "..") && !strings.HasPrefix(word, "_")
}

// known are the streams that were judged, and those that have a file of their own.
func (d *Desk) known(ctx context.Context) ([]string, error) {
	scanner, err := broker.NewScanner(d.o.Broker, "datawatch-validator-chat")
	if err != nil {
		return nil, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	state, err := scanner.State(ctx, d.topics.State, tally.Prefix)
	if err != nil {
		return nil, err
	}
	tallies, err := tally.Read(state)
	if err != nil {
		return nil, err
	}
	var all []string
	for stream := range tallies.Streams() {
		all = append(all, string(stream))
	}
	for _, f := range d.o.Schemas().Files() {
		if stem := strings.TrimSuffix(f.Name, ".json"); isStream(stem) {
			all = append(all, stem)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
