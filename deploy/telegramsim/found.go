package telegramsim

import (
	"regexp"
	"slices"
)

// found are the things that Telegram sees in plain text by itself.
var found = []struct {
	kind    string
	pattern *regexp.Regexp // group 1 is the entity
}{
	{entityURL, regexp.MustCompile(`(?:^|[^\w])(https?://[^\s<>"]+[^\s<>".,;:!?)])`)},
	{entityCommand, regexp.MustCompile(`(?:^|[^\w/<>@])(/[A-Za-z0-9_]{1,64}(?:@\w{3,32})?)\b`)},
	{entityMention, regexp.MustCompile(`(?:^|[^\w/])(@[A-Za-z]\w{3,31})\b`)},
}

// withFound is a text's entities together with the urls, commands and mentions
// that Telegram finds in it where nothing else is.
func withFound(r richText) []Entity {
	out := slices.Clone(r.entities)
	units := map[int]int{} // byte offset → UTF-16 offset
	n := 0
	for i, c := range r.text {
		units[i] = n
		n += runeUnits(c)
	}
	units[len(r.text)] = n
	for _, f := range found {
		for _, at := range f.pattern.FindAllStringSubmatchIndex(r.text, -1) {
			e := Entity{Type: f.kind, Offset: units[at[2]], Length: units[at[3]] - units[at[2]]}
			taken := slices.ContainsFunc(out, func(o Entity) bool {
				return !isStyle(o.Type) && !isQuote(o.Type) && o.Offset < e.end() && e.Offset < o.end()
			})
			if !taken {
				out = append(out, e)
			}
		}
	}
	sortEntities(out)
	return out
}
