// Package supervise runs sources: it gives each its transactional writer and the progress that the broker holds, commits
// its batches, and runs it again when it fails. One source's failure doesn't disturb the others.
//
// A batch is one transaction: raw records, the source's progress, and now and then the collector's sign of life. Opening
// the writer fences whoever had it before, and only then is progress read, so nothing is lost or comes twice however a
// collector ended. What was committed is then offered to the feed, which may drop it: the feed is a view.
//
// # Several collectors
//
// Collectors with one configuration are members of one consumer group of the internal broker, and share what there is to
// do (share.go): sources, the shards of a source that can be split, and what isn't a source, as hearing commands. Each is
// done by one of them, evenly; what is done stays where it is, and what has to move is let go first. A collector that
// stops is missed at once, one that is killed or cut off after broker.SessionTimeout. The group decides who runs a source,
// but it is fencing that makes it safe: a collector that was paused and wakes up can commit nothing.
//
//	             ┌──────────── assigned ───────────┐
//	connecting ──> snapshot ──> streaming <──> stalled      standby
//	     ^  └──────────────────────┘│              │           ^
//	     │                         error ──> failed┘           │
//	     │                                   │ (pause, longer each time)
//	     └───────────────────────────────────┘──> not assigned ┘
//
// # Shards
//
// The writers of each number of shards have transactional ids of their own. Whoever finds another number in force than its
// own writes down its own, fences every writer of the former, and only then reads progress (layout.go). Progress is kept
// by partition, so it doesn't matter which shard wrote it.
//
// What people ask for lies in the control topic: the session hands it to the source, whose progress says what was taken. With
// each sign of life goes a status of the source, for people's commands (package remote).
//
// An event that can't be masked, or is larger than the internal topics take, is replaced by a gap event: it neither gets
// out nor stops its source. One that is too large becomes a dead letter besides, cut to what fits, with its true size.
package supervise
