package chat

import (
	"bytes"
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
	// lookEvery is how often it is looked for recordings that have lasted too long.
	lookEvery = 5 * time.Second
	// recordTime bounds reading a recording and sending it, arriveTime waiting for what was committed before its end.
	recordTime = 5 * time.Minute
	arriveTime = 20 * time.Second
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
		d.jobs <- func(ctx context.Context) error { return d.end(ctx, own, "") }
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
	list := append(slices.Clone(d.list(own)), r)
	if err := d.store(ctx, own, list[max(0, len(list)-mostRecordings):]); err != nil {
		return nil, err
	}
	return say(fmt.Sprintf(d.words.recordBegins, r.Name, d.clock(r.From.At.Add(longestRecording)))), nil
}

func (d *Desk) store(ctx context.Context, own *recordings, list []recording) error {
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

// end ends the recording that runs, and sends it: why says that it ended by itself.
func (d *Desk) end(ctx context.Context, own *recordings, why string) error {
	list := slices.Clone(d.list(own))
	running := runningOf(list)
	if running < 0 {
		return nil // stopped twice
	}
	if d.o.Arrive != nil {
		arriving, cancel := context.WithTimeout(ctx, arriveTime)
		defer cancel()
		if err := d.o.Arrive(arriving); err != nil {
			d.o.Log.Warn("a recording may lack its last changes", "recording", list[running].Name, "error", err)
			why = d.words.recordLacks
		}
	}
	scanner, err := broker.NewScanner(d.o.Broker, "datawatch-collector")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }() // it only read
	if list[running].To, err = record.Now(scanner, d.topics); err != nil {
		return err
	}
	if err := d.store(ctx, own, list); err != nil {
		return err
	}
	r, err := d.collect(ctx, scanner, list[running])
	if err != nil {
		return err
	}
	return d.sendRecording(ctx, own.Chat, r, why)
}

func (d *Desk) collect(ctx context.Context, s *broker.Scanner, r recording) (*record.Recording, error) {
	return record.Collect(ctx, s, d.topics, r.From, r.To, record.Options{Name: r.Name, Tag: r.Tag, Hide: d.o.Hide})
}

// sendRecording sends a recording as JSON Lines and as a page.
func (d *Desk) sendRecording(ctx context.Context, to telegram.Chat, r *record.Recording, why string) error {
	caption := []telegram.Block{telegram.Line(
		telegram.Plain("⏺ "), telegram.Bold(r.Name), telegram.Plain(fmt.Sprintf(" · "+d.words.recorded, r.Changes(), len(r.Transactions))),
	)}
	if n := r.Broken(); n > 0 {
		caption = append(caption, telegram.Line(telegram.Plain(fmt.Sprintf("✗ "+d.words.broken, n))))
	}
	if r.Beyond > 0 {
		caption = append(caption, telegram.Line(telegram.Plain(fmt.Sprintf(d.words.recordBeyond, r.Beyond))))
	}
	if why != "" {
		caption = append(caption, telegram.Line(telegram.Italic(why)))
	}
	var lines, page bytes.Buffer
	if err := errors.Join(r.WriteJSONLines(&lines), r.WriteHTML(&page)); err != nil {
		return err
	}
	for i, doc := range []telegram.Document{{Name: r.Name + ".html", Content: page.Bytes()}, {Name: r.Name + ".jsonl", Content: lines.Bytes()}} {
		if len(doc.Content) > telegram.MaxDocument {
			d.o.Log.Warn("a file of a recording is larger than Telegram takes", "file", doc.Name, "bytes", len(doc.Content))
			caption = append(caption, telegram.Line(telegram.Italic(fmt.Sprintf(d.words.fileTooLarge, doc.Name))))
			continue
		}
		if i == 1 || len(page.Bytes()) > telegram.MaxDocument {
			doc.Caption = telegram.NewMessage(caption...)
		}
		doc.Caption.Silent = true
		if _, err := d.o.Bot.SendDocument(ctx, to, doc, telegram.Warning); err != nil {
			return err
		}
	}
	return nil
}

// watch ends recordings that nobody stops.
func (d *Desk) watch(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		for _, own := range d.overdue(time.Now()) {
			select {
			case d.jobs <- func(ctx context.Context) error { return d.end(ctx, own, d.words.recordTooLong) }:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

func (d *Desk) overdue(now time.Time) []*recordings {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []*recordings
	for _, own := range d.recordings {
		if i := runningOf(own.List); i >= 0 && now.Sub(own.List[i].From.At) >= d.o.LongestRecording {
			out = append(out, own)
		}
	}
	return out
}

// work does what takes longer than a command may, one after the other.
func (d *Desk) work(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case job := <-d.jobs:
			working, cancel := context.WithTimeout(ctx, recordTime)
			if err := job(working); err != nil && ctx.Err() == nil {
				d.o.Log.Error("a recording wasn't told", "error", err)
			}
			cancel()
		}
	}
}

var compareForm = regexp.MustCompile(`^(\S+)\s+(\S+)$`)

// compare tells how two recordings differ.
func (d *Desk) compare(_ context.Context, c telegram.Command) ([]telegram.Block, error) {
	m := compareForm.FindStringSubmatch(c.Args)
	if m == nil {
		return say(d.words.compareForm), nil
	}
	list := d.list(d.of(c.Message.Chat))
	var pair [2]recording
	for i := range pair {
		var err error
		if pair[i], err = named(list, m[1+i]); err != nil {
			return say(fmt.Sprintf(d.words.recordUnknown, m[1+i])), nil //nolint:nilerr // it is told
		}
	}
	d.jobs <- func(ctx context.Context) error { return d.sendComparison(ctx, c, pair) }
	return say(fmt.Sprintf(d.words.comparing, m[1], m[2])), nil
}

func (d *Desk) sendComparison(ctx context.Context, c telegram.Command, pair [2]recording) error {
	scanner, err := broker.NewScanner(d.o.Broker, "datawatch-collector")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }() // it only read
	var lines [2][]record.Line
	for i, one := range pair {
		r, err := d.collect(ctx, scanner, one)
		if err != nil {
			return err
		}
		lines[i] = record.Canonical(r)
	}
	differences := record.Compare(lines[0], lines[1])
	if len(differences) == 0 {
		return d.answer(ctx, c, say(fmt.Sprintf(d.words.alike, pair[0].Name, pair[1].Name)))
	}
	var text bytes.Buffer
	if err := record.WriteDifferences(&text, differences); err != nil {
		return err
	}
	head := telegram.Line(telegram.Bold(fmt.Sprintf(d.words.differ, pair[0].Name, pair[1].Name, len(differences))))
	if text.Len() <= mostText {
		return d.answer(ctx, c, []telegram.Block{head, telegram.Pre(text.String())})
	}
	doc := telegram.Document{Name: pair[0].Name + "-" + pair[1].Name + ".diff.txt", Content: text.Bytes(), Caption: telegram.NewMessage(head)}
	_, err = d.o.Bot.SendDocument(ctx, c.Message.Chat, doc, telegram.Warning)
	return err
}

// mostText is how much of a comparison is a message; more is a file.
const mostText = 3000
