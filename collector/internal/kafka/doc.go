// Package kafka is the source that reads a company's Kafka cluster: every record of every topic that the configuration
// names, as it lies there.
//
// It disturbs nothing: no consumer group and so no rebalance, no topic created, read_committed, the client id
// "datawatch", fetches of bounded size. It keeps no state in the cluster (the offsets in a consumer group, where they are
// wanted, are for people and tools that look there, and are never read back); progress is one entry a partition, which names
// the topic's id, so that a deleted and recreated topic is never taken for the old one (identity.go), and the leader epoch of
// the last batch.
//
// Order is a partition's own order. A record is handed over once; what can't be (expired before it was read, lost with a
// recreated, deleted or truncated partition) is a gap event in the topic's stream, never silence. A log that lost what was read of it
// and goes on with other records at the same offsets is noticed by its leader epochs (fork.go), and read from where it was
// lost, in a new epoch. What is larger than the internal broker takes says so, and becomes a dead letter. Topics of Kafka
// itself ("__…") and datawatch's own are never read. A topic that the user may not read, or not even see, is told (missing.go).
//
// A source may be split into shards, each a Source of its own that reads its share of every topic's partitions. Where
// partitions begin at the very first run is found out by the first shard for all.
//
// Who does what: one goroutine a broker fetches the partitions that it leads (fetch.go) and hands over one partition's
// records at a time; a single goroutine (reader.go) turns them into events, decides where partitions begin, and has them
// emitted, one batch at a time (emitter.go), while it gathers the next. While an emit waits, no more than that batch, the next
// and one fetch a broker is held.
package kafka
