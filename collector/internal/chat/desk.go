package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"datawatch/collector/internal/feed"
	"datawatch/collector/internal/record"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

// Bot is what is needed of Telegram; *telegram.Client is one.
type Bot interface {
	Poll(ctx context.Context, h telegram.Handlers) error
	Send(ctx context.Context, chat telegram.Chat, m telegram.Message, p telegram.Priority) (telegram.Ref, error)
	SendDocument(ctx context.Context, chat telegram.Chat, d telegram.Document, p telegram.Priority) (telegram.Ref, error)
	Announce(ctx context.Context, language string, commands []telegram.BotCommand) error
}

// Feed is what is commanded; *feed.Feed is one.
type Feed interface {
	Follow(chat telegram.Chat, what *feed.Follow) error
	Unfollow(chat telegram.Chat, text string) int
	Pause(chat telegram.Chat, until time.Time) bool
	Following(chat telegram.Chat) feed.Following
	ShowsEverything(chat telegram.Chat) bool
	Adopt(saved feed.Following) error
	LeftMessage(l feed.Left) telegram.Message
	Changed() map[event.Stream]control.Changes
	Line(c *event.Clean, at time.Time) telegram.Block
	Follows(chat telegram.Chat) func(ctx context.Context, e *event.Clean) bool
}

// Options of a desk.
type Options struct {
	Broker config.Broker
	Bot    Bot
	Feed   Feed // nil where there is none
	// Sources are the names of the sources, which /status tells of.
	Sources func() []string
	// Status tells how everything is. Nil reads it on the broker.
	Status   func(ctx context.Context) (Standing, error)
	Language string // en | vi
	Zone     *time.Location
	Log      *slog.Logger
	Ready    func() // hears when commands are heard; may be nil
	// Arrive waits until what was committed before has come to clean and was judged; recordings end with it. May be nil.
	Arrive func(ctx context.Context) error
	// Hide gives a change as it may be shown, in recordings. Nil hides nothing.
	Hide func(event.Stream, *event.Change) *event.Change
	// Known is closed once Hide knows; no row is shown before. Nil is from the start.
	Known <-chan struct{}
	// Normalizer reads raw as the feed does. It is needed where there is a feed.
	Normalizer record.Reader
	// Shown tells whether a source's changes are in the feed. Nil is all of them.
	Shown func(source string) bool
	// LargestFile bounds what recordings, and the files of what was too much for a message, hold of rows. Default record.MaxBytes.
	LargestFile int
	// LongestRecording is when a recording that nobody stops ends by itself. Default 30 minutes.
	LongestRecording time.Duration
	// LookEvery is how often it is looked whether a recording is to end. Default 5 seconds.
	LookEvery time.Duration
}

// Desk is where people's commands arrive.
type Desk struct {
	o          Options
	words      *words
	topics     broker.Topics
	publisher  *broker.Publisher
	takenOver  func(cause error) // ends Run
	publishing sync.Mutex
	jobs       chan func(ctx context.Context) error
	follows    follows
	left       leftovers
	attempts   attempts
	sent       int // how large a file Telegram takes

	keeping sync.Mutex // while recordings are stored

	mu         sync.Mutex
	recordings map[telegram.Chat]*recordings
	finishing  map[recordingID]bool  // recordings that are being ended
	making     map[telegram.Ref]bool // messages whose file is being made
}

// New makes a desk, which hears nothing before Run.
func New(o Options) *Desk {
	if o.Ready == nil {
		o.Ready = func() {}
	}
	if o.LongestRecording <= 0 {
		o.LongestRecording = longestRecording
	}
	if o.LookEvery <= 0 {
		o.LookEvery = defaultLook
	}
	if o.LargestFile <= 0 {
		o.LargestFile = record.MaxBytes
	}
	d := &Desk{
		o: o, words: catalogues[o.Language], topics: broker.TopicsOf(o.Broker.TopicPrefix),
		jobs: make(chan func(context.Context) error, mostJobs), recordings: map[telegram.Chat]*recordings{}, finishing: map[recordingID]bool{}, making: map[telegram.Ref]bool{},
		sent: telegram.MaxDocument,
		left: leftovers{some: make(chan struct{}, 1), known: map[string][]byte{}},
	}
	d.follows = follows{newest: map[string]feed.Following{}, adopt: d.adopt}
	return d
}

// adopt has the feed show a chat what it follows.
func (d *Desk) adopt(f feed.Following) {
	if err := d.o.Feed.Adopt(f); err != nil {
		d.o.Log.Error("a chat isn't shown what it follows", "chat", f.Chat.ID, "error", err)
	}
}

// mostJobs may wait; a command that has one more to do waits with them.
const mostJobs = 100

// announcePause is how long Telegram is left alone when it didn't take the list of commands.
const announcePause = time.Minute

// Run restores what chats follow and answers until ctx is done; it returns ctx's error, or the broker's.
func (d *Desk) Run(ctx context.Context) error {
	if err := d.open(ctx); err != nil {
		return err
	}
	defer d.follows.leave()
	defer func() { _ = d.publisher.Close() }()
	d.o.Ready()
	ctx, takenOver := context.WithCancelCause(ctx)
	d.takenOver = takenOver
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.announce(ctx) })
	group.Go(func() error { return d.watch(ctx) })
	if d.o.Feed != nil {
		group.Go(func() error { return d.tellLeft(ctx) })
	}
	group.Go(func() error { return d.work(ctx) })
	group.Go(func() error {
		return d.o.Bot.Poll(ctx, telegram.Handlers{Command: d.command, Press: d.press, Stranger: d.stranger})
	})
	_ = group.Wait() // the cause says more
	return context.Cause(ctx)
}

// publish stores records, waiting for a broker that is away as long as the command may take. Another collector that took
// the desk over ends Run.
func (d *Desk) publish(ctx context.Context, records ...broker.Record) error {
	d.publishing.Lock()
	defer d.publishing.Unlock()
	for {
		err := d.publisher.Publish(ctx, records)
		if err == nil {
			return nil
		}
		if errors.Is(err, broker.ErrFenced) {
			d.takenOver(err)
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		_ = d.publisher.Close() // it has failed, and stays so
		next, openErr := broker.OpenPublisher(ctx, d.o.Broker, d.o.Broker.TopicPrefix+transactionalSuffix)
		if openErr != nil {
			return errors.Join(err, openErr)
		}
		d.publisher = next
	}
}

const transactionalSuffix = "-desk"

// open takes the desk over from whoever had it, and restores what chats follow.
func (d *Desk) open(ctx context.Context) error {
	var err error
	if d.publisher, err = broker.OpenPublisher(ctx, d.o.Broker, d.o.Broker.TopicPrefix+transactionalSuffix); err != nil {
		return err
	}
	scanner, err := broker.NewScanner(d.o.Broker, "datawatch-collector")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }() // it only read
	recorded, err := scanner.State(ctx, d.topics.State, recordingPrefix)
	if err != nil {
		return err
	}
	if err := d.restore(recorded); err != nil || d.o.Feed == nil {
		return err
	}
	saved, err := scanner.State(ctx, d.topics.State, followPrefix)
	if err != nil {
		return err
	}
	stored := map[string]feed.Following{}
	for key, value := range saved {
		if stored[key], err = followingOf(key, value); err != nil {
			return fmt.Errorf("read %s of %s: %w", key, d.topics.State, err)
		}
	}
	d.follows.arrive(stored)
	return nil
}

func (d *Desk) announce(ctx context.Context) error {
	for {
		err := d.o.Bot.Announce(ctx, "", d.words.announced())
		if err == nil {
			return nil
		}
		d.o.Log.Debug("telegram doesn't know the commands yet", "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(announcePause):
		}
	}
}

const followPrefix = "follow/"

// keep stores what a chat follows.
func (d *Desk) keep(ctx context.Context, c telegram.Chat) error {
	f := d.o.Feed.Following(c)
	record := broker.Record{Topic: d.topics.State, Key: []byte(followKey(c))}
	if len(f.Follows) > 0 || !f.Paused.IsZero() {
		value, err := json.Marshal(f)
		if err != nil {
			return err
		}
		record.Value = value
	}
	return d.publish(ctx, record)
}

// command answers one, or passes it on.
func (d *Desk) command(ctx context.Context, c telegram.Command) error {
	if c.Name != "" {
		d.o.Log.Info("command", "audit", true, "user", c.User.Name, "user_id", c.User.ID, "chat", c.Message.Chat.ID, "thread", c.Message.Chat.Thread, "command", c.Name, "args", c.Args)
	}
	if do, ours := d.own()[c.Name]; ours {
		lines, err := do(ctx, c)
		if err != nil {
			return d.apologize(c, err)
		}
		if len(lines) == 0 {
			return nil
		}
		return d.answer(ctx, c, lines)
	}
	if c.Name != "" && !elsewhere[c.Name] {
		return d.answer(ctx, c, []telegram.Block{telegram.Line(telegram.Plain(d.words.unknown(c.Name)))})
	}
	if c.Name == "" && c.ReplyTo == 0 && c.File == nil {
		return nil // people talking
	}
	return d.pass(ctx, c)
}

// pass has another service hear of a command.
func (d *Desk) pass(ctx context.Context, c telegram.Command) error {
	if err := d.publish(ctx, control.CommandRecord(d.topics.Control, c, time.Now())); err != nil {
		return d.apologize(c, err)
	}
	return nil
}

// apologyTime bounds telling that a command came to nothing: its own time may be over.
const apologyTime = 10 * time.Second

func (d *Desk) apologize(c telegram.Command, err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), apologyTime)
	defer cancel()
	return errors.Join(err, d.answer(ctx, c, say(d.words.notDone)))
}

// press gives out what is asked for, or passes the button on.
func (d *Desk) press(ctx context.Context, p telegram.Press) (string, error) {
	d.o.Log.Info("button", "audit", true, "user", p.User.Name, "user_id", p.User.ID, "chat", p.Message.Chat.ID, "data", p.Data)
	if verb, about := p.Action(); verb == feed.WholeVerb {
		return d.whole(p, about), nil
	}
	return "", d.publish(ctx, control.PressRecord(d.topics.Control, p, time.Now()))
}

func (d *Desk) answer(ctx context.Context, c telegram.Command, lines []telegram.Block) error {
	m := telegram.NewMessage(lines...)
	m.Silent, m.ReplyTo = true, c.Message.ID
	m.More = func(n int) telegram.Block { return telegram.Line(telegram.Italic(d.more(n))) }
	_, err := d.o.Bot.Send(ctx, c.Message.Chat, m, telegram.Warning)
	return err
}

// elsewhere are the commands that other services answer.
var elsewhere = map[string]bool{
	"alerts": true, "show": true, "ack": true, "unack": true, "mute": true, "unmute": true, "wrong": true, "resolve": true, "accept": true, "schema": true,
}
