package telegram

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Probe asks Telegram once whether it knows the bot and lets it into the chats (those with id 0 are passed over). Errors:
// ctx's, *RefusedError, or why Telegram can't be reached. Where messages go to the log there is nothing to ask.
func (c *Client) Probe(ctx context.Context, chats ...Chat) error {
	if c.bots == nil {
		return nil
	}
	if err := c.ask(ctx, Chat{}, "getMe", map[string]string{}); err != nil {
		return err
	}
	for _, chat := range chats {
		if chat.ID == 0 {
			continue
		}
		if err := c.ask(ctx, chat, "getChat", map[string]string{"chat_id": strconv.FormatInt(chat.ID, 10)}); err != nil {
			return err
		}
	}
	return nil
}

// ask makes one request. The library can't be given a context: a request that ctx overtakes ends by itself.
func (c *Client) ask(ctx context.Context, chat Chat, method string, params map[string]string) error {
	answers := make(chan error, 1)
	go func() {
		_, err := c.bots.short.Raw(method, params)
		answers <- err
	}()
	var err error
	select {
	case err = <-answers:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err == nil {
		c.health.observe(chat.ID, verdict{outcome: done}, nil, time.Now())
		return nil
	}
	v := judge(err)
	if v.outcome == refused || v.outcome == rejected {
		err = &RefusedError{Chat: chat, Reason: v.err.Error(), Remedy: v.remedy}
	} else {
		err = fmt.Errorf("telegram: %w", v.err)
	}
	c.health.observe(chat.ID, v, err, time.Now())
	return err
}

// AwaitReach probes until Telegram has answered, so that health knows of Telegram before the first message; it returns
// when it has, or with ctx's error. What must be mended by somebody is reported, and not asked again.
func (c *Client) AwaitReach(ctx context.Context, chats ...Chat) error {
	for failures := 1; ; failures++ {
		err := c.Probe(ctx, chats...)
		var refused *RefusedError
		if err == nil || errors.As(err, &refused) {
			return ctx.Err()
		}
		if !sleep(ctx, backoff(failures)) {
			return ctx.Err()
		}
	}
}
