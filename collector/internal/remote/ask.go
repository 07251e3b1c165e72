package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
)

// verbSnapshot asks for what a source holds now.
const verbSnapshot = "snapshot"

// ask is a record of the control topic; its key is a UUID.
type ask struct {
	Version int          `json:"version"` // 1
	Verb    string       `json:"verb"`
	Source  string       `json:"source"`
	Stream  event.Stream `json:"stream,omitempty"`
	At      time.Time    `json:"at"`
	Replace bool         `json:"replace,omitempty"`
}

// ErrNobody says that no collector runs the source.
var ErrNobody = errors.New("no collector runs this source")

// SnapshotOf reads a request for a snapshot of the source out of a record of the control topic; false where it is something
// else, or another's.
func SnapshotOf(name string, r broker.Record) (source.SnapshotRequest, bool) {
	id, err := uuid.ParseBytes(r.Key)
	if err != nil {
		return source.SnapshotRequest{}, false
	}
	var a ask
	if json.Unmarshal(r.Value, &a) != nil || a.Version != 1 || a.Verb != verbSnapshot || a.Source != name {
		return source.SnapshotRequest{}, false
	}
	return source.SnapshotRequest{ID: id.String(), Stream: a.Stream, At: r.Timestamp, Replace: a.Replace, Next: r.Offset + 1}, true
}

// AskSnapshot asks the collector that runs the source for a snapshot; the id is to be followed by Follow. Where nobody
// runs the source it is ErrNobody, and nothing was asked.
func AskSnapshot(ctx context.Context, c config.Broker, name string, stream event.Stream, replace bool) (id string, err error) {
	seen, err := Look(ctx, c, []string{name})
	if err != nil {
		return "", err
	}
	if !seen[name].Status.Running(time.Now()) {
		return "", ErrNobody
	}
	id = uuid.NewString()
	value, err := json.Marshal(ask{Version: 1, Verb: verbSnapshot, Source: name, Stream: stream, At: time.Now().UTC(), Replace: replace})
	if err != nil {
		return "", fmt.Errorf("write the request: %w", err)
	}
	publisher, err := broker.OpenPublisher(ctx, c, c.TopicPrefix+"-ask-"+id)
	if err != nil {
		return "", err
	}
	defer func() { _ = publisher.Close() }() // what was to be said is committed by then
	topic := broker.TopicsOf(c.TopicPrefix).Control
	if err := publisher.Publish(ctx, []broker.Record{{Topic: topic, Key: []byte(id), Value: value}}); err != nil {
		return "", fmt.Errorf("ask for a snapshot: %w", err)
	}
	return id, nil
}

const followEvery = 300 * time.Millisecond

// Follow gives a snapshot as it goes on, until it has ended. It is ErrNobody where the source's collector falls silent
// meanwhile; the snapshot then goes on with the next one.
func Follow(ctx context.Context, c config.Broker, name, id string, each func(*backfill.Job)) (*backfill.Job, error) {
	scanner, err := broker.NewScanner(c, ClientID)
	if err != nil {
		return nil, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	topic := broker.TopicsOf(c.TopicPrefix).State
	next, err := scanner.Oldest(topic, 0)
	if err != nil {
		return nil, err
	}
	var job *backfill.Job
	var status *Status
	heard := time.Now()
	for {
		end, err := scanner.End(topic, 0)
		if err != nil {
			return nil, err
		}
		err = scanner.Scan(ctx, topic, 0, next, end, func(r broker.Record) error {
			switch string(r.Key) {
			case accountKey(name):
				account, err := accountOf(r.Value)
				if err == nil && account.Job(id) != nil {
					job = account.Job(id)
				}
				return err
			case statusPrefix + name:
				status, heard = new(Status), time.Now()
				return json.Unmarshal(r.Value, status)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		next = max(next, end)
		if job != nil {
			each(job)
			if !job.Ended.IsZero() {
				return job, nil
			}
		}
		if time.Since(heard) > Silent || status != nil && status.State == Stopped {
			return nil, ErrNobody
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(followEvery):
		}
	}
}
