// Package event states the records that datawatch's services hand each other: the raw record of the collector, the
// clean event of the preprocessor, the violation of the validator, and the names, keys and positions in them.
//
// It knows formats only. It reads no topic and judges no value; turning a raw record into clean events is package
// normalize. Everything here is a promise to readers outside datawatch as well, so a format is never changed, only
// added to.
package event
