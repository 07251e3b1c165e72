// Package remote is what collectors and the commands of people tell each other through the internal broker, so that a
// command works from any machine that reaches it.
//
// A collector writes a Status for each source that it runs, with its sign of life, into the state topic. A command asks by
// an Ask in the control topic; the collector that runs the source takes it, and the answer is the source's progress. It
// refuses to guess: a status that is older than Silent is nobody's.
package remote
