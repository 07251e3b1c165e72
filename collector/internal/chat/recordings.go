package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"datawatch/collector/internal/record"
	"datawatch/pkg/broker"
	"datawatch/pkg/telegram"
)

const (
	// longestRecording is when a recording that nobody stops ends by itself.
	longestRecording = 30 * time.Minute
	// mostRecordings is how many a chat keeps: they are places in clean, and hold as long as clean does.
	mostRecordings = 20
)

// recordings are a chat's, as they are kept under recording/<chat>/<thread>.
type recordings struct {
	Version int           `json:"version"` // 1
	Chat    telegram.Chat `json:"chat"`
	List    []recording   `json:"list"` // the oldest first
}

// recording is a stretch of the traffic; while it runs, To has no offsets.
type recording struct {
	Name string       `json:"name"`
	Tag  string       `json:"tag,omitempty"`
	By   string       `json:"by"`
	From record.Place `json:"from"`
	To   record.Place `json:"to"`
	// Unsent is set from its end until its files have gone out; Why tells beside them why it ended, and what it lacks.
	Unsent bool     `json:"unsent,omitempty"`
	Why    []string `json:"why,omitempty"`
}

func (r recording) running() bool { return r.To.Clean == nil }

// runningOf is the index of the recording that runs, or -1.
func runningOf(list []recording) int { return slices.IndexFunc(list, recording.running) }

const recordingPrefix = "recording/"

func recordingKey(c telegram.Chat) string {
	return fmt.Sprintf("%s%d/%d", recordingPrefix, c.ID, c.Thread)
}

// errUnknown says that a recording isn't kept.
var errUnknown = errors.New("no such recording")

func named(list []recording, name string) (recording, error) {
	for _, one := range slices.Backward(list) { // a name may have been used again
		if one.Name == name && !one.running() {
			return one, nil
		}
	}
	return recording{}, errUnknown
}

// restore reads the recordings of all chats.
func (d *Desk) restore(state map[string][]byte) error {
	d.recordings = map[telegram.Chat]*recordings{}
	for key, value := range state {
		var r recordings
		if err := json.Unmarshal(value, &r); err != nil {
			return fmt.Errorf("read %s of %s: %w", key, d.topics.State, err)
		}
		d.recordings[r.Chat] = &r
	}
	return nil
}

func (d *Desk) of(c telegram.Chat) *recordings {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.recordings[c] == nil {
		d.recordings[c] = &recordings{Version: 1, Chat: c}
	}
	return d.recordings[c]
}

// list is what a chat has recorded; it isn't changed, but replaced.
func (d *Desk) list(own *recordings) []recording {
	d.mu.Lock()
	defer d.mu.Unlock()
	return own.List
}

var recordForm = regexp.MustCompile(`^start\s+([A-Za-z0-9_.-]{1,40})(?:\s+tag=(\S{1,100}))?$`)

// record begins or ends a recording, or tells which there are.
func (d *Desk) record(ctx context.Context, c telegram.Command) ([]telegram.Block, error) {
	own := d.of(c.Message.Chat)
	list := d.list(own)
	begin := recordForm.FindStringSubmatch(c.Args)
	switch running := runningOf(list); {
	case begin != nil && running >= 0:
		return say(fmt.Sprintf(d.words.recordsAlready, list[running].Name)), nil
	case begin != nil:
		return d.begin(ctx, own, recording{Name: begin[1], Tag: begin[2], By: c.User.Name})
	case c.Args == "stop" && running < 0:
		return say(d.words.recordsNothing), nil
	case c.Args == "stop":
		d.finish(ctx, own, list[running].From.At, "")
		return say(fmt.Sprintf(d.words.recordEnds, list[running].Name)), nil
	case c.Args != "":
		return say(d.words.recordForm), nil
	}
	if len(list) == 0 {
		return say(d.words.recordForm), nil
	}
	var lines []telegram.Block
	for _, r := range slices.Backward(list) {
		state := fmt.Sprintf("%s – %s", d.clock(r.From.At), d.clock(r.To.At))
		if r.running() {
			state = fmt.Sprintf(d.words.recordRuns, d.clock(r.From.At))
		}
		lines = append(lines, telegram.Line(telegram.Code(r.Name), telegram.Plain("  "+state)))
	}
	return lines, nil
}

func (d *Desk) begin(ctx context.Context, own *recordings, r recording) ([]telegram.Block, error) {
	scanner, err := broker.NewScanner(d.o.Broker, "datawatch-collector")
	if err != nil {
		return nil, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	if r.From, err = record.Now(scanner, d.topics); err != nil {
		return nil, err
	}
	err = d.change(ctx, own, func(list []recording) []recording {
		list = append(list, r)
		return list[max(0, len(list)-mostRecordings):]
	})
	if err != nil {
		return nil, err
	}
	return say(fmt.Sprintf(d.words.recordBegins, r.Name, d.clock(r.From.At.Add(d.o.LongestRecording)), d.megabytes(d.o.LargestFile))), nil
}

// change stores a chat's recordings as they are to be.
func (d *Desk) change(ctx context.Context, own *recordings, to func([]recording) []recording) error {
	d.keeping.Lock()
	defer d.keeping.Unlock()
	list := to(slices.Clone(d.list(own)))
	value, err := json.Marshal(recordings{Version: 1, Chat: own.Chat, List: list})
	if err != nil {
		return err
	}
	if err := d.publish(ctx, broker.Record{Topic: d.topics.State, Key: []byte(recordingKey(own.Chat)), Value: value}); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	own.List = list
	return nil
}
