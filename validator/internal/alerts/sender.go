package alerts

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/schemas"
)

const (
	restartPause = 3 * time.Second // after the broker failed
	refusedPause = time.Minute     // before a chat that refused is asked again
	lastSend     = 3 * time.Second // for a message that is on its way when the session ends
)

// send keeps the messages as the groups are, until the session ends.
func (k *Keeper) send(ctx context.Context) {
	for ctx.Err() == nil {
		s := &sender{
			keeper: k, words: wordsOf(k.options.Telegram.Language), refused: map[telegram.Chat]time.Time{}, decisions: make(chan decision),
		}
		err := s.run(ctx)
		if ctx.Err() != nil {
			return
		}
		k.options.Log.Warn("alerts wait; trying again", "error", err, "pause", restartPause)
		select {
		case <-ctx.Done():
		case <-time.After(restartPause):
		}
	}
}

// sender is one session's: what it knows of messages is of no use after an error.
type sender struct {
	keeper    *Keeper
	words     *words
	publisher *broker.Publisher
	wrong     *wrong
	looked    time.Time
	failures  []schemas.Failure
	sent      map[string]sent
	refused   map[telegram.Chat]time.Time
	decisions chan decision
}

func (s *sender) run(ctx context.Context) error {
	k := s.keeper
	var err error
	// The order matters: what a sender before has stored is settled once it is fenced.
	if s.publisher, err = broker.OpenPublisher(ctx, k.options.Broker, k.options.Broker.TopicPrefix+"-alert-messages"); err != nil {
		return err
	}
	defer func() { _ = s.publisher.Close() }()
	state, err := k.scanner.State(ctx, k.topics.State, messagePrefix)
	if err != nil {
		return err
	}
	if s.sent, err = readSent(state); err != nil {
		return err
	}
	s.wrong = newWrong(k.scanner, k.topics.Wrong)
	polling, stop := context.WithCancel(ctx)
	var poller sync.WaitGroup
	defer poller.Wait()
	defer stop()
	poller.Go(func() { _ = k.options.Messenger.Poll(polling, telegram.Handlers{Press: s.press}) }) // its only error is the context's
	for {
		if err := s.look(ctx); err != nil {
			return err
		}
		next, wait := s.next()
		if next != nil {
			if err := s.show(ctx, next); err != nil {
				return err
			}
			wait = 0
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case d := <-s.decisions:
			if err := s.decide(ctx, d); err != nil {
				return err
			}
		case <-k.changed:
		case <-time.After(wait):
		}
	}
}

// look reads what changes without a violation: rows that were mended, schema files.
func (s *sender) look(ctx context.Context) error {
	k := s.keeper
	if now := k.options.Now(); now.Sub(s.looked) >= k.options.LookEvery {
		if err := s.wrong.refresh(ctx); err != nil {
			return err
		}
		s.failures, s.looked = k.options.Failures(), now
	}
	return nil
}

// subject is what one message is about.
type subject struct {
	id       string // behind messagePrefix
	chat     telegram.Chat
	priority telegram.Priority
	message  telegram.Message
	record   sent // as it is to be stored once people are shown the message
	known    bool // there is a message already
	since    time.Time

	holdUntil time.Time // muted: as it is shown it stays
}

// before says which subject is more urgent: what nobody has heard of, then what is critical, then what waits longest.
func (a *subject) before(b *subject) int {
	boolean := func(v bool) int {
		if v {
			return 1
		}
		return 0
	}
	return cmp.Or(boolean(a.known)-boolean(b.known), cmp.Compare(a.priority, b.priority), a.since.Compare(b.since), cmp.Compare(a.id, b.id))
}

// next is the most urgent subject whose message isn't as it should be, or how long there is nothing to do.
func (s *sender) next() (*subject, time.Duration) {
	k := s.keeper
	now := k.options.Now()
	wait := k.options.LookEvery
	var best *subject
	consider := func(u *subject) {
		before, known := s.sent[u.id]
		switch {
		case known && before.Text == u.record.Text:
			return
		case now.Before(s.refused[u.chat]), now.Before(u.holdUntil):
			return
		case known && now.Sub(before.At) < k.options.EditEvery:
			wait = min(wait, k.options.EditEvery-now.Sub(before.At))
			return
		}
		u.known, u.since = known, before.At
		if !known {
			u.since = u.record.At
		}
		if best == nil || u.before(best) < 0 {
			best = u
		}
	}
	open := map[openLabel]int{}
	for _, g := range k.snapshot() {
		if g.Severity != event.Info {
			u, over := s.group(g, now)
			if !over {
				open[labelOf(g)]++
			}
			consider(u)
		}
	}
	k.metrics.open.set(open)
	s.files(now, consider)
	return best, wait
}

// group is the subject of a group; over says that no row of it is wrong any more.
func (s *sender) group(g *Group, now time.Time) (u *subject, over bool) {
	record := s.sent[g.Fingerprint]
	count := s.wrong.counts[g.Fingerprint]
	record.Wrong = record.Wrong || count > 0
	over = record.Wrong && count == 0
	switch {
	case !over:
		record.MendedAt = time.Time{}
	case record.MendedAt.IsZero():
		record.MendedAt = now
	}
	priority := telegram.Warning
	if g.Severity == event.Critical {
		priority = telegram.Critical
	}
	config := &s.keeper.options.Telegram
	chat, mention := telegram.ChatOf(config.Alerts), []string(nil)
	if owner, ok := config.Owners[g.Owner]; ok {
		mention = owner.Mention
		if owner.ID != 0 {
			chat = telegram.ChatOf(owner.Chat)
		}
	}
	muted := now.Before(record.MutedUntil)
	if !muted {
		record.MutedBy, record.MutedUntil = "", time.Time{}
	}
	w := writer{words: s.words, zone: config.Timezone.Location, now: g.Last} // not now: else every message would change at midnight
	u = s.subject(g.Fingerprint, chat, priority, w.group(g, count, record, mention), record)
	if muted && !s.sent[g.Fingerprint].At.IsZero() { // zero: it isn't shown yet that it is muted
		u.holdUntil = record.MutedUntil
	}
	return u, over
}

func (s *sender) subject(id string, chat telegram.Chat, p telegram.Priority, m telegram.Message, record sent) *subject {
	sum := sha256.Sum256(fmt.Append(nil, m.HTML(), m.Buttons))
	record.Version, record.Text, record.At = 1, hex.EncodeToString(sum[:8]), s.keeper.options.Now()
	return &subject{id: id, chat: chat, priority: p, message: m, record: record}
}

// files are the subjects of schema files that fail, and of those that did until now.
func (s *sender) files(now time.Time, consider func(*subject)) {
	config := &s.keeper.options.Telegram
	chat := telegram.ChatOf(config.Alerts)
	w := writer{words: s.words, zone: config.Timezone.Location}
	failing := map[string]bool{}
	for _, f := range s.failures {
		id := fileID(f.Problem.File)
		failing[id] = true
		record := s.sent[id]
		if !record.Wrong { // mended since, and wrong again: with sound
			record.Message = telegram.Ref{}
		}
		record.Wrong, record.MendedAt = true, time.Time{}
		w.now = f.InForce.Loaded() // not now: see above
		consider(s.subject(id, chat, telegram.Warning, w.failure(f), record))
	}
	for id, record := range s.sent {
		if file, ok := fileOf(id); ok && !failing[id] && record.Wrong {
			record.Wrong, record.MendedAt = false, now
			w.now = now
			consider(s.subject(id, chat, telegram.Warning, w.mendedFile(file), record))
		}
	}
}

const filePrefix = "schema-file/"

func fileID(file string) string { return filePrefix + file }

func fileOf(id string) (string, bool) {
	if len(id) <= len(filePrefix) || id[:len(filePrefix)] != filePrefix {
		return "", false
	}
	return id[len(filePrefix):], true
}

// show sends or edits a subject's message, and stores that it did. An error ends the sender.
func (s *sender) show(ctx context.Context, u *subject) error {
	ref, err := s.deliver(ctx, u)
	var refused *telegram.RefusedError
	switch {
	case err == nil:
		u.record.Message, u.record.Route = ref, u.chat
	case errors.As(err, &refused): // the client tells health; the group's state waits
		s.refused[u.chat] = s.keeper.options.Now().Add(refusedPause)
		s.keeper.options.Log.Error("an alert can't be delivered; it waits", "alert", u.id, "error", err)
		return nil
	case errors.Is(err, telegram.ErrRejected): // never as it is: not again until it says something else
		s.keeper.options.Log.Error("an alert was rejected", "alert", u.id, "text", u.message.Plain(), "error", err)
	default:
		return err
	}
	value, err := json.Marshal(u.record)
	if err != nil {
		return fmt.Errorf("write state of message %s: %w", u.id, err)
	}
	storing, cancel := beyond(ctx)
	defer cancel()
	if err := s.publisher.Publish(storing, []broker.Record{{Topic: s.keeper.topics.State, Key: []byte(messagePrefix + u.id), Value: value}}); err != nil {
		return fmt.Errorf("store message of alert %s: %w", u.id, err)
	}
	s.sent[u.id] = u.record
	return nil
}

func (s *sender) deliver(ctx context.Context, u *subject) (telegram.Ref, error) {
	ctx, cancel := beyond(ctx)
	defer cancel()
	if u.record.Message.ID != 0 && u.record.Route == u.chat { // where the route has changed, people are told there
		err := s.keeper.options.Messenger.Edit(ctx, u.record.Message, u.message, u.priority)
		if !errors.Is(err, telegram.ErrMessageGone) {
			return u.record.Message, err
		}
	}
	return s.keeper.options.Messenger.Send(ctx, u.chat, u.message, u.priority)
}

// beyond goes on for a moment when ctx has ended: a message whose id isn't stored comes twice.
func beyond(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(lastSend, cancel) })
	return longer, func() { stop(); cancel() }
}
