package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	tele "gopkg.in/telebot.v3"
)

// Results of an update, as the metric's label.
const (
	updateHandled = "handled"
	updateFailed  = "failed"
	updateIgnored = "ignored"
)

// handlerTime bounds one handler, so that one that hangs doesn't silence the others for ever.
const handlerTime = 30 * time.Second

// Poll hears commands and buttons until ctx is done, and returns ctx's error. One token has one poller: while another
// program polls with it, Telegram refuses both in turn, which is logged and tried again with pauses. Only the chats of the
// configuration are heard, and in them only its users, where it names some; the rest is counted and ignored. Without a
// token there is nobody to hear.
func (c *Client) Poll(ctx context.Context, h Handlers) error {
	if c.bots == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	p := &poller{client: c, handlers: h}
	for failures := 0; ; {
		started := time.Now()
		updates, err := p.fetch(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pause := time.Duration(0)
		switch {
		case err != nil:
			pause = p.pause(err, failures)
			failures++
		case len(updates) == 0 && time.Since(started) < time.Second:
			failures = 0
			pause = time.Second // a server that doesn't wait
		default:
			failures = 0
		}
		for _, u := range updates {
			if u.ID < p.offset {
				continue
			}
			p.handle(ctx, u)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			p.offset = u.ID + 1
		}
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

type poller struct {
	client   *Client
	handlers Handlers
	offset   int
	name     string // the bot's, in small letters; empty as long as it isn't known
}

// fetch waits for updates. The library can't be given a context, so a request that is overtaken by ctx is left to end by
// itself: when the client stops, or by its timeout.
func (p *poller) fetch(ctx context.Context) ([]tele.Update, error) {
	type answer struct {
		updates []tele.Update
		err     error
	}
	answers := make(chan answer, 1)
	go func() {
		updates, err := p.getUpdates()
		answers <- answer{updates, err}
	}()
	select {
	case a := <-answers:
		return a.updates, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *poller) getUpdates() ([]tele.Update, error) {
	if p.name == "" {
		data, err := p.client.bots.short.Raw("getMe", map[string]string{})
		if err != nil {
			return nil, err
		}
		var me struct{ Result tele.User }
		if err := json.Unmarshal(data, &me); err != nil {
			return nil, fmt.Errorf("read telegram's answer: %w", err)
		}
		p.name = strings.ToLower(me.Result.Username)
	}
	data, err := p.client.bots.long.Raw("getUpdates", map[string]string{
		"offset": strconv.Itoa(p.offset), "timeout": strconv.Itoa(int(pollTimeout / time.Second)),
		"allowed_updates": `["message","callback_query"]`,
	})
	if err != nil {
		return nil, err
	}
	var got struct{ Result []tele.Update }
	if err := json.Unmarshal(data, &got); err != nil {
		return nil, fmt.Errorf("read telegram's answer: %w", err)
	}
	return got.Result, nil
}

// pause tells how long to wait after a failure, and logs it.
func (p *poller) pause(err error, failures int) time.Duration {
	pause := backoff(failures)
	v := judge(err)
	log := p.client.log
	switch {
	case statusOf(err) == 409:
		pause = max(pause, 5*time.Second+jitter(5*time.Second))
		log.Warn("another program polls telegram with the same token: commands and buttons go to one of both", "again_in", pause.Round(time.Millisecond))
	case v.outcome == flood:
		pause = max(pause, v.wait)
		log.Warn("telegram asks the poller to wait", "wait", v.wait)
	case v.outcome == refused:
		pause = max(pause, maxPause)
		log.Error("telegram refuses the bot", "error", err, "remedy", v.remedy)
	default:
		log.Warn("telegram updates not read", "again_in", pause.Round(time.Millisecond), "error", err)
	}
	return pause
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// handle gives an update to its handler, and survives it.
func (p *poller) handle(ctx context.Context, u tele.Update) {
	result := updateIgnored
	defer func() {
		if r := recover(); r != nil {
			result = updateFailed
			p.client.log.Error("handler of a telegram update panicked", "update", u.ID, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
		p.client.metrics.updates.WithLabelValues(result).Inc()
	}()
	ctx, cancel := context.WithTimeout(ctx, handlerTime)
	defer cancel()
	var err error
	switch {
	case u.Message != nil && (u.Message.Text != "" || u.Message.Document != nil) && p.listener(u.Message) != nil:
		command, ours := p.command(u)
		if !ours {
			return
		}
		err = p.listener(u.Message)(ctx, command)
	case u.Callback != nil && u.Callback.Message != nil && p.heard(u.Callback.Message.Chat, u.Callback.Sender) && p.handlers.Press != nil:
		err = p.press(ctx, u)
	default:
		p.client.log.Debug("telegram update ignored", "update", u.ID)
		return
	}
	if errors.Is(err, ErrIgnored) {
		return
	}
	result = updateHandled
	if err != nil {
		result = updateFailed
		p.client.log.Warn("telegram update not handled", "update", u.ID, "error", err)
	}
}

// listener hears what was written in a message; nil is nobody. Of a stranger, only commands are heard.
func (p *poller) listener(m *tele.Message) func(context.Context, Command) error {
	switch {
	case p.heard(m.Chat, m.Sender):
		return p.handlers.Command
	case m.Chat != nil && p.trusted(m.Sender) && strings.HasPrefix(m.Text, "/"):
		return p.handlers.Stranger
	}
	return nil
}

// trusted tells whether a person may command the bot where the chat allows it.
func (p *poller) trusted(user *tele.User) bool {
	users := p.client.options.Config.Users
	return user != nil && !user.IsBot && (len(users) == 0 || slices.Contains(users, user.ID))
}

// heard tells whether a person may command the bot in a chat.
func (p *poller) heard(chat *tele.Chat, user *tele.User) bool {
	if chat == nil || !p.trusted(user) {
		return false
	}
	c := p.client.options.Config
	allowed := append([]int64{c.Feed.ID}, c.Allow...)
	for _, to := range c.AlertChats() {
		allowed = append(allowed, to.ID)
	}
	p.client.mu.Lock()
	defer p.client.mu.Unlock()
	return slices.ContainsFunc(allowed, func(id int64) bool {
		return id != 0 && (id == chat.ID || p.client.present(id) == chat.ID)
	})
}

// command reads "/follow@bot orders"; ours is false where it is meant for another bot.
func (p *poller) command(u tele.Update) (Command, bool) {
	m := u.Message
	c := Command{Update: u.ID, Message: refOf(m), User: userOf(m.Sender), Args: strings.TrimSpace(m.Text)}
	if d := m.Document; d != nil {
		c.Args, c.File = strings.TrimSpace(m.Caption), &File{ID: d.FileID, Name: d.FileName, Size: d.FileSize}
	}
	if m.ReplyTo != nil {
		c.ReplyTo = m.ReplyTo.ID
	}
	word, rest, _ := strings.Cut(c.Args, " ")
	if first, after, ok := strings.Cut(word, "\n"); ok {
		word, rest = first, after+" "+rest
	}
	if !strings.HasPrefix(word, "/") {
		return c, true
	}
	name, bot, named := strings.Cut(word[1:], "@")
	c.Name, c.Args = strings.ToLower(name), strings.TrimSpace(rest)
	return c, !named || strings.ToLower(bot) == p.name
}

// press handles a button; Telegram is answered whatever comes of it, or the button would go on spinning.
func (p *poller) press(ctx context.Context, u tele.Update) error {
	b := u.Callback
	var answer string
	defer func() {
		params := map[string]string{"callback_query_id": b.ID}
		if answer != "" {
			params["text"] = Shorten(clean(answer), maxToast)
		}
		if _, err := p.client.bots.short.Raw("answerCallbackQuery", params); err != nil {
			p.client.log.Debug("pressed button not answered", "update", u.ID, "error", err)
		}
	}()
	var err error
	answer, err = p.handlers.Press(ctx, Press{
		Update: u.ID, Message: refOf(b.Message), User: userOf(b.Sender), Data: b.Data,
	})
	return err
}

// maxToast is how long the answer to a pressed button may be (https://core.telegram.org/bots/api#answercallbackquery).
const maxToast = 200

func refOf(m *tele.Message) Ref {
	return Ref{Chat: Chat{ID: m.Chat.ID, Thread: m.ThreadID}, ID: m.ID}
}

func userOf(u *tele.User) User {
	if u.Username != "" {
		return User{ID: u.ID, Name: "@" + u.Username}
	}
	return User{ID: u.ID, Name: strings.TrimSpace(u.FirstName + " " + u.LastName)}
}
