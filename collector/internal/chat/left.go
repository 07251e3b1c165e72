package chat

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/google/uuid"

	"datawatch/collector/internal/feed"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/telegram"
)

const leftPrefix = "feed-left/"

// StoreLeft stores what a feed left unshown, for the desk that hears of it next.
func StoreLeft(ctx context.Context, c config.Broker, left []feed.Left) error {
	if len(left) == 0 {
		return nil
	}
	id := uuid.NewString()
	p, err := broker.OpenPublisher(ctx, c, c.TopicPrefix+"-feed-left-"+id)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	var records []broker.Record
	for _, l := range left {
		value, err := json.Marshal(l)
		if err != nil {
			return err
		}
		records = append(records, broker.Record{Topic: broker.TopicsOf(c.TopicPrefix).State, Key: []byte(leftPrefix + id + "/" + followKey(l.Chat)), Value: value})
	}
	return p.Publish(ctx, records)
}

// leftovers are what feeds left unshown and nobody was told yet.
type leftovers struct {
	some chan struct{} // of capacity one

	mu    sync.Mutex
	known map[string][]byte // by key
}

func (l *leftovers) hear(key string, value []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if value == nil {
		delete(l.known, key)
		return
	}
	l.known[key] = value
	select {
	case l.some <- struct{}{}:
	default:
	}
}

// next is one of them.
func (l *leftovers) next() (key string, value []byte, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, value := range l.known {
		return key, value, true
	}
	return "", nil, false
}

func (l *leftovers) settle(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, key)
}

// tellLeft tells chats what they weren't shown when a collector stopped, once: it is forgotten behind the message, so that
// a collector that is killed between both tells it again.
func (d *Desk) tellLeft(ctx context.Context) error {
	for {
		key, value, ok := d.left.next()
		if !ok {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-d.left.some:
			}
			continue
		}
		var l feed.Left
		if err := json.Unmarshal(value, &l); err != nil || l.Version != 1 {
			d.o.Log.Warn("what a feed left unshown can't be read", "key", key, "error", err)
		} else if _, err := d.o.Bot.Send(ctx, l.Chat, d.o.Feed.LeftMessage(l), telegram.Feed); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			d.o.Log.Warn("what a feed left unshown wasn't told", "chat", l.Chat.ID, "transactions", l.Transactions, "changes", l.Changes, "error", err)
		}
		if err := d.publish(ctx, broker.Record{Topic: d.topics.State, Key: []byte(key)}); err != nil {
			return err
		}
		d.left.settle(key)
	}
}
