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
// What a value is, is guessed from its bytes alone, in this order (what the configuration's formats say of a stream counts
// before any guess, here and below):
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
// incomplete. Debezium's logical messages are messages, with the envelope as after.
//
// Of its connector for MongoDB the documents come as Extended JSON in a text, and are read in any of that format's forms:
// values of BSON become what TYPES.md says of them, everything else is copied. The key {"id": "<Extended JSON>"} is
// {"_id": …}, as it is of collections that are captured. An update that tells what it set (updateDescription) has a document
// that was looked up: it may be that of a later change, or missing, and incomplete says so; changed comes from what was set.
//
// The tombstone that Debezium sends behind a delete is a delete of the same key once more, for each call knows of its
// record alone; the preprocessor, which knows what came before, leaves it out.
//
// An object with the strings database, table and type is an envelope of Canal where it has isDdl, es and a type of INSERT,
// UPDATE, DELETE (then with rows in data) or TRUNCATE; without isDdl it is one of Maxwell where it has ts, an object data
// and a type of insert, update, delete or bootstrap-insert. Their stream is the topic's, a slash and <database>.<table>.
// What an update says of the old values is laid over the row for before; where it says nothing, before is unavailable.
// The key is made of the columns that the envelope names (primary_key_columns, pkNames) or Maxwell's key does ("pk.id"),
// else it is the record's. Canal's
// record gives an event a row, all of one transaction (the gtid, else the record's id), with ids that end in #0, #1 …; a
// row whose key changed gives a delete and an insert, the deletes of all rows first. Canal's values are text, and take the form that their mysqlType says:
// numbers, ISO 8601, JSON. Maxwell's are as they are. Everything else of the two (DDL, the marks around a bootstrap) is a
// message in the topic's own stream.
//
// A CloudEvent (https://cloudevents.io) in structured mode is an object with the texts specversion, id, source and type. It
// comes out as the same event in binary mode would: its data, or the bytes of its data_base64, is the value, guessed as
// above and looked at for a change envelope; its attributes are headers behind the record's own, ce_id and so on; its
// datacontenttype is the content type. In both modes the attribute time is the event's time. What Debezium's own converter
// made a CloudEvent of (iodebeziumop and iodebeziumconnector among the attributes) is that change.
//
// A key in the schema and payload of Kafka Connect's JSON converter is its payload, in the forms that rows have. Another
// key that is a JSON object or array is that, in canonical form (event.Canonical), unless a name stands twice in it or a
// string holds half of a surrogate pair: canonical forms of such keys could be those of others. Every other key is text, a
// JSON string (the key 1042 is "1042"), or bytes, as base64. Header values that aren't UTF-8 are base64. Of the headers,
// content-type (in any case), datawatch-tag and traceparent say something about the event; where one repeats, the last
// counts.
//
// # Confluent's wire format
//
// With Options.Schemas, a key or value of five bytes or more that begins with a zero byte is in Confluent's wire format: a
// schema's id, then data in Avro, Protobuf or JSON. It is decoded to JSON first, and what is said above holds for that: a
// Debezium envelope in Avro is its change. A key that is a string, a number or a boolean is its text.
//
//   - Avro: long and decimal digit for digit; date, time and local-timestamp in ISO 8601, timestamp in RFC 3339 with Z (what
//     connect.name says counts first, as for Connect's JSON); bytes and fixed are base64; a union is what is in it; NaN and
//     the infinities are strings.
//   - Protobuf: fields by their names in the .proto file, int64 and uint64 as numbers; a field that tells whether it is set
//     is left out where it isn't, others have their default; enums are their names, bytes base64, map members in the order
//     of their keys; google.protobuf.Timestamp is RFC 3339, its wrappers and confluent.type.Decimal are their value. A field
//     that the schema doesn't know is an error.
//   - JSON: itself.
//
// What can't be decoded for want of a schema is an *Unavailable, not an *Error.
//
// # Masks
//
// A Masker hides fields in raw records, before they are written: see there.
package normalize
