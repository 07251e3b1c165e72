// Package cel evaluates rules and filters: expressions in CEL, the Common
// Expression Language (https://github.com/google/cel-spec), whose numbers are
// exact decimals. It refuses what it can't give exactly: a quotient without a
// rounding, arithmetic with null, a number too large to compute with. An expression
// that gives no result is an EvalError, never a pass.
//
// An Env holds the names that expressions may use; Env.Compile checks a text and
// makes a Program, or tells what is wrong with it; Program.Eval judges values,
// and Program.Explain says which comparison failed. All three, and Value, are
// safe for concurrent use. Nothing is read from outside but the values that are
// bound, and nothing is kept.
//
// # Why not cel-go's evaluator
//
// Syntax and its tree are cel-go's; checks and evaluation are this package's. In
// cel-go a whole JSON number is an int and another a double: 1 + 2.5 has no
// overload, 0.1 + 0.2 == 0.3 is false, and digits beyond a double's are lost. Its
// evaluator tells neither which operand was null nor which comparison failed. For
// what both can judge, a test holds that they judge alike; another runs CEL's own
// conformance cases, and testdata/conformance.golden lists every one that gives
// another value: numbers beyond int and double, which here have no end, and null
// in an optional, which here is none. What each operator gives for each pair of
// kinds, and for decimals, is in operators.md, which a test writes.
//
// # Values
//
// null, bool, number, string, list, object (with string names), timestamp,
// duration and optional. There are no bytes, no messages, and neither int, uint nor
// double: 2, 2u, 2.0 and 0x2 are one number. Numbers of values and rules may have
// 64 characters and an exponent of ±400, results some 2,000 digits; beyond that
// is a LimitError. A number keeps the digits that it was written with: 149.90
// prints as 149.90, and is equal to 149.9.
//
// # Operators
//
//	== !=         within one kind; numbers by value, lists and objects deeply. Kinds
//	              that can't be equal are an error at load where the schema tells them,
//	              and unequal where only the values do
//	< <= > >=     numbers, strings (by bytes), bools, timestamps, durations, each with its own kind
//	in            an element of a list, a member's name of an object
//	+ - *         numbers, exactly; + joins strings and lists too; timestamps and durations
//	%             whole numbers, with the sign of the left side
//	/             only inside round(), see there
//	&& || ! ?:    as in CEL: a side that decides outweighs an error of the other
//	x.f x["f"] x[0]
//
// # Null and absent
//
// A null or absent operand is an error (NullOperand, MissingField) everywhere but here:
//
//	self.discount.orValue(0)      the default where the field, or anything on the way to it, is null or absent
//	self.discount == null         asks; also !=, and null in list. An absent field is still an error:
//	has(self.discount)            whether the field is there, null or not
//	self.?discount                an optional, empty where the field is null or absent: .orValue(0), .or(self.?other),
//	                              .hasValue(), .value(), .optMap(d, d * 2), .optFlatMap(…); x[?0] for elements.
//	self.?note == old.?note       compares two that may be null
//
// Inside lists and objects null equals null.
//
// # Functions
//
//	round(x, digits)              half_up; x may divide: the quotient is exact until this one rounding
//	round(x, digits, mode)        half_up (ties away from zero), half_even, half_down, down (towards zero), up (away from
//	                              zero), floor, ceiling; a literal. The result has exactly that many digits
//	decimal(text)                 the number in a text     int(x)   without its fraction     string(x)
//	sum(list)                     0 for an empty one       abs(x)
//	scale(x)                      the fewest digits after the point that hold x: 0 for 100.00, 2 for 1.250
//	minor_units(currency)         the digits that ISO 4217 gives it: 2 for "USD", 0 for "VND"
//	timestamp(text)               RFC 3339; timestamp(text, zone) also where the text has no offset, or is a date
//	date(timestamp, zone)         the day there, as the text "2026-11-22"; zones are IANA's, or "+07:00"
//	duration(text)                "90m", "24h"
//	size(x)                       of a string in characters, of a list, of an object
//	list.all(i, …) .exists .exists_one .filter .map(i, …) .map(i, condition, …); over an object i is the member's name
//	text.contains startsWith endsWith matches(RE2) lowerAscii upperAscii trim reverse split replace substring charAt
//	     indexOf lastIndexOf, list.join(separator)
//	timestamp.getFullYear(zone?) getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear getHours getMinutes getSeconds
//	     getMilliseconds, counted as CEL does; the last four of durations too
//
// Where time zones are named, the process needs their database (time/tzdata, or
// the system's).
//
// # Cost
//
// An evaluation counts steps: one for each element that a macro, in, sum() or an equality
// looks at, times the size of the macro's expression, and texts by their length. The limit holds
// at load, where a list counts as the schema's maxItems or 100 elements, and again at run, as a
// CostError. The context is looked at every 1,024 steps.
package cel
