package testrig

import (
	"crypto/rand"
	"strings"
	"testing"
)

// Prefix gives a name that no other test has, nor this one in another run, for
// topics and the like: letters, digits and dashes, a letter first, at most 40 bytes.
func Prefix(t testing.TB) string {
	t.Helper()
	const nameLen = 31
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		default:
			return '-'
		}
	}, strings.TrimPrefix(t.Name(), "Test"))
	if len(name) > nameLen {
		name = name[:nameLen]
	}
	return "t" + strings.Trim(name, "-") + "-" + strings.ToLower(rand.Text()[:7])
}
