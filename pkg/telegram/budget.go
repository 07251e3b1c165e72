package telegram

import "time"

// Telegram's limits (https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this), with a margin where
// another service may send to the same chat or the clocks differ.
const (
	chatInterval = time.Second // in the long run; a short burst is let through
	chatBurst    = 3
	groupLimit   = 20 // in any minute
	groupWindow  = time.Minute + time.Second
	allLimit     = 28 // in any second, of 30
	allWindow    = time.Second
)

// room is how many of a chat's messages in a minute a priority may use, so that a busy feed leaves room for an alert.
func room(p Priority, limit int) int {
	switch p {
	case Critical:
		return limit
	case Warning:
		return max(1, limit*9/10)
	default:
		return max(1, limit*3/4)
	}
}

// pace spaces events: at most burst at once, and one an interval in the long run.
type pace struct {
	interval time.Duration
	burst    int
	paid     time.Time // up to when the events so far have used the pace up
}

// wait is how long until one more may go; not positive is now.
func (p *pace) wait(now time.Time) time.Duration {
	if !p.paid.After(now) {
		return 0
	}
	return p.paid.Sub(now) - time.Duration(p.burst-1)*p.interval
}

func (p *pace) take(now time.Time) {
	if p.paid.Before(now) {
		p.paid = now
	}
	p.paid = p.paid.Add(p.interval)
}

// window counts the events of the last while.
type window struct {
	length time.Duration
	taken  []time.Time // oldest first
}

// wait is how long until fewer than limit events lie in the window; not positive is now.
func (w *window) wait(now time.Time, limit int) time.Duration {
	for len(w.taken) > 0 && now.Sub(w.taken[0]) >= w.length {
		w.taken = w.taken[1:]
	}
	if len(w.taken) < limit {
		return 0
	}
	return w.taken[len(w.taken)-limit].Add(w.length).Sub(now)
}

func (w *window) take(now time.Time) { w.taken = append(w.taken, now) }

// budget is what one chat may still get.
type budget struct {
	pace  pace
	group *window // nil for a person
	limit int     // in a minute, of a group
}

// newBudget is that of a process which has limit of groupLimit shares of a chat.
func newBudget(c Chat, limit int) *budget {
	b := &budget{}
	b.allow(limit)
	if c.group() {
		b.group = &window{length: groupWindow}
	}
	return b
}

// allow changes the shares; what was sent until now still counts.
func (b *budget) allow(limit int) {
	b.limit = limit
	b.pace.interval = chatInterval * groupLimit / time.Duration(limit)
	b.pace.burst = (chatBurst*limit + groupLimit - 1) / groupLimit // rounded up; Telegram lets five through, of all services
}

func (b *budget) wait(now time.Time, p Priority) time.Duration {
	wait := b.pace.wait(now)
	if b.group != nil {
		wait = max(wait, b.group.wait(now, room(p, b.limit)))
	}
	return wait
}

func (b *budget) take(now time.Time) {
	b.pace.take(now)
	if b.group != nil {
		b.group.take(now)
	}
}
