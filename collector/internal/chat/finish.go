package chat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"datawatch/collector/internal/record"
	"datawatch/pkg/broker"
	"datawatch/pkg/telegram"
)

const (
	// defaultLook is how often it is looked for recordings that have lasted too long or have grown too large.
	defaultLook = 5 * time.Second
	// arriveTime bounds waiting for what was committed before a recording's end.
	arriveTime = 20 * time.Second
	// unsentFor is how long it is tried to send the files of a recording that has ended.
	unsentFor = time.Hour
)

// recordingID tells recordings apart.
type recordingID struct {
	chat  telegram.Chat
	began int64 // in nanoseconds
}

// finish has a recording ended, and what it holds sent; why says that it ended by itself. It is done once, however often it
// is asked for.
func (d *Desk) finish(ctx context.Context, own *recordings, began time.Time, why string) {
	id := recordingID{own.Chat, began.UnixNano()}
	d.mu.Lock()
	busy := d.finishing[id]
	d.finishing[id] = true
	d.mu.Unlock()
	if busy {
		return
	}
	job := func(ctx context.Context) error {
		defer func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			delete(d.finishing, id)
		}()
		return d.end(ctx, own, began, why)
	}
	select {
	case d.jobs <- job:
	case <-ctx.Done():
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.finishing, id)
	}
}

// at is the index of a chat's recording that began then, or -1.
func at(list []recording, began time.Time) int {
	for i, r := range list {
		if r.From.At.Equal(began) {
			return i
		}
	}
	return -1
}

// end ends a recording that runs, and sends it. Its end is stored before it is sent: a desk that is stopped between both, or
// that can't send, leaves it to the next look.
func (d *Desk) end(ctx context.Context, own *recordings, began time.Time, why string) error {
	scanner, err := broker.NewScanner(d.o.Broker, "datawatch-collector")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }() // it only read
	list := d.list(own)
	i := at(list, began)
	if i < 0 {
		return nil // so many others were begun that it isn't kept any more
	}
	ended := list[i]
	if ended.running() {
		if ended, err = d.ended(ctx, scanner, ended, why); err != nil {
			return err
		}
		if err := d.replace(ctx, own, ended); err != nil {
			return err
		}
	}
	if !ended.Unsent {
		return nil // stopped twice
	}
	err = d.send(ctx, scanner, own.Chat, ended)
	if err != nil && !final(err) && time.Since(ended.To.At) < unsentFor {
		return err
	}
	ended.Unsent, ended.Why = false, nil
	return errors.Join(err, d.replace(ctx, own, ended))
}

// final tells whether trying again to send is in vain.
func final(err error) bool {
	var refused *telegram.RefusedError
	return errors.As(err, &refused) || errors.Is(err, telegram.ErrRejected)
}

// replace stores what became of a recording.
func (d *Desk) replace(ctx context.Context, own *recordings, r recording) error {
	return d.change(ctx, own, func(list []recording) []recording {
		if i := at(list, r.From.At); i >= 0 {
			list[i] = r
		}
		return list
	})
}

// ended is a recording with its end: what was committed until now is in it.
func (d *Desk) ended(ctx context.Context, s *broker.Scanner, r recording, why string) (recording, error) {
	if why != "" {
		r.Why = append(r.Why, why)
	}
	if d.o.Arrive != nil && why != d.tooLarge() { // what is full lacks more than the last changes, and counts it
		arriving, cancel := context.WithTimeout(ctx, arriveTime)
		defer cancel()
		if err := d.o.Arrive(arriving); err != nil {
			d.o.Log.Warn("a recording may lack its last changes", "recording", r.Name, "error", err)
			r.Why = append(r.Why, d.words.recordLacks)
		}
	}
	var err error
	r.To, err = record.Now(s, d.topics)
	r.Unsent = true
	return r, err
}

func (d *Desk) send(ctx context.Context, s *broker.Scanner, to telegram.Chat, one recording) error {
	r, err := d.collect(ctx, s, one)
	if err != nil {
		return err
	}
	return d.sendRecording(ctx, to, r, one.Why)
}

func (d *Desk) collect(ctx context.Context, s *broker.Scanner, r recording) (*record.Recording, error) {
	return record.Collect(ctx, s, d.topics, r.From, r.To, d.optionsOf(r))
}

func (d *Desk) optionsOf(r recording) record.Options {
	return record.Options{Name: r.Name, Tag: r.Tag, Source: d.o.Shown, Hide: d.o.Hide, MaxBytes: d.o.LargestFile}
}

// sendRecording sends a recording as a page and as JSON Lines, which say what both hold. The page is cut where it would be
// too large, and says so; JSON Lines that are are told of.
func (d *Desk) sendRecording(ctx context.Context, to telegram.Chat, r *record.Recording, why []string) error {
	page, err := r.HTML(d.sent, d.o.Language)
	if err != nil {
		return err
	}
	doc := telegram.Document{Name: r.Name + ".html", Content: page, Caption: telegram.Message{Silent: true}}
	if _, err := d.o.Bot.SendDocument(ctx, to, doc, telegram.Warning); err != nil {
		return err
	}
	var lines bytes.Buffer
	if err := r.WriteJSONLines(&lines); err != nil {
		return err
	}
	doc = telegram.Document{Name: r.Name + ".jsonl", Content: lines.Bytes()}
	caption := d.recordingCaption(r, why)
	if lines.Len() > d.sent {
		d.o.Log.Warn("a file of a recording is larger than Telegram takes", "file", doc.Name, "bytes", lines.Len())
		m := telegram.NewMessage(append(caption, telegram.Line(telegram.Italic(fmt.Sprintf(d.words.fileTooLarge, doc.Name))))...)
		_, err = d.o.Bot.Send(ctx, to, m, telegram.Warning)
		return err
	}
	doc.Caption = telegram.NewMessage(caption...)
	_, err = d.o.Bot.SendDocument(ctx, to, doc, telegram.Warning)
	return err
}

// recordingCaption says what a recording holds, why it ended, and what it lacks.
func (d *Desk) recordingCaption(r *record.Recording, why []string) []telegram.Block {
	caption := []telegram.Block{telegram.Line(
		telegram.Plain("⏺ "), telegram.Bold(r.Name), telegram.Plain(" · "+d.counted(r)),
	)}
	if n := r.Broken(); n > 0 {
		caption = append(caption, telegram.Line(telegram.Plain("✗ "+d.some(n, d.words.brokenOne, d.words.broken))))
	}
	if r.Beyond > 0 {
		caption = append(caption, telegram.Line(telegram.Plain(d.some(r.Beyond, d.words.recordBeyondOne, d.words.recordBeyond))))
	}
	for _, text := range why {
		caption = append(caption, telegram.Line(telegram.Italic(text)))
	}
	return caption
}

// watch ends recordings that nobody stops, and sends what couldn't be sent before.
func (d *Desk) watch(ctx context.Context) error {
	ticker := time.NewTicker(d.o.LookEvery)
	defer ticker.Stop()
	meters := map[recordingID]*record.Meter{}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		d.look(ctx, meters, time.Now())
	}
}

// look ends what has lasted long enough or holds as much as a file may. Meters are of the recordings that run.
func (d *Desk) look(ctx context.Context, meters map[recordingID]*record.Meter, now time.Time) {
	running := map[recordingID]bool{}
	for _, own := range d.chats() {
		for _, r := range d.list(own) {
			switch {
			case r.Unsent:
				d.finish(ctx, own, r.From.At, "")
			case !r.running():
			case now.Sub(r.From.At) >= d.o.LongestRecording:
				d.finish(ctx, own, r.From.At, d.tooLong())
			default:
				id := recordingID{own.Chat, r.From.At.UnixNano()}
				running[id] = true
				if meters[id] == nil {
					meters[id] = record.NewMeter(r.From, d.optionsOf(r))
				}
				if d.full(ctx, meters[id], r) {
					d.finish(ctx, own, r.From.At, d.tooLarge())
				}
			}
		}
	}
	for id := range meters {
		if !running[id] {
			delete(meters, id)
		}
	}
}

func (d *Desk) tooLong() string {
	return fmt.Sprintf(d.words.recordTooLong, d.span(d.o.LongestRecording))
}

func (d *Desk) tooLarge() string {
	return fmt.Sprintf(d.words.recordTooLarge, d.megabytes(d.o.LargestFile))
}

// full tells whether a recording that runs holds as much as a file may. What fails is tried again with the next look.
func (d *Desk) full(ctx context.Context, m *record.Meter, r recording) bool {
	scanner, err := broker.NewScanner(d.o.Broker, "datawatch-collector")
	if err != nil {
		d.o.Log.Warn("a recording's size isn't known", "recording", r.Name, "error", err)
		return false
	}
	defer func() { _ = scanner.Close() }() // it only read
	to, err := record.Now(scanner, d.topics)
	full := false
	if err == nil {
		full, err = m.Full(ctx, scanner, d.topics, to)
	}
	if err != nil && ctx.Err() == nil {
		d.o.Log.Warn("a recording's size isn't known", "recording", r.Name, "error", err)
	}
	return full
}

func (d *Desk) chats() []*recordings {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]*recordings, 0, len(d.recordings))
	for _, own := range d.recordings {
		out = append(out, own)
	}
	return out
}
