// Package embedded runs a Kafka broker without installing Kafka: one node, on
// loopback, with its data in one folder. It is for the demo, for tests and for
// trying datawatch on one machine; production uses a real Kafka.
//
// # What it keeps, and what it does not
//
// After a clean stop (SIGTERM, [Process.Stop], a cancelled context of [Serve],
// or the death of the process that started it) everything is there again:
// topics and their configuration, records, committed offsets, and the sequence
// state that idempotent and transactional producers rely on.
//
// After SIGKILL, a panic, a full disk or a power cut nothing is promised. Records
// that were acknowledged may be gone, a producer may find its sequence refused,
// and a transaction that was open may hide later committed ones from
// read_committed readers. The broker notices on its next start that it was not
// closed and logs a warning.
//
// # What it refuses
//
// It listens on loopback addresses only: the broker underneath is made for tests
// and one malformed frame (an HTTP request is enough) ends its process. For the
// same reason it belongs in a process of its own, which [Start] gives it. Two
// brokers never share a data folder: the second gets [ErrInUse]. Topics are not
// created by asking for them, unless Options.AutoCreateTopics says so.
package embedded
