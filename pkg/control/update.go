package control

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/telegram"
)

// Kinds of records that come from Telegram, under "kind". Other records of the topic have others.
const (
	CommandKind = "telegram.command"
	PressKind   = "telegram.press"
)

// update is a record of control, by the number of Telegram's update.
type update struct {
	Version int           `json:"version"` // 1
	Kind    string        `json:"kind"`
	At      time.Time     `json:"at"`
	Message telegram.Ref  `json:"message"`
	User    telegram.User `json:"user"`
	Name    string        `json:"name,omitempty"` // of a command
	Args    string        `json:"args,omitempty"`
	ReplyTo int           `json:"reply_to,omitempty"`
	Data    string        `json:"data,omitempty"` // of a button
	// File is where Telegram keeps what was sent with a command: its content isn't stored here.
	File *telegram.File `json:"file,omitempty"`
}

// CommandRecord is the record of a command.
func CommandRecord(topic string, c telegram.Command, at time.Time) broker.Record {
	return record(topic, c.Update, update{Kind: CommandKind, At: at, Message: c.Message, User: c.User, Name: c.Name, Args: c.Args, ReplyTo: c.ReplyTo, File: c.File})
}

// PressRecord is the record of a button that was pressed.
func PressRecord(topic string, p telegram.Press, at time.Time) broker.Record {
	return record(topic, p.Update, update{Kind: PressKind, At: at, Message: p.Message, User: p.User, Data: p.Data})
}

func record(topic string, number int, u update) broker.Record {
	u.Version, u.At = 1, u.At.UTC()
	value, err := json.Marshal(u)
	if err != nil {
		panic(err) // texts, numbers and a time
	}
	return broker.Record{Topic: topic, Key: []byte(strconv.Itoa(number)), Value: value}
}

// read gives back what a record was made of; ok is false for records of other kinds.
func read(r broker.Record) (u update, number int, ok bool, err error) {
	known := json.Unmarshal(r.Value, &u) == nil && (u.Kind == CommandKind || u.Kind == PressKind)
	if !known {
		return u, 0, false, nil
	}
	number, err = strconv.Atoi(string(r.Key))
	if err != nil || u.Version != 1 {
		return u, 0, true, fmt.Errorf("record %d of %s has key %q and version %d: it comes from another version of datawatch", r.Offset, r.Topic, r.Key, u.Version)
	}
	return u, number, true, nil
}
