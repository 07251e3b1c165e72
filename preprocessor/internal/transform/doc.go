// Package transform changes clean events on their way, as the configuration's transforms say: it drops a stream, renames
// it, filters its events, or gives them another key.
//
// Rules are applied in the order in which they stand; each to the streams that its glob (path.Match) matches, by the name
// that an event has by then. What a rule can't be applied to (a filter that fails, a field of the key that isn't there) is
// an error, and the record a dead letter: nothing is dropped for a mistake in a rule. What is dropped is counted.
//
// A filter is CEL over self (the row after the change; of a delete the row before it), old (the row before), root (self),
// op, key, stream, time, actor and tag. An event that lacks what the filter names (a delete without its row, a truncate,
// the old of an insert) is kept. A row that a filter lets in or out between two changes is neither inserted nor deleted in
// clean: filter by what doesn't change in a row.
//
// What then holds of order: events of one raw key stay in order, always. With a rename or a filter nothing else changes,
// unless two streams get one name; then events of the same key from different streams have no order between them, and
// positions don't compare. With a new key, events that had different keys before have no order between them under the new
// one: set a key of what never changes in a row, and of what no two rows share. moved_to and moved_from are left out then.
// Gaps are dropped and renamed with their stream; filters and keys don't concern them.
package transform
