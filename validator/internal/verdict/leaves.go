package verdict

import (
	"cmp"
	"slices"
	"strconv"
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
func (j *judgement) leavesOf(e *jsonschema.ValidationError) []leaf { return j.collect(nil, e) }

func (j *judgement) collect(leaves []leaf, e *jsonschema.ValidationError) []leaf {
	if len(e.Causes) == 0 {
		return append(leaves, newLeaf(e))
	}
	if e.Message != "" { // else it only holds together what is wrong with a value, maybe of a member that is called like a keyword
		switch lastToken(e.KeywordLocation) {
		case "minContains", "contains":
			return append(leaves, newLeaf(e))
		case "anyOf", "oneOf":
			return append(leaves, j.nearestBranch(e)...)
		}
	}
	for _, cause := range e.Causes {
		leaves = j.collect(leaves, cause)
	}
	return leaves
}

func newLeaf(e *jsonschema.ValidationError) leaf {
	l := leaf{keywords: tokensOf(e.KeywordLocation), place: tokensOf(e.InstanceLocation)}
	l.several = l.keyword() == "oneOf" && len(e.Causes) == 0
	return l
}

func lastToken(location string) string { return location[strings.LastIndexByte(location, '/')+1:] }

// branch is one schema of a choice, and what it found.
type branch struct {
	schema *jsonschema.Schema // nil where it isn't known
	leaves []leaf
}

// nearestBranch is what the branch says that was probably meant: one whose type fits, and that the value doesn't itself say
// not to be by a member that names its kind; of these the one with the fewest errors, then the one that fails deepest. Where
// no branch's type fits it is the choice itself.
func (j *judgement) nearestBranch(e *jsonschema.ValidationError) []leaf {
	here := tokensOf(e.InstanceLocation)
	at := locate(j.file.Schema, tokensOf(e.KeywordLocation), here)
	var fitting []branch
	for _, cause := range e.Causes {
		b := branch{at.branch(strings.TrimPrefix(cause.KeywordLocation, e.KeywordLocation+"/")), j.leavesOf(cause)}
		if !slices.ContainsFunc(b.leaves, func(l leaf) bool { return l.keyword() == "type" && len(l.place) == len(here) }) {
			fitting = append(fitting, b)
		}
	}
	if len(fitting) == 0 {
		return []leaf{newLeaf(e)}
	}
	kinds := slices.DeleteFunc(slices.Clone(fitting), func(b branch) bool {
		return slices.ContainsFunc(fitting, func(other branch) bool { return b.isOtherKindThan(other, len(here)) })
	})
	if len(kinds) == 0 {
		kinds = fitting
	}
	return slices.MinFunc(kinds, func(a, b branch) int {
		return cmp.Or(len(a.leaves)-len(b.leaves), deepest(b.leaves)-deepest(a.leaves))
	}).leaves
}

// branch is the schema of a choice that the rest of a keyword location behind the choice begins with.
func (s spot) branch(rest string) *jsonschema.Schema {
	index, _, _ := strings.Cut(rest, "/")
	if s.schema == nil {
		return nil
	}
	branches := s.schema.AnyOf
	if s.keyword == "oneOf" {
		branches = s.schema.OneOf
	}
	if i, err := strconv.Atoi(index); err == nil && i >= 0 && i < len(branches) {
		return branches[i]
	}
	return nil
}

// isOtherKindThan tells whether both branches ask for certain values of one member, of which the value has the other's.
func (b branch) isOtherKindThan(other branch, depth int) bool {
	return slices.ContainsFunc(b.leaves, func(l leaf) bool {
		if k := l.keyword(); len(l.place) != depth+1 || k != "const" && k != "enum" {
			return false
		}
		name := l.place[depth]
		return other.schema != nil && asksForCertain(other.schema, name) && !slices.ContainsFunc(other.leaves, func(o leaf) bool {
			return len(o.place) == depth+1 && o.place[depth] == name
		})
	})
}

func asksForCertain(s *jsonschema.Schema, member string) bool {
	return slices.ContainsFunc(expand(s), func(s *jsonschema.Schema) bool {
		return s.Properties[member] != nil && slices.ContainsFunc(expand(s.Properties[member]), func(m *jsonschema.Schema) bool {
			return len(m.Constant) > 0 || len(m.Enum) > 0
		})
	})
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
