package accept

import (
	"strings"
	"testing"
)

// TestWhatMayBeTooLargeIsAsked: the judge has a limit of members and elements, and the acceptor knows less than half of it.
func TestWhatMayBeTooLargeIsAsked(t *testing.T) {
	r := NewReader()
	for values, read := range map[int]bool{maxTokens - 1: true, maxTokens: false} { // and the list itself
		if got := r.tape.read([]byte("[" + strings.Repeat("1,", values-1) + "1]")); got != read {
			t.Errorf("%d values are read: %v", values, got)
		}
	}
}
