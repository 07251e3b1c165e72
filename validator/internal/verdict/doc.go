// Package verdict says what is wrong with one clean event, by the schema file of its stream.
//
// JSON Schema judges the row after the change, with every digit that the source held; rules of x-rules run where the
// structure holds: where the schema has found nothing at their place or below it. A rule that can't run is an error of
// its own kind, never silently a pass. What data.incomplete names isn't judged.
//
// A Violation lists leaves only, at most MaxErrors, in the order of their places; of oneOf and anyOf the branch that
// comes nearest. Fingerprints and messages never depend on values. Sample, key, expected and actual are masked: what
// x-pii names, and strings other than enums, dates and ids.
//
// One event can't end the process: numbers and nesting are bounded before the judges see them (kind limit), and a panic
// is a violation of kind internal. The package reads no topic and knows nothing of the events before this one.
package verdict
