package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"datawatch/collector/internal/feed"
	"datawatch/pkg/broker"
	"datawatch/pkg/telegram"
)

// Watch has this collector's feed show what chats follow, whichever collector they told it, and hears of what was left
// unshown; it goes on until ctx is done, and returns its error. While this collector's desk is at work, what it does itself
// counts.
func (d *Desk) Watch(ctx context.Context) error {
	next, err := d.readState(ctx)
	if err != nil {
		return err
	}
	return broker.Tail(ctx, d.o.Broker, "datawatch-collector", d.topics.State, map[int32]int64{0: next}, d.o.Log, func(r broker.Record) error {
		d.hear(string(r.Key), r.Value)
		return nil
	})
}

// readState hears what is stored now, of each key the newest, and tells where to go on.
func (d *Desk) readState(ctx context.Context) (next int64, err error) {
	scanner, err := broker.NewScanner(d.o.Broker, "datawatch-collector")
	if err != nil {
		return 0, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	from, err := scanner.Oldest(d.topics.State, 0)
	if err != nil {
		return 0, err
	}
	if next, err = scanner.Settled(ctx, d.topics.State, 0); err != nil {
		return 0, err
	}
	newest := map[string][]byte{}
	err = scanner.Scan(ctx, d.topics.State, 0, from, next, func(r broker.Record) error {
		if key := string(r.Key); strings.HasPrefix(key, followPrefix) || strings.HasPrefix(key, leftPrefix) {
			newest[key] = r.Value
		}
		return nil
	})
	for key, value := range newest {
		d.hear(key, value)
	}
	return next, err
}

func (d *Desk) hear(key string, value []byte) {
	switch {
	case strings.HasPrefix(key, followPrefix):
		d.follows.hear(key, value)
	case strings.HasPrefix(key, leftPrefix):
		d.left.hear(key, value)
	}
}

// follows keeps the feed to what is stored under follow/<chat>/<thread>.
type follows struct {
	adopt func(feed.Following)

	mu     sync.Mutex
	here   bool                      // the desk is at work, and stores what it does
	newest map[string]feed.Following // by key, as it was read last
}

func followKey(c telegram.Chat) string { return fmt.Sprintf("%s%d/%d", followPrefix, c.ID, c.Thread) }

// chatOf reads a key back.
func chatOf(key string) (c telegram.Chat, err error) {
	_, err = fmt.Sscanf(strings.TrimPrefix(key, followPrefix), "%d/%d", &c.ID, &c.Thread)
	return c, err
}

func followingOf(key string, value []byte) (feed.Following, error) {
	f := feed.Following{Version: 1}
	if value == nil {
		chat, err := chatOf(key)
		f.Chat = chat
		return f, err
	}
	if err := json.Unmarshal(value, &f); err != nil {
		return f, err
	}
	if f.Version != 1 {
		return f, errors.New("another version")
	}
	return f, nil
}

// hear takes a record; what can't be read changes nothing.
func (f *follows) hear(key string, value []byte) {
	following, err := followingOf(key, value)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.newest[key] = following
	if !f.here {
		f.adopt(following)
	}
}

// arrive is when the desk begins its work: stored is all that is kept now.
func (f *follows) arrive(stored map[string]feed.Following) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.here = true
	for key, older := range f.newest {
		if _, kept := stored[key]; !kept {
			f.adopt(feed.Following{Version: 1, Chat: older.Chat})
		}
	}
	for _, following := range stored {
		f.adopt(following)
	}
}

// leave is when it has ended: another collector's desk may have stored something meanwhile.
func (f *follows) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.here = false
	for _, following := range f.newest {
		f.adopt(following)
	}
}
