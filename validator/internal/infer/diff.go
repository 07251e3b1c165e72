package infer

import (
	"bytes"
	"fmt"
	"strings"
)

// around is how many lines a difference shows before and behind what is new.
const around = 2

// lines are a stretch of a file's lines, counted from 0, the end not included, and what becomes of them.
type lines struct {
	begin, end int
	now        []string
}

// diff writes what edits change, as diff -u does.
func (e *editor) diff(name string) string {
	if len(e.edits) == 0 {
		return ""
	}
	old := strings.SplitAfter(string(e.text), "\n")
	starts := make([]int, len(old)+1)
	for i, line := range old {
		starts[i+1] = starts[i] + len(line)
	}
	lineOf := func(at int) int { return bytes.Count(e.text[:at], []byte("\n")) }
	var changed []lines
	for _, edit := range e.edits {
		begin, end := lineOf(edit.begin), lineOf(edit.end)+1
		if n := len(changed); n > 0 && begin <= changed[n-1].end {
			changed[n-1].end = max(changed[n-1].end, end)
			continue
		}
		changed = append(changed, lines{begin: begin, end: end})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", name, name)
	grown := 0
	for len(changed) > 0 {
		n := 1
		for n < len(changed) && changed[n].begin-changed[n-1].end <= 2*around {
			n++
		}
		for i := range changed[:n] {
			c := &changed[i]
			c.now = strings.SplitAfter(string(apply(e.text, e.edits, starts[c.begin], starts[c.end])), "\n")
		}
		grown += hunk(&b, old, changed[:n], grown)
		changed = changed[n:]
	}
	return b.String()
}

// hunk writes one stretch with the lines around it, and tells by how many lines it grows.
func hunk(b *strings.Builder, old []string, changed []lines, grown int) int {
	begin := max(changed[0].begin-around, 0)
	end := min(changed[len(changed)-1].end+around, len(old))
	for end > begin && old[end-1] == "" { // behind the last line break there is no line
		end--
	}
	var body strings.Builder
	put := func(sign string, all []string) int {
		n := 0
		for _, line := range all {
			if line != "" {
				body.WriteString(sign + strings.TrimRight(line, "\r\n") + "\n")
				n++
			}
		}
		return n
	}
	at, more := begin, 0
	for _, c := range changed {
		was, now := old[c.begin:c.end], c.now
		same := 0
		for same < min(len(was), len(now)) && was[same] == now[same] {
			same++
		}
		tail := 0
		for tail < min(len(was), len(now))-same && was[len(was)-1-tail] == now[len(now)-1-tail] {
			tail++
		}
		put(" ", old[at:c.begin+same])
		more -= put("-", was[same:len(was)-tail])
		more += put("+", now[same:len(now)-tail])
		put(" ", was[len(was)-tail:])
		at = c.end
	}
	if at < end {
		put(" ", old[at:end])
	}
	fmt.Fprintf(b, "@@ -%d,%d +%d,%d @@\n%s", begin+1, end-begin, begin+1+grown, end-begin+more, body.String())
	return more
}
