package backfill

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
)

// Entry is the account's name among the entries of a source's progress.
const Entry = "snapshot"

// InitialID is the id of the snapshot that `snapshot: initial` asks for.
const InitialID = "initial"

const accountVersion = 1

const (
	// keptEnded is how many snapshots that ended are remembered, so that whoever asked hears of it.
	keptEnded = 10
	// keptParts is how many parts of theirs are remembered, besides the latest one's. Of a snapshot that has more, keptProblems are that
	// were left out.
	keptParts, keptProblems = 100, 20
)

// Account is all that is known of a source's snapshots.
type Account struct {
	Version int   `json:"version"` // 1
	Control int64 `json:"control"` // the offset behind the last request that was taken
	Initial bool  `json:"initial"` // the initial snapshot was begun once
	// Jobs are the snapshots that are not done; the first is at work.
	Jobs  []*Job `json:"jobs,omitempty"`
	Ended []*Job `json:"ended,omitempty"` // the latest last
	// Whole are the streams that were read whole, by the moment when the latest such snapshot began.
	Whole map[event.Stream]time.Time `json:"whole,omitempty"`
}

// Job is one snapshot.
type Job struct {
	ID     string       `json:"id"`
	Stream event.Stream `json:"stream,omitempty"` // empty: all of the source's
	Asked  time.Time    `json:"asked"`
	Began  time.Time    `json:"began,omitzero"` // when it was planned
	Ended  time.Time    `json:"ended,omitzero"`
	Parts  []*Part      `json:"parts,omitempty"`
	// Partial: it reads a part of the stream alone, which came to it.
	Partial bool `json:"partial,omitempty"`
	// Replace: each stream ends before it is read.
	Replace bool `json:"replace,omitempty"`
	// Problem says why there is nothing to read.
	Problem string `json:"problem,omitempty"`
	// Unlisted are the rows of parts that aren't remembered.
	Unlisted int64 `json:"unlisted,omitempty"`
}

// Part is one table or collection of a snapshot, or one of the partitions of a table.
type Part struct {
	Stream event.Stream `json:"stream"`
	Place  string       `json:"place,omitempty"` // what the source knows it by
	// Estimate is about how many rows there are; Rows and Bytes are how many were read.
	Estimate int64           `json:"estimate"`
	Rows     int64           `json:"rows"`
	Bytes    int64           `json:"bytes"`
	Cursor   json.RawMessage `json:"cursor,omitempty"` // the source's own; nil before the first chunk
	Done     bool            `json:"done,omitempty"`
	// Replaced: what was told of the stream before has ended.
	Replaced bool `json:"replaced,omitempty"`
	// Problem says why the part was left out; Note says what doesn't hold of its reads.
	Problem string `json:"problem,omitempty"`
	Note    string `json:"note,omitempty"`
}

// Parse reads the account out of a source's progress; it is empty where there is none.
func Parse(p source.Progress) (*Account, error) {
	text := p[Entry]
	if len(text) == 0 {
		return &Account{Version: accountVersion}, nil
	}
	var a Account
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("read the account of snapshots: %w", err)
	}
	if a.Version != accountVersion {
		return nil, fmt.Errorf("read the account of snapshots: version %d is unknown: it was written by a newer datawatch", a.Version)
	}
	if a.Whole == nil {
		for _, j := range a.Ended {
			a.readBy(j)
		}
	}
	return &a, nil
}

// readBy notes the streams that a snapshot has read whole.
func (a *Account) readBy(j *Job) {
	if j.Partial {
		return
	}
	left := map[event.Stream]bool{}
	for _, p := range j.Parts {
		left[p.Stream] = left[p.Stream] || p.Problem != ""
	}
	for stream, left := range left {
		if left {
			continue
		}
		if a.Whole == nil {
			a.Whole = map[event.Stream]time.Time{}
		}
		a.Whole[stream] = j.Began
	}
}

// forget lets a snapshot that ended go, but for its rows and what some of its parts were left out for.
func (j *Job) forget() {
	left := 0
	j.Parts = slices.DeleteFunc(j.Parts, func(p *Part) bool {
		if p.Problem != "" {
			left++
		}
		if p.Problem != "" && left <= keptProblems {
			return false
		}
		j.Unlisted += p.Rows
		return true
	})
	if left > keptProblems {
		j.Problem = fmt.Sprintf("%d more were left out", left-keptProblems)
	}
}

// Job finds a snapshot that is waiting, at work or remembered; nil is none.
func (a *Account) Job(id string) *Job {
	for _, jobs := range [][]*Job{a.Jobs, a.Ended} {
		if i := slices.IndexFunc(jobs, func(j *Job) bool { return j.ID == id }); i >= 0 {
			return jobs[i]
		}
	}
	return nil
}

// Current is the part that is being read; nil where nothing is left.
func (j *Job) Current() *Part {
	if i := slices.IndexFunc(j.Parts, func(p *Part) bool { return !p.Done }); i >= 0 {
		return j.Parts[i]
	}
	return nil
}

// Rows are those that were read, and about how many there are in all.
func (j *Job) Rows() (read, estimate int64) {
	read, estimate = j.Unlisted, j.Unlisted
	for _, p := range j.Parts {
		read += p.Rows
		if p.Done {
			estimate += p.Rows
		} else {
			estimate += max(p.Rows, p.Estimate)
		}
	}
	return read, estimate
}

// Problems are the parts that were left out, and why.
func (j *Job) Problems() []string {
	var all []string
	if j.Problem != "" {
		all = append(all, j.Problem)
	}
	for _, p := range j.Parts {
		if p.Problem != "" {
			all = append(all, string(p.Stream)+": "+p.Problem)
		}
	}
	return all
}

// String is how far the snapshot is, in a line.
func (j *Job) String() string {
	read, estimate := j.Rows()
	current := j.Current()
	switch {
	case j.Began.IsZero():
		return "waits"
	case current == nil:
		return fmt.Sprintf("%d rows read", read)
	default:
		return fmt.Sprintf("reading %s: %d of about %d rows, %d%%", current.Stream, read, estimate, Percent(read, estimate))
	}
}

// Percent is how much was read; 100 is only said when it is all.
func Percent(read, estimate int64) int64 {
	if estimate <= 0 {
		return 0
	}
	return min(99, 100*read/estimate)
}

// Read tells whether a snapshot has read the whole stream, and began when it had to.
func (a *Account) Read(stream event.Stream, began func(time.Time) bool) bool {
	at, read := a.Whole[stream]
	return read && began(at)
}
