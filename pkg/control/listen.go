package control

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/telegram"
)

// Options say who listens.
type Options struct {
	Broker config.Broker
	// Name is the listener's, under which its place in the topic is kept. One program at a time listens by a name.
	Name string
	Log  *slog.Logger
}

// place is a listener's place in the topic, in the state topic.
type place struct {
	Version int   `json:"version"` // 1
	Next    int64 `json:"next"`
}

func placeKey(name string) string { return "control/" + name }

// Listen gives commands and buttons to the handlers, as telegram.Client.Poll does, until ctx is done; it returns ctx's
// error, or the broker's. What a handler answers to a button is not shown: the button stopped turning long ago.
func Listen(ctx context.Context, o Options, h telegram.Handlers) error {
	topics := broker.TopicsOf(o.Broker.TopicPrefix)
	publisher, err := broker.OpenPublisher(ctx, o.Broker, o.Broker.TopicPrefix+"-control-"+o.Name)
	if err != nil {
		return err
	}
	defer func() { _ = publisher.Close() }()
	keep := func(next int64) error {
		value, err := json.Marshal(place{1, next})
		if err != nil {
			return err
		}
		return publisher.Publish(ctx, []broker.Record{{Topic: topics.State, Key: []byte(placeKey(o.Name)), Value: value}})
	}
	from, err := begin(ctx, o, topics, keep)
	if err != nil {
		return err
	}
	return broker.Tail(ctx, o.Broker, "datawatch-control", topics.Control, map[int32]int64{0: from}, o.Log, func(r broker.Record) error {
		u, number, ours, err := read(r)
		switch {
		case !ours:
			return nil
		case err != nil:
			o.Log.Error("not understood; it is passed over", "error", err)
		default:
			if err := u.handle(ctx, number, h); err != nil {
				o.Log.Warn("telegram update not handled", "update", number, "error", err)
			}
		}
		return keep(r.Offset + 1)
	})
}

// begin is where the listener goes on. The first time it is the topic's end, which is kept, so that nothing is missed from
// now on.
func begin(ctx context.Context, o Options, topics broker.Topics, keep func(int64) error) (int64, error) {
	scanner, err := broker.NewScanner(o.Broker, "datawatch-control")
	if err != nil {
		return 0, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	state, err := scanner.State(ctx, topics.State, placeKey(o.Name))
	if err != nil {
		return 0, err
	}
	if value, ok := state[placeKey(o.Name)]; ok {
		var p place
		if err := json.Unmarshal(value, &p); err != nil {
			return 0, fmt.Errorf("place of %s in %s: %w", o.Name, topics.Control, err)
		}
		return p.Next, nil
	}
	end, err := scanner.End(topics.Control, 0)
	if err != nil {
		return 0, err
	}
	return end, keep(end)
}

func (u update) handle(ctx context.Context, number int, h telegram.Handlers) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	switch {
	case u.Kind == CommandKind && h.Command != nil:
		return h.Command(ctx, telegram.Command{Update: number, Message: u.Message, User: u.User, Name: u.Name, Args: u.Args, ReplyTo: u.ReplyTo, File: u.File})
	case u.Kind == PressKind && h.Press != nil:
		_, err = h.Press(ctx, telegram.Press{Update: number, Message: u.Message, User: u.User, Data: u.Data})
	}
	return err
}
