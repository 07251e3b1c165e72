package collector

import (
	"context"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/control"
)

// peersEvery is how often it is looked how many collectors run.
const peersEvery = 5 * time.Second

// shareOut has the bot keep to this collector's part of what collectors may send together: each that runs sends what its own
// sources do. While the broker is away it is as it was.
func (s *show) shareOut(ctx context.Context) error {
	ticker := time.NewTicker(peersEvery)
	defer ticker.Stop()
	for {
		err := s.watchPeers(ctx, ticker.C)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.env.Log.Debug("how many collectors share Telegram's limits isn't known", "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// watchPeers tells the bot how many collectors run, at each tick, until that can't be known.
func (s *show) watchPeers(ctx context.Context, tick <-chan time.Time) error {
	scanner, err := broker.NewScanner(s.broker, "datawatch-collector")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }() // it only read
	topic := broker.TopicsOf(s.broker.TopicPrefix).Control
	for {
		n, err := control.Running(ctx, scanner, topic, "collector", time.Now())
		if err != nil {
			return err
		}
		s.bot.Among(n)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick:
		}
	}
}
