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

// ID is a hash of a row's key in clean: 96 bits, which a million rows share once in 10^17 times.
type ID [12]byte

// Hash is the ID of a key.
func Hash(key []byte) ID {
	sum := sha256.Sum256(key)
	return ID(sum[:12])
}

// Rows are the rows that are wrong in some partitions.
type Rows struct {
	partitions map[int32]map[ID]uint32 // rows to their combination
	combos     []combo                 // by number; 0 is none
	numbers    map[string]uint32

	mu     sync.Mutex
	counts map[Label]int
}

// combo is a combination of rules of a stream: there are few, however many rows.
type combo struct {
	stream   event.Stream
	schema   string     // the version of the file that found them; "" where it is to be asked again
	standing []Standing // by rule
	rows     int        // that stand so
}

// New knows of no wrong row.
func New() *Rows {
	return &Rows{partitions: map[int32]map[ID]uint32{}, combos: make([]combo, 1), numbers: map[string]uint32{}, counts: map[Label]int{}}
}

// Counts are the wrong rows by stream, rule and severity. It may be called at any time.
func (r *Rows) Counts() map[Label]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

// Stands tells whether a row is wrong.
func (r *Rows) Stands(partition int32, key []byte) bool {
	rows := r.partitions[partition]
	return len(rows) > 0 && rows[Hash(key)] != 0
}

// Standing are the rules by which a row is wrong, by name, and the version of the schema file that said so. The result is
// not to be altered.
func (r *Rows) Standing(partition int32, key []byte) (standing []Standing, schema string) {
	rows := r.partitions[partition]
	if len(rows) == 0 {
		return nil, ""
	}
	c := r.combos[rows[Hash(key)]]
	return c.standing, c.schema
}

// Judged tells whether nothing stands of a row by another version of the schema file.
func (r *Rows) Judged(partition int32, key []byte, schema string) bool {
	standing, by := r.Standing(partition, key)
	return len(standing) == 0 || by == schema
}

// Set says by which rules a row is wrong from now on, and by which schema file; no rule ends it.
func (r *Rows) Set(partition int32, stream event.Stream, key []byte, schema string, standing []Standing) {
	rows := r.partitions[partition]
	if rows == nil {
		rows = map[ID]uint32{}
		r.partitions[partition] = rows
	}
	at := Hash(key)
	before, now := rows[at], r.number(stream, schema, standing)
	if before == now {
		return
	}
	if now == 0 {
		delete(rows, at)
	} else {
		rows[at] = now
	}
	r.combos[before].rows--
	r.combos[now].rows++
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count(before, -1)
	r.count(now, 1)
}

// Outdated are the streams with rows that stand by another version of the schema file than schemaOf gives, by
// name.
func (r *Rows) Outdated(schemaOf func(event.Stream) string) []event.Stream {
	found := map[event.Stream]bool{}
	for _, c := range r.combos[1:] {
		if c.rows > 0 && (c.schema == "" || c.schema != schemaOf(c.stream)) {
			found[c.stream] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// Streams are those with rows that are wrong, by name.
func (r *Rows) Streams() []event.Stream {
	return r.Outdated(func(event.Stream) string { return "none" })
}

// Outdate makes every row of a stream one that is to be judged again.
func (r *Rows) Outdate(stream event.Stream) {
	for i := range r.combos {
		if r.combos[i].stream == stream {
			r.combos[i].schema = ""
		}
	}
	// Names led to the combinations by their schema: what comes now makes combinations of its own.
	clear(r.numbers)
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

func (r *Rows) number(stream event.Stream, schema string, standing []Standing) uint32 {
	if len(standing) == 0 {
		return 0
	}
	standing = slices.SortedFunc(slices.Values(standing), func(a, b Standing) int { return cmp.Compare(a.Rule, b.Rule) })
	var name strings.Builder
	name.WriteString(string(stream) + "\n" + schema)
	for _, s := range standing {
		name.WriteString("\n" + s.Rule + " " + string(s.Severity))
	}
	if n, ok := r.numbers[name.String()]; ok {
		return n
	}
	n := uint32(len(r.combos))
	r.combos = append(r.combos, combo{stream: stream, schema: schema, standing: standing})
	r.numbers[name.String()] = n
	return n
}

// OutdatedRows counts the rows of a stream that stand by another version of the schema file.
func (r *Rows) OutdatedRows(stream event.Stream, schema string) int {
	n := 0
	for _, c := range r.combos[1:] {
		if c.stream == stream && c.schema != schema {
			n += c.rows
		}
	}
	return n
}

// OutdatedOf counts those of them that are in ids with true.
func (r *Rows) OutdatedOf(stream event.Stream, schema string, ids map[ID]bool) int {
	n := 0
	for _, rows := range r.partitions {
		for id, number := range rows {
			if c := r.combos[number]; ids[id] && c.stream == stream && c.schema != schema {
				n++
			}
		}
	}
	return n
}
