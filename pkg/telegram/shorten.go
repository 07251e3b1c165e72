package telegram

import (
	"strings"
	"unicode"
)

const ellipsis = "…"

// Shorten leaves the middle out of a text that is longer than most UTF-16 units: both ends say more than the beginning
// alone. A character is never separated from its combining marks.
func Shorten(text string, most int) string {
	if units(text) <= most {
		return text
	}
	if most < 3 {
		return strings.Repeat(ellipsis, min(max(most, 0), 1))
	}
	tail := (most - 1) / 3
	head := most - 1 - tail
	runes := []rune(text)
	begin := 0
	for n := 0; begin < len(runes); begin++ {
		if n += width(runes[begin]); n > head {
			break
		}
	}
	for begin > 0 && clings(runes[begin]) {
		begin--
	}
	end := len(runes)
	for n := 0; end > begin; end-- {
		if n += width(runes[end-1]); n > tail {
			break
		}
	}
	for end < len(runes) && (clings(runes[end]) || runes[end-1] == joiner) {
		end++
	}
	return string(runes[:begin]) + ellipsis + string(runes[end:])
}

const joiner = '\u200d'

func width(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}

// clings tells whether a rune belongs to the one before it.
func clings(r rune) bool {
	return r == joiner || unicode.In(r, unicode.Mn, unicode.Me, unicode.Variation_Selector) || r >= 0x1f3fb && r <= 0x1f3ff
}
