package chat

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"datawatch/collector/internal/feed"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
)

type command func(ctx context.Context, c telegram.Command) ([]telegram.Block, error)

// own are the commands that are answered here, by name.
func (d *Desk) own() map[string]command {
	own := map[string]command{"help": d.help, "start": d.help, "status": d.status, "record": d.record, "compare": d.compare, "pair": d.pair}
	for name, do := range map[string]command{
		"follow": d.follow, "unfollow": d.unfollow, "pause": d.pause, "resume": d.resume, "last": d.last, "tables": d.tables,
	} {
		if d.o.Feed == nil {
			do = d.noFeed
		}
		own[name] = do
	}
	return own
}

func say(text string) []telegram.Block { return []telegram.Block{telegram.Line(telegram.Plain(text))} }

func (d *Desk) noFeed(context.Context, telegram.Command) ([]telegram.Block, error) {
	return say(d.words.noFeed), nil
}

func (d *Desk) help(context.Context, telegram.Command) ([]telegram.Block, error) {
	var lines []telegram.Block
	for _, h := range d.words.help {
		lines = append(lines, telegram.Line(telegram.Code(h.form), telegram.Plain("  "+h.does)))
	}
	return lines, nil
}

// follow begins to follow, or tells what is followed.
func (d *Desk) follow(ctx context.Context, c telegram.Command) ([]telegram.Block, error) {
	if c.Args == "" {
		return d.followed(c.Message.Chat), nil
	}
	what, err := feed.ParseFollow(c.Args, c.User.Name, time.Now())
	if err != nil {
		return []telegram.Block{telegram.Line(telegram.Plain("/follow: "), telegram.Plain(reason.Why(err).In(d.o.Language)))}, nil
	}
	if err := d.o.Feed.Follow(c.Message.Chat, what); errors.Is(err, feed.ErrTooMany) {
		return say(d.words.tooMany), nil
	} else if err != nil {
		return nil, err
	}
	if err := d.keep(ctx, c.Message.Chat); err != nil {
		return nil, err
	}
	return d.followed(c.Message.Chat), nil
}

// followed tells what a chat follows.
func (d *Desk) followed(chat telegram.Chat) []telegram.Block {
	f := d.o.Feed.Following(chat)
	if len(f.Follows) == 0 {
		if d.o.Feed.ShowsEverything(chat) {
			return say(d.words.everything)
		}
		return say(d.words.nothing)
	}
	lines := say(d.words.followed)
	for _, what := range f.Follows {
		lines = append(lines, telegram.Line(
			telegram.Code(what.Text), telegram.Plain(fmt.Sprintf("  "+d.words.untilBy, d.clock(what.Until), what.By)),
		))
	}
	return lines
}

func (d *Desk) unfollow(ctx context.Context, c telegram.Command) ([]telegram.Block, error) {
	ended := d.o.Feed.Unfollow(c.Message.Chat, c.Args)
	if ended == 0 && c.Args != "" {
		return append(say(d.words.notFollowed), d.followed(c.Message.Chat)...), nil
	}
	if err := d.keep(ctx, c.Message.Chat); err != nil {
		return nil, err
	}
	return d.followed(c.Message.Chat), nil
}

var duration = regexp.MustCompile(`^(\d{1,4})\s*(m|min|h|d)$`)

// longestPause bounds a pause: a feed that is silent for longer is one that somebody forgot.
const longestPause = 24 * time.Hour

func (d *Desk) pause(ctx context.Context, c telegram.Command) ([]telegram.Block, error) {
	m := duration.FindStringSubmatch(c.Args)
	if m == nil {
		return say(d.words.pauseForm), nil
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(min(time.Duration(n)*map[string]time.Duration{"m": time.Minute, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]], longestPause))
	return d.silence(ctx, c.Message.Chat, until, fmt.Sprintf(d.words.paused, d.clock(until)))
}

func (d *Desk) resume(ctx context.Context, c telegram.Command) ([]telegram.Block, error) {
	return d.silence(ctx, c.Message.Chat, time.Time{}, d.words.resumed)
}

func (d *Desk) silence(ctx context.Context, chat telegram.Chat, until time.Time, told string) ([]telegram.Block, error) {
	if !d.o.Feed.Pause(chat, until) {
		return say(d.words.nothing), nil
	}
	if err := d.keep(ctx, chat); err != nil {
		return nil, err
	}
	return say(told), nil
}

var lastForm = regexp.MustCompile(`^(\S+)(?:\s+([1-9]\d{0,3}))?$`)

// clock is a time of day, with its day where that isn't today.
func (d *Desk) clock(at time.Time) string {
	at = at.In(d.o.Zone)
	if now := time.Now().In(d.o.Zone); at.YearDay() != now.YearDay() || at.Year() != now.Year() {
		return at.Format(d.words.date + " 15:04")
	}
	return at.Format("15:04")
}
