// Package supervise runs sources: it gives each its transactional writer and the progress that the broker holds, commits
// its batches, and runs it again when it fails. One source's failure doesn't disturb the others.
//
// A batch is one transaction: raw records, the source's progress, and now and then the collector's sign of life. Opening
// the writer fences whoever had it before, and only then is progress read, so nothing is lost or comes twice however a
// collector ended. What was committed is then offered to the feed, which may drop it: the feed is a view.
//
// # Several collectors
//
// Whoever starts a source last runs it. The collector that was fenced stands by: it doesn't fight back, but watches the
// other's sign of life in the state topic and takes over once that is withdrawn (an orderly stop) or has been silent for
// takeover. Two collectors thus never take a source from each other in turns.
//
//	connecting ──> snapshot ──> streaming <──> stalled
//	     ^  └──────────────────────┘│              │
//	     │                         error ──> failed┘──> (pause, longer each time) ──> connecting
//	     └── standby <── fenced ───┘
//
// What people ask for lies in the control topic: the session hands it to the source, whose progress says what was taken. With
// each sign of life goes a status of the source, for people's commands (package remote).
//
// An event that can't be masked, or is larger than the internal topics take, is replaced by a gap event: it neither gets
// out nor stops its source. One that is too large becomes a dead letter besides, cut to what fits, with its true size.
package supervise
