package wrongrows

import (
	"cmp"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"sync"

	"datawatch/pkg/event"
)

// Standing is a rule by which a row is wrong.
type Standing struct {
	Rule     string
	Severity event.Severity
}

// Label is what wrong rows are counted by.
type Label struct {
	Stream   event.Stream
	Rule     string
	Severity event.Severity
}

// row is a hash of a row's key in clean.
type row [16]byte

func hash(key []byte) row {
	sum := sha256.Sum256(key)
	return row(sum[:16])
}

// Rows are the rows that are wrong in some partitions.
type Rows struct {
	partitions map[int32]map[row]uint32 // rows to their combination
	combos     []combo                  // by number; 0 is none
	numbers    map[string]uint32

	mu     sync.Mutex
	counts map[Label]int
}

// combo is a combination of rules of a stream: there are few, however many rows.
type combo struct {
	stream   event.Stream
	standing []Standing // by rule
}

// New knows of no wrong row.
func New() *Rows {
	return &Rows{partitions: map[int32]map[row]uint32{}, combos: make([]combo, 1), numbers: map[string]uint32{}, counts: map[Label]int{}}
}

// Counts are the wrong rows by stream, rule and severity. It may be called at any time.
func (r *Rows) Counts() map[Label]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

// Standing are the rules by which a row is wrong, by name. The result is not to be altered.
func (r *Rows) Standing(partition int32, key []byte) []Standing {
	rows := r.partitions[partition]
	if len(rows) == 0 {
		return nil
	}
	return r.combos[rows[hash(key)]].standing
}

// Set says by which rules a row is wrong from now on; none ends it.
func (r *Rows) Set(partition int32, stream event.Stream, key []byte, standing []Standing) {
	rows := r.partitions[partition]
	if rows == nil {
		rows = map[row]uint32{}
		r.partitions[partition] = rows
	}
	at := hash(key)
	before, now := rows[at], r.number(stream, standing)
	if before == now {
		return
	}
	if now == 0 {
		delete(rows, at)
	} else {
		rows[at] = now
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count(before, -1)
	r.count(now, 1)
}

func (r *Rows) count(number uint32, by int) {
	c := r.combos[number]
	for _, s := range c.standing {
		label := Label{c.stream, s.Rule, s.Severity}
		if r.counts[label] += by; r.counts[label] == 0 {
			delete(r.counts, label)
		}
	}
}

func (r *Rows) number(stream event.Stream, standing []Standing) uint32 {
	if len(standing) == 0 {
		return 0
	}
	standing = slices.SortedFunc(slices.Values(standing), func(a, b Standing) int { return cmp.Compare(a.Rule, b.Rule) })
	var name strings.Builder
	name.WriteString(string(stream))
	for _, s := range standing {
		name.WriteString("\n" + s.Rule + " " + string(s.Severity))
	}
	if n, ok := r.numbers[name.String()]; ok {
		return n
	}
	n := uint32(len(r.combos))
	r.combos = append(r.combos, combo{stream, standing})
	r.numbers[name.String()] = n
	return n
}
