package cel

import (
	"maps"
	"slices"
)

// macros are what is compiled rather than called, by the names of calls.
var macros = []string{"has", "round", "all", "exists", "exists_one", "filter", "map", "orValue", "or", "value", "hasValue", "optMap", "optFlatMap"}

// Functions are the names of all functions and macros, sorted.
func Functions() []string {
	return slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Keys(functions)), macros)))
}
