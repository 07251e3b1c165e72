package alerts

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
	"datawatch/validator/internal/schemas"
)

const (
	restartPause = 3 * time.Second // after the broker failed
	refusedPause = 5 * time.Minute // before a chat that refused is asked again
	lastSend     = 3 * time.Second // for a message that is on its way when the session ends
	// sendTime is how long a message is waited for before it is asked anew what is most urgent, and how it reads by now.
	sendTime = time.Minute
	// stepPause is between two looks at groups that change all the time.
	stepPause = 50 * time.Millisecond
)

// send keeps the messages as the groups are, until the session ends.
func (k *Keeper) send(ctx context.Context) {
	for ctx.Err() == nil {
		s := &sender{keeper: k, words: wordsOf(k.options.Telegram.Language), refused: map[telegram.Chat]refusal{}, asked: make(chan request)}
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
	signs     *signs
	looked    time.Time
	forgot    time.Time
	failures  []schemas.Failure
	remarks   []schemas.Remark
	board     *life.Board
	groups    map[string]*Group
	troubles  map[string]*trouble
	digested  digestState
	saved     map[string]mark // cards as they are stored
	shown     map[string]view // leads whose message is as it should be
	refused   map[telegram.Chat]refusal
	asked     chan request
}

// refusal is a chat that can't be reached until somebody mends it.
type refusal struct {
	until, since time.Time
	reason       string
}

func (s *sender) run(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	defer func() { _ = s.publisher.Close() }()
	polling, stop := context.WithCancel(ctx)
	var poller sync.WaitGroup
	defer poller.Wait()
	defer stop()
	poller.Go(func() { // its only error is the context's
		_ = s.keeper.options.Messenger.Poll(polling, telegram.Handlers{Press: s.press, Command: s.command})
	})
	for {
		wait, err := s.work(ctx)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-s.asked:
			if err := s.answer(ctx, r); err != nil {
				return err
			}
		case <-s.keeper.changed: // a batch follows a batch: what they say is looked at together
			select {
			case <-ctx.Done():
			case <-time.After(stepPause):
			}
		case <-time.After(wait):
		}
	}
}

// open takes over from the sender before. The order matters: what that one has stored is settled once it is fenced.
func (s *sender) open(ctx context.Context) error {
	k := s.keeper
	var err error
	if s.publisher, err = broker.OpenPublisher(ctx, k.options.Broker, k.options.Broker.TopicPrefix+"-alert-messages"); err != nil {
		return err
	}
	if err := s.restore(ctx); err != nil {
		_ = s.publisher.Close()
		return err
	}
	return nil
}

func (s *sender) restore(ctx context.Context) error {
	k := s.keeper
	state, err := k.scanner.State(ctx, k.topics.State, messagePrefix)
	if err != nil {
		return err
	}
	cards, err := readCards(state)
	if err != nil {
		return err
	}
	s.board = life.NewBoard(k.options.Times, cards)
	s.saved, s.shown = map[string]mark{}, map[string]view{}
	for id, c := range cards {
		s.saved[id] = markOf(c)
	}
	s.wrong = newWrong(k.scanner, k.topics.Wrong)
	if s.digested, err = readDigest(ctx, k); err != nil {
		return err
	}
	s.signs, err = openSigns(ctx, k.scanner, k.topics, k.options.Now(), k.options.SilentAfter)
	return err
}

// work does the one thing that is most urgent, and tells how long there is nothing more to do.
func (s *sender) work(ctx context.Context) (time.Duration, error) {
	if err := s.look(ctx); err != nil {
		return 0, err
	}
	now := s.keeper.options.Now()
	s.step(now)
	if err := s.takeAccepts(ctx, now); err != nil {
		return 0, err
	}
	id, signal, soon := s.board.Due(now)
	wait := s.keeper.options.LookEvery
	if soon > 0 {
		wait = min(wait, soon)
	}
	var err error
	switch {
	case id != "":
		wait = 0
		err = s.tell(ctx, id, signal)
	default:
		var edit string
		edit, soon = s.outdated(now)
		if soon > 0 {
			wait = min(wait, soon)
		}
		if edit != "" {
			wait = 0
			err = s.edit(ctx, edit)
		} else if err = s.digest(ctx, now); err == nil && s.digested.busy {
			wait = 0
		}
	}
	if err != nil {
		return 0, err
	}
	return wait, s.save(ctx, nil, false)
}

// look reads what changes without a violation: rows that were mended, schema files, signs of life.
func (s *sender) look(ctx context.Context) error {
	k := s.keeper
	if now := k.options.Now(); now.Sub(s.looked) >= k.options.LookEvery {
		if err := s.wrong.refresh(ctx); err != nil {
			return err
		}
		if err := s.signs.refresh(ctx, now); err != nil {
			return err
		}
		s.failures, s.remarks, s.looked = k.options.Failures(), k.options.Remarks(), now
	}
	return nil
}

// save stores the cards that have changed, and records with them, in one transaction.
func (s *sender) save(ctx context.Context, with []broker.Record, atOnce bool) error {
	k := s.keeper
	records, marks, err := s.cardRecords()
	if err != nil {
		return err
	}
	records = append(append(records, with...), s.signs.record(k.options.Now(), atOnce)...)
	if len(records) == 0 {
		return nil
	}
	storing, cancel := beyond(ctx)
	defer cancel()
	if err := s.publisher.Publish(storing, records); err != nil {
		return fmt.Errorf("store %d records of alerts: %w", len(records), err)
	}
	for id, m := range marks {
		s.saved[id] = m
		if s.board.Card(id) == nil {
			delete(s.saved, id)
			delete(s.shown, id)
		}
	}
	return nil
}

// tell sends what is owed of a group, and stores that it did. An error ends the sender.
func (s *sender) tell(ctx context.Context, id string, signal life.Signal) error {
	c := s.board.Card(id)
	m, priority := s.signal(id, signal), priorityOf(c.Severity)
	ref, err := s.deliver(ctx, telegram.Ref{Chat: c.Chat}, m, priority)
	if later, err := s.later(ctx, id, c.Chat, m, err); later || err != nil {
		return err
	}
	now := s.keeper.options.Now()
	if signal.Begins() {
		c.Text, c.At = textOf(m), now
	}
	s.board.Told(id, signal, ref, now)
	return nil
}

// edit brings a message up to date.
func (s *sender) edit(ctx context.Context, id string) error {
	c := s.board.Card(id)
	m := s.message(id)
	ref, err := s.deliver(ctx, c.Message, m, priorityOf(c.Severity))
	if later, err := s.later(ctx, id, c.Message.Chat, m, err); later || err != nil {
		return err
	}
	if ref.ID != 0 {
		c.Message = ref
	}
	c.Text, c.At = textOf(m), s.keeper.options.Now()
	return nil
}

// later tells whether a message has to wait, and what ends the sender.
func (s *sender) later(ctx context.Context, id string, chat telegram.Chat, m telegram.Message, err error) (bool, error) {
	k := s.keeper
	var refused *telegram.RefusedError
	switch {
	case err == nil:
		return false, nil
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded): // what is most urgent may be another by now
		return true, nil
	case errors.As(err, &refused):
		now := k.options.Now()
		since := s.refused[chat].since
		if since.IsZero() {
			since = now
		}
		s.refused[chat] = refusal{now.Add(refusedPause), since, refused.Reason}
		s.board.Block(chat, now.Add(refusedPause))
		k.options.Log.Error("an alert can't be delivered there", "alert", id, "error", err)
		return true, nil
	case errors.Is(err, telegram.ErrRejected): // never as it is: not again until it says something else
		k.options.Log.Error("an alert was rejected", "alert", id, "text", m.Plain(), "error", err)
		return false, nil
	}
	return false, err
}

// deliver edits the message, or sends one where there is none.
func (s *sender) deliver(ctx context.Context, to telegram.Ref, m telegram.Message, p telegram.Priority) (telegram.Ref, error) {
	ctx, cancel := beyond(ctx)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, sendTime)
	defer stop()
	if to.ID != 0 {
		err := s.keeper.options.Messenger.Edit(ctx, to, m, p)
		if !errors.Is(err, telegram.ErrMessageGone) {
			return to, err
		}
		m.Silent = true
	}
	return s.keeper.options.Messenger.Send(ctx, to.Chat, m, p)
}

// beyond goes on for a moment when ctx has ended: a message whose id isn't stored comes twice.
func beyond(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(lastSend, cancel) })
	return longer, func() { stop(); cancel() }
}
