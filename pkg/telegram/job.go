package telegram

import "slices"

// job is a message or an edit that waits in a chat's queue.
type job struct {
	chat     Chat
	edit     int
	message  Message
	document *Document
	priority Priority
	seq      uint64
	plain    bool
	bare     bool // without its thread
	hops     int  // migrations followed
	waiters  []*waiter
}

type waiter struct {
	result chan result // of capacity one
	gone   bool        // its context ended
}

type result struct {
	ref Ref
	err error
}

func (j *job) finish(ref Ref, err error) {
	for _, w := range j.waiters {
		w.result <- result{ref, err}
	}
	j.waiters = nil
}

// forsaken tells whether nobody waits for the job any more.
func (j *job) forsaken() bool {
	return !slices.ContainsFunc(j.waiters, func(w *waiter) bool { return !w.gone })
}

func (j *job) before(other *job) int {
	if j.priority != other.priority {
		return int(j.priority) - int(other.priority)
	}
	if j.seq < other.seq {
		return -1
	}
	return 1
}

// queue is ordered: by priority, then by the order of the calls.
type queue []*job

func (q *queue) push(j *job) {
	at, _ := slices.BinarySearchFunc(*q, j, (*job).before)
	*q = slices.Insert(*q, at, j)
}

func (q *queue) remove(j *job) bool {
	at := slices.Index(*q, j)
	if at < 0 {
		return false
	}
	*q = slices.Delete(*q, at, at+1)
	return true
}

// editOf is the waiting edit of a message, or nil.
func (q queue) editOf(message int) *job {
	for _, j := range q {
		if j.edit == message {
			return j
		}
	}
	return nil
}
