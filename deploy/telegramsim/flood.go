package telegramsim

import (
	"cmp"
	"math"
	"time"
)

// Limits are what Telegram lets a bot send
// (https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this).
// Edits count as sends do. A zero field is the real limit.
type Limits struct {
	// Off lets everything pass.
	Off bool
	// ChatInterval is the time between messages to one chat in the long run.
	// Zero: a second.
	ChatInterval time.Duration
	// ChatBurst is how many messages to one chat may come at once. Zero: 5.
	ChatBurst int
	// GroupPerMinute bounds a group, a supergroup or a channel within any
	// minute. Zero: 20.
	GroupPerMinute int
	// PerSecond bounds all chats together within any second. Zero: 30.
	PerSecond int
	// Penalty is added to the wait by every send that comes before it is over.
	// Zero: a second. The wait never exceeds five minutes from then.
	Penalty time.Duration
}

const maxWait = 5 * time.Minute

func (l Limits) withDefaults() Limits {
	l.ChatInterval = cmp.Or(l.ChatInterval, time.Second)
	l.ChatBurst = cmp.Or(l.ChatBurst, 5)
	l.GroupPerMinute = cmp.Or(l.GroupPerMinute, 20)
	l.PerSecond = cmp.Or(l.PerSecond, 30)
	l.Penalty = cmp.Or(l.Penalty, time.Second)
	return l
}

// gate holds back who sends too much: one a chat, and one for the whole bot.
type gate struct {
	until  time.Time   // flooded until then
	paid   time.Time   // up to when the messages sent have used up the chat's pace
	recent []time.Time // sends within the window, oldest first
}

// flooded tells how long to wait still; asking while flooded costs more.
func (g *gate) flooded(now time.Time, penalty time.Duration) time.Duration {
	if !now.Before(g.until) {
		return 0
	}
	g.until = minTime(g.until.Add(penalty), now.Add(maxWait))
	return g.until.Sub(now)
}

// overPace tells how long to wait for one more at that interval and burst.
func (g *gate) overPace(now time.Time, interval time.Duration, burst int) time.Duration {
	ahead := max(0, g.paid.Sub(now)) // what lies in the past is no credit
	return max(0, ahead-time.Duration(burst-1)*interval)
}

// overWindow tells how long to wait for one more within the window.
func (g *gate) overWindow(now time.Time, count int, window time.Duration) time.Duration {
	for len(g.recent) > 0 && !now.Before(g.recent[0].Add(window)) {
		g.recent = g.recent[1:]
	}
	if len(g.recent) < count {
		return 0
	}
	return g.recent[len(g.recent)-count].Add(window).Sub(now)
}

// admit lets one send (or edit) to a chat pass, or tells why not.
func (s *Server) admit(c *chat) *failure {
	now := s.now()
	l := s.opts.Limits
	wait := max(s.gate.flooded(now, l.Penalty), c.gate.flooded(now, l.Penalty))
	if wait > 0 {
		s.stats.SentWhileFlooded++
		return s.refuse(wait)
	}
	if l.Off {
		return nil
	}
	if wait := s.gate.overWindow(now, l.PerSecond, time.Second); wait > 0 {
		return s.refuse(s.gate.hold(now, wait))
	}
	wait = c.gate.overPace(now, l.ChatInterval, l.ChatBurst)
	if c.Type != Private {
		wait = max(wait, c.gate.overWindow(now, l.GroupPerMinute, time.Minute))
	}
	if wait > 0 {
		return s.refuse(c.gate.hold(now, wait))
	}
	s.gate.recent = append(s.gate.recent, now)
	if c.Type != Private {
		c.gate.recent = append(c.gate.recent, now)
	}
	if c.gate.paid.Before(now) {
		c.gate.paid = now
	}
	c.gate.paid = c.gate.paid.Add(l.ChatInterval)
	return nil
}

// hold floods the gate for whole seconds, as retry_after counts them.
func (g *gate) hold(now time.Time, wait time.Duration) time.Duration {
	wait = time.Duration(wholeSeconds(wait)) * time.Second
	g.until = now.Add(wait)
	return wait
}

func (s *Server) refuse(wait time.Duration) *failure {
	s.stats.Floods++
	return tooManyRequests(wholeSeconds(wait))
}

func wholeSeconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
