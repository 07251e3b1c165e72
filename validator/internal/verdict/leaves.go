package verdict

import (
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// leaf is an error of the library that has no causes, or whose causes say less than itself.
type leaf struct {
	keywords []string
	place    []string
	several  bool // oneOf: more than one branch fits
}

// leavesOf picks from an error's tree what people want to read.
func leavesOf(e *jsonschema.ValidationError) []leaf {
	switch last := lastToken(e.KeywordLocation); {
	case len(e.Causes) == 0, last == "minContains", last == "contains":
		return []leaf{newLeaf(e)}
	case last == "anyOf" || last == "oneOf":
		return nearestBranch(e)
	}
	var leaves []leaf
	for _, cause := range e.Causes {
		leaves = append(leaves, leavesOf(cause)...)
	}
	return leaves
}

func newLeaf(e *jsonschema.ValidationError) leaf {
	l := leaf{keywords: tokensOf(e.KeywordLocation), place: tokensOf(e.InstanceLocation)}
	l.several = l.keyword() == "oneOf" && len(e.Causes) == 0
	return l
}

func lastToken(location string) string { return location[strings.LastIndexByte(location, '/')+1:] }

// nearestBranch is what the branch says that was probably meant: one whose type fits, then the one with the fewest
// errors, then the one that fails deepest. Where no branch's type fits it is the choice itself.
func nearestBranch(e *jsonschema.ValidationError) []leaf {
	here := tokensOf(e.InstanceLocation)
	var best []leaf
	for _, cause := range e.Causes {
		leaves := leavesOf(cause)
		if slices.ContainsFunc(leaves, func(l leaf) bool { return l.keyword() == "type" && len(l.place) == len(here) }) {
			continue
		}
		if best == nil || len(leaves) < len(best) || len(leaves) == len(best) && deepest(leaves) > deepest(best) {
			best = leaves
		}
	}
	if best == nil {
		return []leaf{newLeaf(e)}
	}
	return best
}

func (l leaf) keyword() string {
	if len(l.keywords) == 0 {
		return ""
	}
	return l.keywords[len(l.keywords)-1]
}

func deepest(leaves []leaf) int {
	depth := 0
	for _, l := range leaves {
		depth = max(depth, len(l.place))
	}
	return depth
}
