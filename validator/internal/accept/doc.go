// Package accept says of most valid events, at a fraction of the judge's cost, that they are certainly valid. It never
// says what is wrong, and never that something is: what it isn't certain of is asked, of package verdict.
//
// A record of clean is indexed once, from the first byte to the last, into a flat list of tokens; no tree is built. A
// Program, made once of each schema file, then goes through the tokens of the row; rules decode just the members that they
// read. Of a record with the names and the nesting of one before, only the scalars are indexed and checked anew.
//
// # Why a yes can be trusted
//
// Accepts says yes only where verdict.Judge would find an event valid. That rests on six things:
//
// One reading. The tape takes a text only if it means the same to everybody: strictly JSON, UTF-8, no name twice in an
// object, no escapes in names, nesting and numbers within less than the judge's own limits. The envelope takes an event
// only if it has nothing that encoding/json would read otherwise: names differing by case, a text where a number belongs.
// Everything else is asked. What a reader keeps from one record to the next, which names stood at which places, or all of a
// record but its scalars (its form), is compared with the bytes before it is used.
//
// Three answers. A check gives no, unknown or yes, and both no and yes are claims about the library: no means that the
// library rejects this value at this place. That is why "not", "oneOf" and "if" may be decided here. A conjunction is the
// least of its answers. Whatever a node doesn't understand (unevaluatedProperties, equality of containers, content of
// draft 7, $dynamicRef) is unknown, and the budget of steps ends in unknown.
//
// The library's compiled schema is what is compiled, not the file: drafts, vocabularies, $ref and $id have been resolved
// by the library itself. Patterns are its compiled expressions, formats the functions that it calls; the shortcuts before
// a format's function say yes only. Numbers are compared as decimals in 64 bits where these are exact, else as the
// library does it, as rationals of the whole text.
//
// The library never gives up behind our back: a schema that may refer to itself without going down in the value makes the
// library fail at run, so that no part of such a file is decided here. The rest of the library's course has no effects.
//
// A plan says nothing of its own. Of a value whose form is known it leaves out what the form alone decides, and the rest is asked
// of the same nodes; where the form decides against the value, or leaves too much open, there is none.
//
// Rules are not reimplemented, but for one kind. They run in package cel, on the same values in another wrapping: objects and
// lists that look up and decode in the tape what a rule reads. A comparison of sums and products is a formula over the tokens of
// a known form, which says yes only in numbers that are exact in 64 bits. The places are those at which the judge asks rules,
// which follow from the branches that hold. Any rule that doesn't hold, or can't be run, is asked again by the judge, which then says why.
//
// Tests hold this: generated schemas with values at their edges, every schema file in the repository, and mutated events
// are given to both, and one yes (or no) too many fails.
package accept
