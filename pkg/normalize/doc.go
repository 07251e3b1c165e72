// Package normalize turns raw records into clean events: a row as PostgreSQL printed it, or a Kafka record's own bytes,
// into the one form that everybody reads. The preprocessor and the feed use it alike, so that people are shown what clean
// will say.
//
// It refuses to judge values and to change them: numbers keep every digit, and no value passes through a float. JSON is
// walked and copied, never decoded and printed again, so what a decoder would alter (a name that stands twice, half of a
// surrogate pair, a number of 100,000 digits) comes out as it went in. What it can't make sense of is an *Error with a
// class and a reason, and nothing of that record comes out. It keeps no order and loses nothing: each call is a function
// of its record alone.
//
// # Rows
//
// A row comes with its shape (event.Column), and the shape decides the form: TYPES.md, beside this file, lists what each
// type becomes. A member that the shape doesn't know, or a value that isn't one of its type, is an error: the shape must
// be the one that the row was written with. A key that changed comes as a delete and an insert, each with both rows; each
// names the other's key. Changed compares values: the order of members in a document and the escapes in a string don't
// count, digits do (1.0 is not 1.00).
//
// # Kafka records
//
// What a value is, is guessed from its bytes alone, in this order:
//
//  1. null: the op is delete.
//  2. Not UTF-8: bytes, as base64, with encoding "base64".
//  3. One JSON value (RFC 8259), with white space around it or not: that value, without the white space between tokens.
//     Nested deeper than 9,000 it is an error, since readers would refuse the event.
//  4. Anything else is text: a JSON string. So is an empty value, JSON with a byte order mark, and NaN.
//
// An object that is a change envelope of Debezium becomes that change: one with an op (c, u, d, r, t), a source that names
// its connector, and an object before or after (but for truncate); bare, or in the schema and payload of Kafka Connect's
// JSON converter. Its time is the source's (ts_ns, ts_us or ts_ms). Where a schema came with it, decimals become numbers,
// days and ticks ISO 8601, zoned timestamps RFC 3339 in UTC, and JSON in a text itself; without one, values are as they
// are, for nothing tells a count of days from a number. What Debezium marks as unavailable is taken out and named in
// incomplete. Envelopes of MongoDB's connector, of Maxwell and of Canal are messages, with the envelope as after; so are
// Debezium's logical messages. The tombstone that Debezium sends behind a delete is a delete of the same key once more:
// whoever replays ends with the same rows.
//
// A key in the schema and payload of Kafka Connect's JSON converter is its payload, in the forms that rows have. Another
// key that is a JSON object or array is that, in canonical form (event.Canonical), unless a name stands twice in it or a
// string holds half of a surrogate pair: canonical forms of such keys could be those of others. Every other key is text, a
// JSON string (the key 1042 is "1042"), or bytes, as base64. Header values that aren't UTF-8 are base64. Of the headers,
// content-type (in any case), datawatch-tag and traceparent say something about the event; where one repeats, the last
// counts.
//
// # Masks
//
// A Masker hides fields in raw records, before they are written: see there.
package normalize
