// Package shop is a made-up company for datawatch to watch: its customers fill carts in a MongoDB, where it has one; it
// sells what is in them, takes money from wallets in PostgreSQL transactions, tells about it in Kafka, and every so often makes one of the mistakes that real shops make.
//
// It knows nothing of datawatch. Everything that it does is decided by its seed, but for ids and times.
package shop

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options say where the shop keeps its data and how busy it is.
type Options struct {
	DSN   string
	Kafka []string
	// Pace is the pause between two purchases, on average.
	Pace time.Duration
	// Mistakes is how many purchases there are to a mistake; 0 is a shop without mistakes.
	Mistakes int
	Seed     uint64
	Log      *slog.Logger
}

// Topics that the shop sends to.
const (
	PaymentsTopic  = "payments.captured"
	ShipmentsTopic = "shipments.requested"
)

//go:embed schema.sql
var schema string

// Shop is an open shop. It is for one goroutine, but OpenCarts may be called from another.
type Shop struct {
	options  Options
	db       *pgxpool.Pool
	kafka    sarama.SyncProducer
	carts    atomic.Pointer[carts] // nil in a shop without a MongoDB
	rand     *rand.Rand
	bought   int
	mistakes int
}

// Open creates tables, goods and topics where they are missing.
func Open(ctx context.Context, o Options) (*Shop, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Shop{options: o, rand: rand.New(rand.NewPCG(o.Seed, 1))}
	var err error
	if s.db, err = pgxpool.New(ctx, o.DSN); err != nil {
		return nil, fmt.Errorf("shop's database: %w", err)
	}
	if err = s.stock(ctx); err == nil {
		err = s.connectKafka()
	}
	if err != nil {
		s.db.Close()
		return nil, err
	}
	return s, nil
}

// stock creates tables, goods and wallets.
func (s *Shop) stock(ctx context.Context) error {
	if _, err := s.db.Exec(ctx, schema); err != nil {
		return fmt.Errorf("create the shop's tables: %w", err)
	}
	return pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		for _, g := range goods {
			if _, err := tx.Exec(ctx, `INSERT INTO items VALUES ($1, $2, $3::text::numeric, 1000000) ON CONFLICT DO NOTHING`, g.sku, g.name, g.price); err != nil {
				return fmt.Errorf("stock the shop: %w", err)
			}
		}
		for i, c := range customers {
			if _, err := tx.Exec(ctx, `INSERT INTO wallets VALUES ($1, $2, 50000) ON CONFLICT DO NOTHING`, i+1, c); err != nil {
				return fmt.Errorf("open the shop's wallets: %w", err)
			}
		}
		return nil
	})
}

func (s *Shop) connectKafka() error {
	if len(s.options.Kafka) == 0 {
		return nil
	}
	c := sarama.NewConfig()
	c.ClientID = "shop"
	c.Version = sarama.V2_8_0_0
	c.Admin.Timeout = 20 * time.Second
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	admin, err := sarama.NewClusterAdmin(s.options.Kafka, c)
	if err != nil {
		return fmt.Errorf("shop's Kafka: %w", err)
	}
	defer func() { _ = admin.Close() }()
	for _, topic := range []string{PaymentsTopic, ShipmentsTopic} {
		err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, false)
		if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w", topic, err)
		}
	}
	if s.kafka, err = sarama.NewSyncProducer(s.options.Kafka, c); err != nil {
		return fmt.Errorf("shop's Kafka: %w", err)
	}
	return nil
}

// Close ends the connections.
func (s *Shop) Close() error {
	s.db.Close()
	var err error
	if c := s.carts.Load(); c != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = c.client.Disconnect(ctx)
	}
	if s.kafka == nil {
		return err
	}
	return errors.Join(err, s.kafka.Close())
}

// Run sells until ctx is done, and then returns its error. A purchase that fails is told and the next one tried.
func (s *Shop) Run(ctx context.Context) error {
	for {
		if err := s.Purchase(ctx); err != nil && ctx.Err() == nil {
			s.options.Log.Warn("purchase failed", "error", err)
		}
		pause := s.options.Pace/2 + time.Duration(s.rand.Int64N(int64(s.options.Pace)+1))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
