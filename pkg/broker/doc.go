// Package broker is datawatch's delivery contract on its internal Kafka, and the only place that knows the Kafka client.
//
// Two ways lead into a topic, and both are exactly once for a reader with read_committed:
//
//   - A Publisher writes a batch of records in one transaction. A source puts its progress into the batch as records of
//     datawatch.state, so events and progress are committed together or not at all. Opening a Publisher fences the one
//     that had the same transactional id before, and ends what that one left open.
//   - A Stage consumes a topic in a consumer group, hands batches to a function, and commits what the function returns
//     together with the group's offsets in one transaction, fenced by the group's generation. Whoever takes partitions over
//     ends what the member before left open, so that readers wait for a killed one no longer than it takes to know (6 s and
//     a heartbeat).
//
// After any error both give up what they had open and begin anew from what is committed; nothing is retried halfway, for
// a commit whose answer was lost may have taken place. Records with one key go to one partition (murmur2, as Java's
// clients do) in the order in which they were given.
//
// What a fetch brings is bounded in memory, however small it was compressed: see package unfold. A record that couldn't come
// as it lies in the topic has a Mark.
//
// Scan reads a topic to its present end without joining a group. The package never changes a topic that exists.
package broker
