package preprocessor

import (
	"context"
	"errors"
	"sync"

	"datawatch/pkg/broker"
)

// leastLimit is the smallest record that clean and deadletter are believed to refuse.
const leastLimit = 16 << 10

// limit is how large the records of clean and deadletter may be. The topics say so; where they may not be asked, or a record
// was refused all the same, it is found by halving.
type limit struct {
	config Config
	taken  func(int) // is told the limit of each session

	mu   sync.Mutex
	most int
}

func newLimit(c Config, taken func(int)) *limit {
	return &limit{config: c, taken: taken, most: broker.RecordLimit(c.Broker)}
}

// of gives a session's limit.
func (l *limit) of(context.Context) (int, error) {
	topics := broker.TopicsOf(l.config.Broker.TopicPrefix)
	told, err := broker.Limit(l.config.Broker, clientID(l.config), topics.Clean, topics.DeadLetter)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = min(l.most, told)
	l.taken(l.most)
	return l.most, nil
}

// failed learns from a session's end.
func (l *limit) failed(err error) {
	if !errors.Is(err, broker.ErrTooLarge) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = max(l.most/2, leastLimit)
}
