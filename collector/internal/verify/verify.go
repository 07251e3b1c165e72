package verify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"

	"datawatch/pkg/event"
)

// Table is what is compared with clean.
type Table interface {
	// Walk hands over all rows as raw reads, each as it is at some moment of the walk.
	Walk(ctx context.Context, each func([]event.Raw) error) error
	// Row is the row with the key at this moment; nil where there is none.
	Row(ctx context.Context, key json.RawMessage) (*event.Raw, error)
}

// Options are what a comparison works with.
type Options struct {
	Stream event.Stream
	Table  Table
	// Clean makes of a raw read what the pipeline would.
	Clean func(ctx context.Context, raw *event.Raw) (*event.Clean, error)
	// On reads on in clean: from its beginning, then from where it was.
	On func(ctx context.Context, each func(*event.Clean) error) error
	// Settle returns when everything that was committed in the table before the call is in clean.
	Settle func(ctx context.Context) error
	// Complete: every row that is in the table has an event in clean, for a snapshot read it.
	Complete bool
	// Sample is how many rows of Estimate are compared, about; 0 is all.
	Sample, Estimate int64
	// Progress is told how many rows were compared; it may be nil.
	Progress func(rows int64)
}

// Kinds of differences.
const (
	Missing   = "missing"   // in the table, and not in clean
	Extra     = "extra"     // in clean, and not in the table
	Different = "different" // in both, and not the same
)

// Result is what a comparison found.
type Result struct {
	Stream      event.Stream `json:"stream"`
	Rows        int64        `json:"rows"` // compared, of the table
	Sampled     bool         `json:"sampled,omitempty"`
	Differences []Difference `json:"differences"`
	// More tells that the rest wasn't compared: these differences say enough.
	More bool `json:"more,omitempty"`
	// Untold are rows of which clean holds no event: they were there before capture, or before what clean holds.
	Untold int64 `json:"untold"`
	// Unsettled are rows that changed at each look, and those that differ where a column was dropped meanwhile, which clean
	// may still have.
	Unsettled int64 `json:"unsettled,omitempty"`
}

// Difference is one row that isn't the same.
type Difference struct {
	Key   json.RawMessage `json:"key"`
	Kind  string          `json:"kind"`
	Event string          `json:"event,omitempty"` // the latest in clean
}

// digest is what a row is, shortened; the zero digest is of no row.
type digest [16]byte

// known is the latest state of a key.
type known struct {
	id     string // of the event
	image  digest
	large  map[string]digest // of its long values, which a later event may leave out as unchanged
	fields []string          // that the event leaves out, and none before it had
	seen   bool              // in the table
}

// longValue is what a value has, in bytes of JSON, that is digested by itself. PostgreSQL keeps the longest of a row outside of it, whose changes
// then leave them out.
const longValue = 256

const (
	// maxSuspects is how many rows are looked at again at a time.
	maxSuspects = 1000
	// maxDifferences ends a comparison, and of rows that clean may know nothing of, these are looked at again.
	maxDifferences = 1000
	// maxRounds is how often a row that keeps changing is looked at.
	maxRounds = 5
)

// ErrMaskedKey says that rows can't be found again by what clean has for their key.
var ErrMaskedKey = errors.New("mask hides a column of the key: rows can't be told apart in clean")

type comparison struct {
	Options
	share    uint64          // keys whose hash is above aren't compared
	members  map[string]bool // that rows have now; nil where there is no row
	latest   map[string]*known
	emptied  string // the position of the latest truncate
	suspects map[string]*suspect
	result   *Result
}

// suspect is a key whose row differs at first sight.
type suspect struct {
	was map[digest]bool // what clean held since the table was walked
}

// Run compares.
func Run(ctx context.Context, o Options) (*Result, error) {
	c := &comparison{
		Options: o, share: math.MaxUint64, latest: map[string]*known{}, suspects: map[string]*suspect{},
		result: &Result{Stream: o.Stream, Differences: []Difference{}},
	}
	if o.Sample > 0 && o.Estimate > o.Sample {
		c.share, c.result.Sampled = math.MaxUint64/uint64(o.Estimate)*uint64(o.Sample), true
	}
	var err error
	if c.members, err = c.learn(ctx); err != nil {
		return nil, err
	}
	if err := c.On(ctx, c.take); err != nil {
		return nil, err
	}
	if err := c.compareAll(ctx); errors.Is(err, errEnough) {
		c.result.More = true
	} else if err != nil {
		return nil, err
	}
	order := func(a, b Difference) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), bytes.Compare(a.Key, b.Key)) }
	slices.SortFunc(c.result.Differences, order)
	// A walk that began anew met some twice.
	c.result.Differences = slices.CompactFunc(c.result.Differences, func(a, b Difference) bool { return order(a, b) == 0 })
	return c.result, nil
}

// compareAll compares what is in the table, and then what is in clean alone.
func (c *comparison) compareAll(ctx context.Context) error {
	if err := c.Table.Walk(ctx, func(rows []event.Raw) error { return c.compare(ctx, rows) }); err != nil {
		return err
	}
	var unseen []string
	for key, k := range c.latest {
		if !k.seen && c.imageOf(key) != (digest{}) {
			unseen = append(unseen, key)
		}
	}
	for _, key := range unseen {
		if err := c.suspect(ctx, key); err != nil {
			return err
		}
	}
	return c.lookAgain(ctx)
}

// wanted tells whether a key is in the sample: on both sides the same keys are.
func (c *comparison) wanted(key []byte) bool {
	if c.share == math.MaxUint64 {
		return true
	}
	h := fnv.New64a()
	_, _ = h.Write(key) // never fails
	x := h.Sum64()      // whose upper bits hardly differ for short keys: mixed as splitmix64 does
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x^x>>31 <= c.share
}

// take keeps the latest state of each key.
func (c *comparison) take(e *event.Clean) error {
	if e.Change == nil || e.Stream != c.Stream {
		return nil
	}
	if e.Change.Op == event.Truncate {
		c.emptied = max(c.emptied, event.PositionOf(e.ID))
		for _, s := range c.suspects {
			s.was[digest{}] = true
		}
		return nil
	}
	if !c.wanted(e.Change.Key) {
		return nil
	}
	key := string(e.Change.Key)
	k := c.latest[key]
	if k == nil {
		k = &known{}
		c.latest[key] = k
	}
	if c.imageOf(key) == (digest{}) {
		k.large = nil
	}
	k.id, k.image, k.fields = e.ID, digest{}, nil
	if e.Change.Op != event.Delete {
		var left []string
		if e.Change.Incomplete != nil {
			left = e.Change.Incomplete.Fields
		}
		k.fields = slices.DeleteFunc(slices.Clone(left), func(name string) bool { _, had := k.large[name]; return had })
		kept := maps.Clone(k.large)
		maps.DeleteFunc(kept, func(name string, _ digest) bool { return !slices.Contains(left, name) })
		var err error
		if k.image, k.large, err = c.digestOf(e.Change.After, k.fields, kept); err != nil {
			return fmt.Errorf("event %s: %w", e.ID, err)
		}
	}
	if s := c.suspects[key]; s != nil {
		s.was[k.image] = true
	}
	return nil
}

// imageOf is what clean holds of a key: a row that was there before the table was emptied is none.
func (c *comparison) imageOf(key string) digest {
	k := c.latest[key]
	if k == nil || event.PositionOf(k.id) < c.emptied {
		return digest{}
	}
	return k.image
}

// compare compares rows of the table.
func (c *comparison) compare(ctx context.Context, rows []event.Raw) error {
	for i := range rows {
		if !c.wanted(rows[i].Key) {
			continue
		}
		key, image, err := c.read(ctx, &rows[i])
		if err != nil {
			return err
		}
		c.result.Rows++
		if k := c.latest[key]; k != nil {
			if k.seen = true; c.imageOf(key) == image {
				continue
			}
		}
		if err := c.suspect(ctx, key); err != nil {
			return err
		}
	}
	if c.Progress != nil {
		c.Progress(c.result.Rows)
	}
	return nil
}

// read is a row as clean would have it, without what the latest event leaves out.
func (c *comparison) read(ctx context.Context, raw *event.Raw) (key string, image digest, err error) {
	was := string(raw.Key)
	e, err := c.Clean(ctx, raw)
	if err != nil {
		return "", digest{}, err
	}
	if key = string(e.Change.Key); key != was {
		return "", digest{}, ErrMaskedKey
	}
	var fields []string
	if k := c.latest[key]; k != nil {
		fields = k.fields
	}
	image, _, err = c.digestOf(e.Change.After, fields, nil)
	return key, image, err
}

// learn finds out which members rows have, by the first one; nil where there is no row.
func (c *comparison) learn(ctx context.Context) (members map[string]bool, err error) {
	err = c.Table.Walk(ctx, func(rows []event.Raw) error {
		if len(rows) == 0 {
			return nil
		}
		e, err := c.Clean(ctx, &rows[0])
		if err != nil {
			return err
		}
		var row map[string]json.RawMessage
		if err := json.Unmarshal(e.Change.After, &row); err != nil {
			return err
		}
		members = map[string]bool{}
		for name := range row {
			members[name] = true
		}
		return errEnough
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return members, err
}

// columnGone tells whether rows have lost a member since they were compared.
func (c *comparison) columnGone(ctx context.Context) (bool, error) {
	now, err := c.learn(ctx)
	if err != nil || now == nil {
		return false, err
	}
	for name := range c.members {
		if !now[name] {
			return true, nil
		}
	}
	return false, nil
}

var errEnough = errors.New("enough")

// digestOf shortens a row, and each long value by itself, without what is null, and without columns that the table has no more: no event
// tells of a row that a column was added to its table, or dropped. kept are long values of the row that aren't in it.
func (c *comparison) digestOf(row json.RawMessage, without []string, kept map[string]digest) (_ digest, large map[string]digest, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(row, &members); err != nil {
		return digest{}, nil, err
	}
	absent := func(name string) bool {
		return c.members != nil && !c.members[name] || slices.Contains(without, name)
	}
	large = kept
	for name, value := range members {
		switch {
		case string(value) == "null" || absent(name):
			delete(members, name)
		case len(value) >= longValue:
			if large == nil {
				large = map[string]digest{}
			}
			if large[name], err = digestOf(value); err != nil {
				return digest{}, nil, err
			}
		}
	}
	for name, d := range large {
		if !absent(name) {
			members[name] = json.RawMessage(fmt.Sprintf(`"%x"`, d))
		}
	}
	text, err := json.Marshal(members)
	if err != nil {
		return digest{}, nil, err
	}
	image, err := digestOf(text)
	return image, large, err
}

func digestOf(value []byte) (digest, error) {
	text, err := event.Canonical(value)
	if err != nil {
		return digest{}, err
	}
	sum := sha256.Sum256(text)
	return digest(sum[:16]), nil
}

// suspect has a row looked at again, with others.
func (c *comparison) suspect(ctx context.Context, key string) error {
	switch {
	case c.suspects[key] != nil:
		return nil
	case c.latest[key] == nil && !c.Complete && c.result.Untold >= maxDifferences: // most likely one more that was never told
		c.result.Untold++
		return nil
	}
	c.suspects[key] = &suspect{was: map[digest]bool{c.imageOf(key): true}}
	if len(c.suspects) < maxSuspects {
		return nil
	}
	return c.lookAgain(ctx)
}
