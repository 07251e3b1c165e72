package record

import (
	"fmt"
	"slices"
	"strings"

	"datawatch/pkg/event"
)

// Difference is what one recording has and the other hasn't, of one stream.
type Difference struct {
	Stream event.Stream `json:"stream"`
	// Line is in the first recording, Now in its place in the second; one of them may be nil.
	Line *Line `json:"was,omitempty"`
	Now  *Line `json:"is,omitempty"`
	// Fields differ, where both are there: "after.total: 149.97 → 149.98".
	Fields []string `json:"fields,omitempty"`
}

// Compare tells how the changes of the second recording differ from those of the first; nothing is equal.
func Compare(was, is []Line) []Difference {
	var out []Difference
	for _, stream := range streamsOf(was, is) {
		out = append(out, compareStream(stream, of(stream, was), of(stream, is))...)
	}
	return out
}

func streamsOf(lines ...[]Line) []event.Stream {
	var out []event.Stream
	for _, l := range slices.Concat(lines...) {
		if !slices.Contains(out, l.Stream) {
			out = append(out, l.Stream)
		}
	}
	slices.Sort(out)
	return out
}

func of(stream event.Stream, lines []Line) []Line {
	var out []Line
	for _, l := range lines {
		if l.Stream == stream {
			out = append(out, l)
		}
	}
	return out
}

// compareStream pairs the changes of a stream: first those that are alike, in their order, then those between them that are
// about the same row, then the others as they come.
func compareStream(stream event.Stream, was, is []Line) []Difference {
	same := commonLines(texts(was), texts(is))
	var out []Difference
	i, j := 0, 0
	for _, pair := range append(same, [2]int{len(was), len(is)}) {
		out = append(out, compareBetween(stream, was[i:pair[0]], is[j:pair[1]])...)
		i, j = pair[0]+1, pair[1]+1
	}
	return out
}

func compareBetween(stream event.Stream, was, is []Line) []Difference {
	var out []Difference
	taken := make([]bool, len(is))
	for i := range was {
		j := slices.IndexFunc(is, func(l Line) bool { return l.Op == was[i].Op && text(l.Key) == text(was[i].Key) })
		for j >= 0 && taken[j] {
			next := slices.IndexFunc(is[j+1:], func(l Line) bool { return l.Op == was[i].Op && text(l.Key) == text(was[i].Key) })
			if next < 0 {
				j = -1
				break
			}
			j += 1 + next
		}
		if j < 0 {
			out = append(out, Difference{Stream: stream, Line: &was[i]})
			continue
		}
		taken[j] = true
		out = append(out, Difference{Stream: stream, Line: &was[i], Now: &is[j], Fields: differing(was[i], is[j])})
	}
	for j := range is {
		if !taken[j] {
			out = append(out, Difference{Stream: stream, Now: &is[j]})
		}
	}
	return out
}

// commonLines are the indexes of a longest common subsequence.
func commonLines(a, b []string) [][2]int {
	// What is alike at both ends needs no table, which grows with the product of what is left.
	begin := 0
	for begin < len(a) && begin < len(b) && a[begin] == b[begin] {
		begin++
	}
	end := 0
	for end < len(a)-begin && end < len(b)-begin && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	var out [][2]int
	for i := range begin {
		out = append(out, [2]int{i, i})
	}
	out = append(out, commonMiddle(a[begin:len(a)-end], b[begin:len(b)-end], begin)...)
	for i := end; i > 0; i-- {
		out = append(out, [2]int{len(a) - i, len(b) - i})
	}
	return out
}

// mostCompared bounds the table of commonMiddle; beyond it, lines are paired by their rows alone.
const mostCompared = 4 << 20

func commonMiddle(a, b []string, offset int) [][2]int {
	if len(a)*len(b) > mostCompared {
		return nil
	}
	longest := make([][]int, len(a)+1)
	for i := range longest {
		longest[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	var out [][2]int
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			out = append(out, [2]int{offset + i, offset + j})
			i, j = i+1, j+1
		case longest[i+1][j] >= longest[i][j+1]:
			i++
		default:
			j++
		}
	}
	return out
}

func texts(lines []Line) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = text(l)
	}
	return out
}

func text(v any) string {
	out, err := marshal(v)
	if err != nil {
		return fmt.Sprintf("%v", v) // what was read as JSON is written as JSON
	}
	return string(out)
}

// differing names the fields in which two changes of one row differ.
func differing(was, is Line) []string {
	var out []string
	compare := func(name string, a, b any) { out = append(out, differingValues(name, a, b)...) }
	compare("before", was.Before, is.Before)
	compare("after", was.After, is.After)
	if a, b := strings.Join(was.Broken, ", "), strings.Join(is.Broken, ", "); a != b {
		out = append(out, fmt.Sprintf("broken: %s → %s", orNone(a), orNone(b)))
	}
	return out
}

func differingValues(name string, a, b any) []string {
	if text(a) == text(b) {
		return nil
	}
	x, isObject := a.(fields)
	y, isToo := b.(fields)
	if !isObject || !isToo {
		return []string{fmt.Sprintf("%s: %s → %s", name, shown(a), shown(b))}
	}
	var out []string
	for _, p := range x {
		out = append(out, differingValues(name+"."+p.name, p.value, y.get(p.name))...)
	}
	for _, p := range y {
		if x.get(p.name) == nil {
			out = append(out, differingValues(name+"."+p.name, nil, p.value)...)
		}
	}
	return out
}

func (o fields) get(name string) any {
	for _, p := range o {
		if p.name == name {
			return p.value
		}
	}
	return nil
}

func shown(v any) string {
	if v == nil {
		return "∅"
	}
	return text(v)
}

func orNone(s string) string {
	if s == "" {
		return shown(nil)
	}
	return s
}
