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
	topic := broker.TopicsOf(s.broker.TopicPrefix).Control
	ticker := time.NewTicker(peersEvery)
	defer ticker.Stop()
	for {
		if n, err := s.peers(ctx, topic); err == nil {
			s.bot.Among(n)
		} else {
			s.env.Log.Debug("how many collectors share Telegram's limits isn't known", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// peers counts the collectors that run.
func (s *show) peers(ctx context.Context, topic string) (int, error) {
	scanner, err := broker.NewScanner(s.broker, "datawatch-collector")
	if err != nil {
		return 0, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	return control.Running(ctx, scanner, topic, "collector", time.Now())
}
