package backfill

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// Options are what a Tracker works with.
type Options struct {
	// Initial asks for a snapshot of everything, once in the life of the source.
	Initial bool
	// BytesPerSecond is the most that is read; 0 is no limit.
	BytesPerSecond int64
	// MaxRecordBytes is the size of the largest record that the broker takes; 0 is 8 MiB.
	MaxRecordBytes int64
	// Requests may be nil.
	Requests <-chan source.SnapshotRequest
	Reporter source.Reporter
	Log      *slog.Logger
	Now      func() time.Time
}

// Tracker is the account of a run of a source. It is for one goroutine: the one that emits. What it holds is ahead of what
// was committed until Progress was; a source whose emit failed ends its run, and the next one begins with what was.
type Tracker struct {
	options Options
	account *Account
	dirty   bool
	due     time.Time // of the next chunk, as the limit allows
	told    time.Time // when progress was last told
}

// maxProblem is how much of what the source said is remembered.
const maxProblem = 300

// requestsExpire is how long a request may lie in the control topic: whoever asked waits no longer.
const requestsExpire = time.Hour

const defaultMaxRecordBytes = 8 << 20

// tellEvery is how often progress is logged and reported.
const tellEvery = 10 * time.Second

// NewTracker goes on from a source's progress.
func NewTracker(p source.Progress, o Options) (*Tracker, error) {
	account, err := Parse(p)
	if err != nil {
		return nil, err
	}
	if o.MaxRecordBytes <= 0 {
		o.MaxRecordBytes = defaultMaxRecordBytes
	}
	t := &Tracker{options: o, account: account}
	if o.Initial && !account.Initial {
		account.Initial = true
		t.add(&Job{ID: InitialID, Asked: o.Now().UTC()})
	}
	return t, nil
}

func (t *Tracker) add(j *Job) {
	t.account.Jobs = append(t.account.Jobs, j)
	t.dirty = true
	t.options.Log.Info("a snapshot was asked for", "id", j.ID, "stream", j.Stream)
}

// AddPart has a part of a stream read, which came to it just now, behind the snapshots that were asked for. A part that has
// its turn already, by the id, is known.
func (t *Tracker) AddPart(id string, at time.Time, part *Part) {
	if t.account.Job(id) == nil {
		t.add(&Job{ID: id, Stream: part.Stream, Asked: at.UTC(), Began: at.UTC(), Parts: []*Part{part}, Partial: true})
	}
}

// take takes the requests that came.
func (t *Tracker) take() {
	for {
		select {
		case r := <-t.options.Requests:
			t.account.Control = max(t.account.Control, r.Next)
			t.dirty = true
			if t.options.Now().Sub(r.At) > requestsExpire || t.account.Job(r.ID) != nil {
				continue
			}
			t.add(&Job{ID: r.ID, Stream: r.Stream, Asked: r.At.UTC(), Replace: r.Replace})
		default:
			return
		}
	}
}

// Job is the snapshot that is at work; nil where nothing is to be read. It is to be planned where Began is zero.
func (t *Tracker) Job() *Job {
	t.take()
	if len(t.account.Jobs) == 0 {
		return nil
	}
	return t.account.Jobs[0]
}

// Due tells whether the next chunk may be read now.
func (t *Tracker) Due() bool { return !t.options.Now().Before(t.due) }

// Postpone has the next chunk wait.
func (t *Tracker) Postpone(d time.Duration) { t.due = t.options.Now().Add(d) }

// Hindered has the next chunk wait for what keeps the current part from being read, and may pass; why is told, unless it is "".
func (t *Tracker) Hindered(why string, d time.Duration) {
	t.Postpone(d)
	if why == "" {
		return
	}
	j := t.account.Jobs[0]
	t.options.Log.Warn("a snapshot waits, and tries again", "id", j.ID, "stream", t.current().Stream, "reason", why, "in", d)
	t.options.Reporter.State(source.Snapshot, reason.Quote(j.String()+": "+why))
	t.told = time.Time{}
}

// Planned sets what the snapshot at work is to read.
func (t *Tracker) Planned(parts []*Part) {
	j := t.account.Jobs[0]
	j.Began, j.Parts = t.options.Now().UTC(), parts
	if len(parts) == 0 {
		j.Problem = "the source has no such stream: " + string(j.Stream)
		if j.Stream == "" {
			j.Problem = "the configuration selects nothing that is there"
		}
	}
	t.options.Log.Info("a snapshot begins", "id", j.ID, "stream", j.Stream, "parts", len(parts))
	t.dirty = true
	t.finish(j)
	t.fit(t.options.MaxRecordBytes / 2)
	t.tell(true)
}

// ReasonReplaced is why a stream ends that a snapshot replaces, as its truncate says.
const ReasonReplaced = "snapshot"

// Replaces tells whether the current part's stream is to end before anything is read of it, which Replaced takes account of.
func (t *Tracker) Replaces() bool { return t.account.Jobs[0].Replace && !t.current().Replaced }

// Replaced takes account of the end of the current part's stream.
func (t *Tracker) Replaced() {
	stream := t.current().Stream
	for _, p := range t.account.Jobs[0].Parts {
		p.Replaced = p.Replaced || p.Stream == stream
	}
	t.dirty = true
}

// Read takes account of a chunk of the current part.
func (t *Tracker) Read(rows int, bytes int64, cursor json.RawMessage, done bool) {
	p := t.current()
	p.Rows += int64(rows)
	p.Bytes += bytes
	p.Cursor, p.Done = cursor, done
	t.dirty = true
	if rate := t.options.BytesPerSecond; rate > 0 {
		t.Postpone(time.Duration(float64(bytes) / float64(rate) * float64(time.Second)))
	}
	if done {
		p.Cursor = nil
		t.options.Log.Info("a snapshot has read a stream", "stream", p.Stream, "rows", p.Rows)
	}
	t.finish(t.account.Jobs[0])
	t.fit(t.options.MaxRecordBytes * 7 / 8)
	t.tell(false)
}

// LeaveOut ends the current part with the reason why it can't be read.
func (t *Tracker) LeaveOut(problem string) {
	p := t.current()
	if len(problem) > maxProblem {
		problem = strings.ToValidUTF8(problem[:maxProblem], "") + "…"
	}
	p.Done, p.Problem, p.Cursor = true, problem, nil
	t.dirty = true
	t.options.Log.Warn("a snapshot left a stream out", "stream", p.Stream, "reason", problem)
	t.finish(t.account.Jobs[0])
	t.fit(t.options.MaxRecordBytes * 7 / 8)
}

// Split has others read in place of the current part, from their beginnings.
func (t *Tracker) Split(parts []*Part) {
	j := t.account.Jobs[0]
	i := slices.Index(j.Parts, j.Current())
	for _, p := range parts {
		p.Replaced = j.Parts[i].Replaced
	}
	if len(parts) > 0 {
		parts[0].Rows, parts[0].Bytes = j.Parts[i].Rows, j.Parts[i].Bytes // what was read was read
	}
	j.Parts = slices.Replace(j.Parts, i, i+1, parts...)
	t.dirty = true
	t.finish(j)
	t.fit(t.options.MaxRecordBytes / 2)
}

func (t *Tracker) current() *Part { return t.account.Jobs[0].Current() }

// finish ends a snapshot that has nothing left to read.
func (t *Tracker) finish(j *Job) {
	if j.Current() != nil {
		return
	}
	j.Ended = t.options.Now().UTC()
	t.account.Jobs = t.account.Jobs[1:]
	t.account.readBy(j)
	parts := 0
	for _, before := range slices.Backward(t.account.Ended) {
		if parts += len(before.Parts); parts > keptParts {
			before.forget()
		}
	}
	t.account.Ended = append(t.account.Ended, j)
	if n := len(t.account.Ended); n > keptEnded {
		t.account.Ended = t.account.Ended[n-keptEnded:]
	}
	rows, _ := j.Rows()
	t.options.Log.Info("a snapshot ended", "id", j.ID, "rows", rows, "took", j.Ended.Sub(j.Began), "problems", j.Problems())
	if len(t.account.Jobs) == 0 {
		t.options.Reporter.State(source.Streaming, reason.Text{})
	}
}

// fit keeps the account in a record of the broker's: else nothing could be committed any more. What ended is forgotten first; then a
// snapshot of too many parts is given up.
func (t *Tracker) fit(most int64) {
	over := func() bool {
		text, err := json.Marshal(t.account)
		return err == nil && int64(len(text)) > most // an error is Progress's to tell
	}
	if !over() {
		return
	}
	t.account.Ended = nil
	if len(t.account.Jobs) == 0 || !over() {
		return
	}
	j := t.account.Jobs[0]
	j.Unlisted, _ = j.Rows()
	j.Problem = fmt.Sprintf("%d tables are too many for one snapshot, whose account is a record of %d bytes at most (max_record_bytes): ask for one stream at a time", len(j.Parts), t.options.MaxRecordBytes)
	j.Parts = nil
	t.finish(j)
}

// tell reports and logs how far it is, now and then.
func (t *Tracker) tell(now bool) {
	if len(t.account.Jobs) == 0 || !now && t.options.Now().Sub(t.told) < tellEvery {
		return
	}
	t.told = t.options.Now()
	j := t.account.Jobs[0]
	t.options.Reporter.State(source.Snapshot, reason.Quote(j.String()))
	if !now {
		t.options.Log.Info("snapshot", "progress", j.String())
	}
}

// Dirty tells whether the account holds what Progress hasn't given yet.
func (t *Tracker) Dirty() bool { return t.dirty }

// Progress is the account as an entry of progress, for the batch that holds what was read. It is nil where nothing changed.
func (t *Tracker) Progress() (source.Progress, error) {
	if !t.dirty {
		return nil, nil
	}
	text, err := json.Marshal(t.account)
	if err != nil {
		return nil, fmt.Errorf("write the account of snapshots: %w", err)
	}
	t.dirty = false
	return source.Progress{Entry: text}, nil
}

// Wants tells whether a snapshot is to read the stream.
func (j *Job) Wants(s event.Stream) bool { return j.Stream == "" || j.Stream == s }
