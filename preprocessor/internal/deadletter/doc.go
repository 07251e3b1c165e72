// Package deadletter finds dead letters (their form: pkg/deadletter) and sends them through the pipeline again.
//
// It refuses to send again what was cut, and what never was a record of raw that the preprocessor read.
//
// A letter that is sent again goes behind everything that came since, also of its own key; its id and position are those
// of the first time, so whoever orders by position still has it in its place. The same letter may be sent again as often
// as one likes: once its events are in clean, further ones are dropped and counted.
package deadletter
