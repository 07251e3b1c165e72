package postgres

import (
	"encoding/json"
	"slices"
)

// mark says that the statements of every transaction after xid have numbers after seq. The collector makes one by asking for the
// WAL's end and then taking a transaction id of its own. Marks are where a tick begins to look in the index: without them
// it would begin at the start of the outbox, and find the same.
type mark struct {
	xid uint64
	seq int64
}

// marks ascend. Few are kept: a missing one only makes a look longer.
type marks []mark

const maxMarks = 32

// add appends a mark; every second one of the older half goes when there are too many.
func (m marks) add(n mark) marks {
	m = append(m, n)
	if len(m) <= maxMarks {
		return m
	}
	kept := make(marks, 0, maxMarks)
	for i, old := range m {
		if i >= maxMarks/2 || i%2 == 0 {
			kept = append(kept, old)
		}
	}
	return kept
}

// before is a number below every one of the transactions from xid on.
func (m marks) before(xid uint64) int64 {
	for _, n := range slices.Backward(m) {
		if n.xid < xid {
			return n.seq
		}
	}
	return 0
}

// prune forgets what no tick will ask for: all before the last mark that is older than every running transaction.
func (m marks) prune(xmin uint64) marks {
	for i := len(m) - 1; i > 0; i-- {
		if m[i].xid < xmin {
			return slices.Clone(m[i:])
		}
	}
	return m
}

// below are those that a snapshot up to xmax has seen end: the id of a later one may be another transaction's after a crash.
func (m marks) below(xmax uint64) marks {
	for len(m) > 0 && m[len(m)-1].xid >= xmax {
		m = m[:len(m)-1]
	}
	return m
}

// own tells whether a transaction is the collector's: it wrote no pack.
func (m marks) own(xid uint64) bool {
	_, found := slices.BinarySearchFunc(m, xid, func(n mark, x uint64) int {
		switch {
		case n.xid < x:
			return -1
		case n.xid > x:
			return 1
		default:
			return 0
		}
	})
	return found
}

// MarshalJSON writes [xid, seq].
func (n mark) MarshalJSON() ([]byte, error) { return json.Marshal([2]int64{int64(n.xid), n.seq}) }

// UnmarshalJSON reads [xid, seq].
func (n *mark) UnmarshalJSON(b []byte) error {
	var pair [2]int64
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	n.xid, n.seq = uint64(pair[0]), pair[1]
	return nil
}
