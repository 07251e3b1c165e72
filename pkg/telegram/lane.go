package telegram

import (
	"slices"
	"time"
)

// lane is the queue of one chat. Its goroutine lives while something waits in it.
type lane struct {
	chat     int64
	queue    queue
	budget   *budget
	awake    bool
	wake     chan struct{} // of capacity one: something changed
	until    time.Time     // nothing goes before: a flood or a pause after failures
	failures int           // in a row
	gone     map[int]time.Time
}

// threadRest is how long a thread that was gone or closed is not tried again.
const threadRest = 10 * time.Minute

func (c *Client) enqueue(j *job, w *waiter) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return ErrStopped
	}
	j.chat.ID = c.present(j.chat.ID)
	l := c.lane(j.chat)
	c.seq++
	j.seq = c.seq
	if older := l.queue.editOf(j.edit); j.edit != 0 && older != nil {
		l.queue.remove(older)
		c.adjust(-1)
		j.waiters, j.seq, j.priority = older.waiters, older.seq, min(j.priority, older.priority)
	}
	j.waiters = append(j.waiters, w)
	l.queue.push(j)
	c.adjust(1)
	c.rouse(l)
	return nil
}

// present is the id that a chat has now.
func (c *Client) present(id int64) int64 {
	for range len(c.moved) {
		next, ok := c.moved[id]
		if !ok {
			break
		}
		id = next
	}
	return id
}

func (c *Client) lane(chat Chat) *lane {
	l, ok := c.lanes[chat.ID]
	if !ok {
		l = &lane{chat: chat.ID, budget: newBudget(chat, c.share(chat.ID)), wake: make(chan struct{}, 1), gone: map[int]time.Time{}}
		c.lanes[chat.ID] = l
	}
	return l
}

// rouse has the lane look at its queue, and starts its goroutine where there is none.
func (c *Client) rouse(l *lane) {
	if !l.awake {
		l.awake = true
		c.running.Go(func() { c.run(l) })
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (c *Client) adjust(by int) {
	c.depth += by
	c.metrics.queue.Set(float64(c.depth))
}

// forget takes back what nobody waits for any more.
func (c *Client) forget(w *waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.gone = true
	for _, l := range c.lanes {
		for _, j := range l.queue {
			if slices.Contains(j.waiters, w) {
				if j.forsaken() {
					l.queue.remove(j)
					c.drop()
					c.rouse(l)
				}
				return
			}
		}
	}
}

// drop counts a job that went without an attempt's outcome.
func (c *Client) drop() {
	c.adjust(-1)
	c.metrics.sends.WithLabelValues(string(cancelled)).Inc()
}

// putBack has a job tried again, unless nobody waits for it any more or a newer edit of its message is there.
func (c *Client) putBack(l *lane, j *job) {
	if j.forsaken() {
		c.drop()
		return
	}
	if newer := l.queue.editOf(j.edit); j.edit != 0 && newer != nil {
		newer.waiters = append(newer.waiters, j.waiters...)
		c.adjust(-1)
		return
	}
	l.queue.push(j)
}

// run sends what waits in a lane until nothing does.
func (c *Client) run(l *lane) {
	for {
		j, wait := c.next(l)
		switch {
		case j != nil:
			id, err := c.wire.carry(j.envelope(l))
			c.settle(l, j, id, err)
		case wait == 0:
			return
		default:
			c.rest(l, wait)
		}
	}
}

func (c *Client) rest(l *lane, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.wake:
	case <-c.dead:
	}
}

// next takes the first job off the queue where the budgets allow, or tells how long to wait; neither is an empty queue.
func (c *Client) next(l *lane) (*job, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.dead:
		for _, j := range l.queue {
			j.finish(Ref{}, ErrStopped)
			c.drop()
		}
		l.queue = nil
	default:
	}
	if len(l.queue) == 0 {
		l.awake = false
		return nil, 0
	}
	now := time.Now()
	j := l.queue[0]
	if wait := max(l.until.Sub(now), l.budget.wait(now, j.priority), c.all.wait(now, c.overall())); wait > 0 {
		return nil, wait
	}
	l.queue.remove(j)
	l.budget.take(now)
	c.all.take(now)
	if rest, ok := l.gone[j.chat.Thread]; ok && now.Before(rest) {
		j.bare = true
	}
	return j, 0
}

func (j *job) envelope(l *lane) envelope {
	e := envelope{chat: l.chat, thread: j.chat.Thread, edit: j.edit, message: j.message, document: j.document, plain: j.plain}
	if j.bare {
		e.thread = 0
	}
	return e
}
