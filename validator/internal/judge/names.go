package judge

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/tally"
)

const (
	// unmatchedKey is the state record that says since when files match no stream: a restart doesn't begin the day anew.
	unmatchedKey = "schema-names/unmatched"
	// unmatchedAfter is how long a file may match no stream that was ever seen.
	unmatchedAfter = 24 * time.Hour
	// namesEvery is how often names are looked at, beside whenever schemas or streams change.
	namesEvery = time.Minute
)

type unmatchedRecord struct {
	Version int                  `json:"version"` // 1
	Since   map[string]time.Time `json:"since"`   // by file
}

// names finds files whose names leave them nothing to judge, and rules that can't run on their streams, by what is known of
// all streams, whichever validator judges them.
type names struct {
	log     *slog.Logger
	metrics *metrics
	after   time.Duration
	now     func() time.Time
	changed chan struct{} // of capacity one

	mu      sync.Mutex
	ready   bool // what was written before is read
	streams map[event.Stream]map[int32]tally.Entry
	since   map[string]time.Time // of files that match no stream
	unsaved bool
	remarks []schemas.Remark // found last
}

func newNames(log *slog.Logger, m *metrics, now func() time.Time) *names {
	return &names{
		log: log, metrics: m, after: unmatchedAfter, now: now, changed: make(chan struct{}, 1),
		streams: map[event.Stream]map[int32]tally.Entry{}, since: map[string]time.Time{},
	}
}

func (n *names) wake() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// known says that everything that was written before has been taken, saved files that match no stream among it.
func (n *names) known(saved int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ready = true
	n.unsaved = len(n.since) > saved // a transaction with what is new may have failed
	n.wake()
}

// takeStream learns of a stream's events in a partition.
func (n *names) takeStream(partition int32, stream event.Stream, e tally.Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	parts := n.streams[stream]
	if parts == nil {
		parts = map[int32]tally.Entry{}
		n.streams[stream] = parts
	}
	if old, there := parts[partition]; !there || (old.Blind > 0) != (e.Blind > 0) {
		n.wake()
	}
	parts[partition] = e
}

// takeUnmatched learns since when files match no stream, by whoever noticed first.
func (n *names) takeUnmatched(value []byte) (files int, err error) {
	var r unmatchedRecord
	if err := json.Unmarshal(value, &r); err != nil {
		return 0, fmt.Errorf("read state %s: %w", unmatchedKey, err)
	}
	if r.Version != 1 {
		return 0, fmt.Errorf("read state %s: version %d is newer than this program", unmatchedKey, r.Version)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for file, at := range r.Since {
		if old, there := n.since[file]; !there || at.Before(old) {
			n.since[file] = at
		}
	}
	return len(r.Since), nil
}

// run looks whenever something has changed, and now and then, until ctx is done, and returns its error. saving is called
// where something is to be written.
func (n *names) run(ctx context.Context, set func() *schemas.Set, saving func()) error {
	ticker := time.NewTicker(namesEvery)
	defer ticker.Stop()
	for {
		if n.look(set()) {
			saving()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-n.changed:
		case <-ticker.C:
		}
	}
}

// look compares the files in force with the streams that are known, tells what is new, and says whether there is something
// to save.
func (n *names) look(set *schemas.Set) (unsaved bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.ready || set.ReadAt.IsZero() { // nothing is known, or the folder couldn't be read yet
		return false
	}
	remarks := slices.Concat(set.Remarks(), n.unrunnable(set), n.unmatched(set))
	for _, r := range remarks {
		if !slices.Contains(n.remarks, r) && r.Kind != schemas.Shadowed && r.Kind != schemas.Ambiguous { // the watcher has told those
			p := r.Problem()
			n.log.Warn(p.Message, "file", r.File, "hint", p.Hint)
		}
	}
	n.remarks = remarks
	n.count()
	return n.unsaved
}

func (n *names) count() {
	counts := map[schemas.RemarkKind]int{schemas.Shadowed: 0, schemas.Ambiguous: 0, schemas.Unmatched: 0, schemas.Unrunnable: 0}
	for _, r := range n.remarks {
		counts[r.Kind]++
	}
	for kind, number := range counts {
		n.metrics.remarks.WithLabelValues(string(kind)).Set(float64(number))
	}
	n.metrics.unrunnable.Set(float64(counts[schemas.Unrunnable]))
}

// unrunnable are the rules that name old on streams whose newest changes came without a before image.
func (n *names) unrunnable(set *schemas.Set) []schemas.Remark {
	var all []schemas.Remark
	for stream, parts := range n.streams {
		file := set.For(stream)
		if file == nil {
			continue
		}
		blind := false
		for _, e := range parts {
			blind = blind || e.Blind > 0
		}
		if !blind {
			continue
		}
		for _, id := range file.OldRules() {
			all = append(all, schemas.Remark{Kind: schemas.Unrunnable, File: file.Name, Rule: id, Stream: string(stream)})
		}
	}
	slices.SortFunc(all, func(a, b schemas.Remark) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Rule, b.Rule))
	})
	return all
}

// unmatched are the files that have matched no stream for long enough, with the stream that was probably meant: one that no
// file judges, if any is near.
func (n *names) unmatched(set *schemas.Set) []schemas.Remark {
	judging := map[*schemas.File]bool{}
	var unjudged, known []string
	for stream := range n.streams {
		known = append(known, string(stream))
		if f := set.For(stream); f != nil {
			judging[f] = true
		} else {
			unjudged = append(unjudged, string(stream))
		}
	}
	slices.Sort(known)
	slices.Sort(unjudged)
	hidden := map[string]bool{} // and told so
	for _, r := range set.Remarks() {
		hidden[r.File] = hidden[r.File] || r.Kind == schemas.Shadowed
	}
	now := n.now()
	var all []schemas.Remark
	for _, f := range set.Files() {
		if judging[f] || hidden[f.Name] {
			delete(n.since, f.Name)
			continue
		}
		since, there := n.since[f.Name]
		if !there {
			since = now
			n.since[f.Name], n.unsaved = now.UTC().Truncate(time.Second), true
		}
		if now.Sub(since) < n.after {
			continue
		}
		name := strings.TrimSuffix(f.Name, ".json")
		meant := cmp.Or(config.Nearest(name, unjudged), config.Nearest(name, known), sameBut(name, unjudged))
		all = append(all, schemas.Remark{Kind: schemas.Unmatched, File: f.Name, Stream: meant})
	}
	return all
}

// sameBut finds the stream that has the same name but for the case of its letters, or in another source.
func sameBut(name string, streams []string) string {
	_, entity, _ := strings.Cut(name, "/")
	for _, same := range []func(string) bool{
		func(s string) bool { return strings.EqualFold(s, name) },
		func(s string) bool { _, e, _ := strings.Cut(s, "/"); return strings.EqualFold(e, entity) },
	} {
		if i := slices.IndexFunc(streams, same); i >= 0 {
			return streams[i]
		}
	}
	return ""
}

// save is the record of what isn't saved yet, if there is something.
func (n *names) save(j *Judge) ([]broker.Record, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.unsaved {
		return nil, nil
	}
	r, err := j.record(unmatchedKey, unmatchedRecord{1, n.since})
	if err != nil {
		return nil, err
	}
	n.unsaved = false
	return []broker.Record{r}, nil
}

// all are the remarks that were found last.
func (n *names) all() []schemas.Remark {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.remarks
}
