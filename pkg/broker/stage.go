package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/config"
)

// Process turns a batch into the records to be written. The batch holds records of one or more partitions; those of one
// partition are consecutive in time and in order. It must be a pure function of the batch and of what it was told by
// the Stage's hooks, since a batch whose transaction fails comes again.
//
// An error ends the session: the stage begins anew from what is committed, after a pause.
type Process func(ctx context.Context, batch []Record) ([]Record, error)

// Stage consumes a topic in a consumer group and commits what Process returns with the group's offsets, in one
// transaction. Several stages with one group share the partitions.
type Stage struct {
	Broker  config.Broker
	Name    string // the client id, as in "datawatch-preprocessor"
	Group   string
	Topic   string
	Process Process

	// Limit gives the most bytes that a record to be written may have (Record.Size), at the beginning of each session; nil is
	// RecordLimit.
	Limit func(ctx context.Context) (int, error)
	// Assigned is called with the partitions of each new session before its first batch; it may read state that the
	// session's judgement needs. May be nil.
	Assigned func(ctx context.Context, partitions []int32) error
	// Committed is called after a batch's transaction was committed. May be nil. It must not block for long.
	Committed func(batch, written []Record)
	// Failed is told of every error that ends a session, and of nil when a session has committed again. May be nil.
	Failed func(err error)

	// Ahead is how many batches may have been processed, or be, that wait for the one before them to be committed; 0 has each
	// committed before the next is processed. A second one evens out how long both take. Committed is called for each batch in
	// order, maybe during the Process of a later one; a batch that was processed and isn't committed comes again, behind Assigned.
	Ahead int

	// Wake has Process called with an empty batch when it yields something while no record waits: for work that isn't a
	// record's. What it gives is committed as ever, fenced by the group's generation. May be nil.
	Wake <-chan struct{}

	// OneMember gives all partitions to one member of the group; the others stand by and take over when it leaves.
	OneMember bool

	// Linger is how long a batch that isn't full waits for more (default 20 ms); MaxRecords (5,000) and MaxBytes (8 MiB,
	// or one record) make it full. While a batch is processed and committed, the next is collected: two are held at most, and
	// as many more as are Ahead.
	Linger     time.Duration
	MaxRecords int
	MaxBytes   int

	Log *slog.Logger
}

const (
	firstPause = 200 * time.Millisecond
	longPause  = 10 * time.Second
)

// Run works until ctx is done and returns its error; a failure to connect at all, the first time, is returned at once.
func (s Stage) Run(ctx context.Context) error {
	s.setDefaults()
	c, err := stageConfig(s.Broker, s.Name)
	if err != nil {
		return err
	}
	// The group's calls don't end with ctx while the broker is away: they try again for as long as their patience lasts.
	member := newPatience(c)
	defer member.lose()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopPatience, member.lose) })()
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{s.balance(member.held)}
	group, err := sarama.NewConsumerGroup(s.Broker.Addresses, s.Group, c)
	if err != nil {
		return fmt.Errorf("join group %s: %w", s.Group, err)
	}
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		for err := range group.Errors() {
			s.Log.Debug("consumer group", "group", s.Group, "error", err)
		}
	}()
	defer func() { <-logged }()
	defer func() { _ = group.Close() }()

	w := &worker{stage: &s}
	defer w.closeProducer()
	return s.sessions(ctx, group, w)
}

// balance is how the group's leader gives the partitions away.
func (s *Stage) balance(ctx context.Context) sarama.BalanceStrategy {
	b := takingOver{
		BalanceStrategy: sarama.NewBalanceStrategySticky(), group: s.Group,
		fence: func(ids []string) error { return fence(ctx, s.Broker, s.Name, ids) },
	}
	if s.OneMember {
		b.BalanceStrategy = oneMember{}
	}
	return b
}

func (s *Stage) setDefaults() {
	if s.Linger == 0 {
		s.Linger = 20 * time.Millisecond
	}
	if s.MaxRecords == 0 {
		s.MaxRecords = 5000
	}
	if s.MaxBytes == 0 {
		s.MaxBytes = 8 << 20
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
}

// sessions joins the group again and again; between failures it pauses longer each time.
func (s *Stage) sessions(ctx context.Context, group sarama.ConsumerGroup, w *worker) error {
	pause := firstPause
	for {
		err := group.Consume(ctx, []string{s.Topic}, w)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err = errors.Join(err, w.takeFailure()); err == nil { // a rebalance
			pause = firstPause
			continue
		}
		if w.committed {
			pause = firstPause
		}
		s.fail(err)
		s.Log.Warn("session ended; going on from what is committed", "group", s.Group, "error", err, "pause", pause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, longPause)
	}
}

func (s *Stage) fail(err error) {
	if s.Failed != nil {
		s.Failed(err)
	}
}
