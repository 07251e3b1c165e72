package postgres

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// snapshot is a pg_snapshot: which transactions were over at a moment
// (https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT).
type snapshot struct {
	xmin, xmax uint64
	running    []uint64 // between xmin and xmax, ascending
}

// beginning sees nothing: everything is new after it.
var beginning = snapshot{xmin: 1, xmax: 1}

func parseSnapshot(text string) (snapshot, error) {
	var s snapshot
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return s, fmt.Errorf("snapshot %q: three parts are expected", text)
	}
	var err error
	if s.xmin, err = strconv.ParseUint(parts[0], 10, 64); err != nil {
		return s, fmt.Errorf("snapshot %q: %w", text, err)
	}
	if s.xmax, err = strconv.ParseUint(parts[1], 10, 64); err != nil {
		return s, fmt.Errorf("snapshot %q: %w", text, err)
	}
	if parts[2] == "" {
		return s, nil
	}
	for xid := range strings.SplitSeq(parts[2], ",") {
		x, err := strconv.ParseUint(xid, 10, 64)
		if err != nil {
			return s, fmt.Errorf("snapshot %q: %w", text, err)
		}
		s.running = append(s.running, x)
	}
	return s, nil
}

func (s snapshot) String() string {
	b := strconv.AppendUint(nil, s.xmin, 10)
	b = append(b, ':')
	b = strconv.AppendUint(b, s.xmax, 10)
	b = append(b, ':')
	for i, x := range s.running {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, x, 10)
	}
	return string(b)
}

// MarshalText is PostgreSQL's text.
func (s snapshot) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads PostgreSQL's text.
func (s *snapshot) UnmarshalText(text []byte) (err error) {
	*s, err = parseSnapshot(string(text))
	return err
}

// over tells whether a transaction was over when s was taken.
func (s snapshot) over(xid uint64) bool {
	if xid >= s.xmax {
		return false
	}
	_, found := slices.BinarySearch(s.running, xid)
	return !found
}

func (s snapshot) equal(other snapshot) bool {
	return s.xmin == other.xmin && s.xmax == other.xmax && slices.Equal(s.running, other.running)
}

// with sees these of the running transactions too; of their ids the last 32 bits are given, as PostgreSQL shows them.
func (s snapshot) with(xids []uint32) snapshot {
	return s.without(func(xid uint64) bool { return slices.Contains(xids, uint32(xid)) })
}

// after sees what an earlier one does, too.
func (s snapshot) after(earlier snapshot) snapshot { return s.without(earlier.over) }

// and sees what both see.
func (s snapshot) and(other snapshot) snapshot {
	both := snapshot{xmax: min(s.xmax, other.xmax)}
	both.running = slices.DeleteFunc(slices.Concat(s.running, other.running), func(xid uint64) bool { return xid >= both.xmax })
	slices.Sort(both.running)
	both.running = slices.Compact(both.running)
	both.xmin = both.xmax
	if len(both.running) > 0 {
		both.xmin = both.running[0]
	}
	return both
}

// without has all others of the running transactions.
func (s snapshot) without(over func(xid uint64) bool) snapshot {
	if !slices.ContainsFunc(s.running, over) {
		return s
	}
	s.running = slices.DeleteFunc(slices.Clone(s.running), over)
	s.xmin = s.xmax
	if len(s.running) > 0 {
		s.xmin = s.running[0]
	}
	return s
}

// ended are the transactions that were running at s and are over at later.
func (s snapshot) ended(later snapshot) []uint64 {
	var ended []uint64
	for _, xid := range s.running {
		if later.over(xid) {
			ended = append(ended, xid)
		}
	}
	return ended
}
