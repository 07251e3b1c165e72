// Package schemas turns a folder of JSON Schema files into a Set: which file judges which stream, compiled and ready.
//
// The path of a file is the stream that it judges: shop-db/public.orders.json is for shop-db/public.orders. A name with
// *, ? or [ is a glob; an exact name beats every glob, the longest glob beats the others, and one file wins: files are
// never combined. Top folders that begin with "_" are no streams; what stands in them is there for $ref, except in
// _tests, which is passed over, as is everything whose name begins with a dot.
//
// A Set never changes. A Watcher reads the folder again and again, by content, compiles what changed beside the Set in
// force, and exchanges it at once. A file that is wrong changes nothing: its last good version stays in force, and a
// Problem says what is wrong, where, and what was probably meant.
//
// A $ref is answered from the folder only, by path or by $id; the network is never asked. The package judges no value:
// that is package verdict.
package schemas
