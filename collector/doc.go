// Package collector captures changes of databases and records of Kafka clusters, as its configuration names them, into
// datawatch.raw, exactly once, and shows them in the live feed.
//
// It transforms nothing but what `mask` hides, and judges nothing: that is the preprocessor's and the validator's. What it
// can't capture is a gap event, never silence. No write of a watched system waits for it.
//
// The flow can be read off internal/: sources (postgres, mongodb, kafka) hand batches to supervise, which commits them and
// shows them to feed. Commands speak with running collectors by the broker (remote), and read clean (clean, verify).
package collector
