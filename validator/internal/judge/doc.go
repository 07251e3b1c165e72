// Package judge is the validator's stage: clean events in, violations and wrong rows out, in one transaction with the
// offsets. A reader with read_committed sees each violation once, whatever is killed, and those of one key in the order
// of its events.
//
// It refuses to be stopped by an event: what can't be read is a violation of kind invalid. An event whose stream has no
// schema is counted as unchecked, and changes nothing but that its delete ends what stood.
package judge
