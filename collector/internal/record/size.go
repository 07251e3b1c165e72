package record

import "datawatch/pkg/event"

// What JSON Lines hold of a change, of a transaction and of a broken rule besides their values, in bytes.
const (
	perChange      = 90
	perTransaction = 140
	perFinding     = 70
)

// findingsShare is the part of a recording's bytes that broken rules may take on top of those of the changes: a file that
// is full of changes has room for what they broke.
const findingsShare = 32

// sizeOf is what a change takes in JSON Lines, with its transaction where it is the first of it.
func sizeOf(e *event.Clean, change *event.Change, first bool) int {
	size := perChange + len(change.Key) + len(change.Before) + len(change.After) + len(change.MovedTo) + len(change.MovedFrom) + len(e.ID) + len(e.Stream)
	if !first {
		return size
	}
	size += perTransaction + len(e.Stream.Source()) + len(e.Time) + len(change.Origin.Tag) + len(change.Origin.Transaction)
	if a := change.Origin.Actor; a != nil {
		size += len(a.Application) + len(a.User) + len(a.Client)
	}
	return size
}

func sizeOfFinding(b Broken) int {
	return perFinding + len(b.EventID) + len(b.Rule) + len(b.Message) + len(b.Actual) + len(b.Expected)
}
