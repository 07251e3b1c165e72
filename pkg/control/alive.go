package control

import (
	"context"
	"time"

	"datawatch/pkg/broker"
)

// Alive is how old the last sign of life of what runs is at most: one comes every five seconds.
const Alive = 20 * time.Second

// Alive tells whether the service still ran then, as far as this sign says.
func (b Beat) Alive(now time.Time) bool { return !b.Stopping && now.Sub(b.At) < Alive }

// Running counts the instances of a service that gave a sign of life of late and weren't told to stop.
func Running(ctx context.Context, s *broker.Scanner, topic, service string, now time.Time) (int, error) {
	from, err := s.Since(topic, 0, now.Add(-Alive))
	if err != nil {
		return 0, err
	}
	end, err := s.End(topic, 0)
	if err != nil {
		return 0, err
	}
	newest := map[string]Beat{}
	err = s.Scan(ctx, topic, 0, from, end, func(r broker.Record) error {
		if b, ok := ReadBeat(r); ok && b.Service == service {
			newest[b.Instance] = b
		}
		return nil
	})
	n := 0
	for _, b := range newest {
		if b.Alive(now) {
			n++
		}
	}
	return n, err
}
