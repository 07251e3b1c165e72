package telegram

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// settle does what an attempt's outcome asks for: the job is done, failed, or back in a queue.
func (c *Client) settle(l *lane, j *job, id int, err error) {
	v := judge(err)
	if v.outcome == done && c.bots == nil {
		v.outcome = logged
	}
	if errors.Is(err, ErrRejected) {
		v.outcome = rejected
	}
	c.metrics.sends.WithLabelValues(string(v.outcome)).Inc()
	c.mu.Lock()
	now := time.Now()
	final := c.consequence(l, j, &v, now)
	c.mu.Unlock()
	c.health.observe(l.chat, v, final, now)
	switch v.outcome {
	case done, notModified, logged:
		if j.edit != 0 {
			id = j.edit
		}
		c.finish(j, Ref{Chat: Chat{ID: l.chat, Thread: j.envelope(l).thread}, ID: id}, nil)
	case messageGone, refused, rejected:
		c.finish(j, Ref{}, final)
	}
}

func (c *Client) finish(j *job, ref Ref, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.adjust(-1)
	j.finish(ref, err)
}

// consequence puts a job that is to be tried again back, and returns the error of one that never will.
func (c *Client) consequence(l *lane, j *job, v *verdict, now time.Time) error {
	if v.outcome != network && v.outcome != server {
		l.failures = 0
	}
	switch v.outcome {
	case flood:
		l.until = now.Add(v.wait + jitter(v.wait/10))
		c.log.Warn("telegram asks to wait", "chat", l.chat, "wait", v.wait)
		c.putBack(l, j)
	case network, server:
		pause := backoff(l.failures)
		l.failures++
		l.until = now.Add(pause)
		c.log.Warn("telegram not reached", "chat", l.chat, "again_in", pause.Round(time.Millisecond), "error", v.err)
		c.putBack(l, j)
	case unparsed:
		if j.plain {
			v.outcome = rejected
			return fmt.Errorf("%w: %w", ErrRejected, v.err)
		}
		c.log.Error("telegram can't read a message's formatting: sent again as plain text", "chat", l.chat, "error", v.err)
		j.plain = true
		c.putBack(l, j)
	case threadGone:
		if j.bare {
			v.outcome = rejected
			return fmt.Errorf("%w: %w", ErrRejected, v.err)
		}
		c.log.Warn("telegram thread is gone: sent to the chat without it", "chat", l.chat, "thread", j.chat.Thread)
		l.gone[j.chat.Thread] = now.Add(threadRest)
		j.bare = true
		c.putBack(l, j)
	case migrated:
		return c.migrate(l, j, v)
	case messageGone:
		return fmt.Errorf("%w: %w", ErrMessageGone, v.err)
	case refused:
		return &RefusedError{Chat: j.chat, Reason: strings.TrimPrefix(v.err.Error(), "telegram: "), Remedy: v.remedy}
	case rejected:
		if errors.Is(v.err, ErrRejected) {
			return v.err
		}
		return fmt.Errorf("%w: %w", ErrRejected, v.err)
	}
	return nil
}

// maxHops bounds how often a job follows its chat.
const maxHops = 3

// migrate moves everything of a group that became a supergroup to the new chat.
func (c *Client) migrate(l *lane, j *job, v *verdict) error {
	j.hops++
	if v.chat == 0 || v.chat == l.chat || j.hops > maxHops {
		v.outcome = rejected
		return fmt.Errorf("%w: %w", ErrRejected, v.err)
	}
	if _, known := c.moved[l.chat]; !known {
		c.log.Warn("a telegram group became a supergroup: put its new id into the configuration", "chat", l.chat, "new_chat", v.chat)
	}
	delete(c.moved, v.chat) // never a circle
	c.moved[l.chat] = v.chat
	moving := append(queue{j}, l.queue...)
	l.queue = nil
	next := c.lane(Chat{ID: v.chat})
	for _, m := range moving {
		m.chat.ID = v.chat
		next.queue.push(m)
	}
	c.rouse(next)
	return nil
}

const (
	firstPause = 500 * time.Millisecond
	maxPause   = 30 * time.Second
)

// backoff grows with the failures in a row; half of it is chance, so that services don't come back all at once.
func backoff(failures int) time.Duration {
	pause := maxPause
	if failures < 6 {
		pause = firstPause << failures
	}
	return pause/2 + jitter(pause/2)
}

func jitter(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return rand.N(most)
}
