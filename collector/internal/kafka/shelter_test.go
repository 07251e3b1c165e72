package kafka

import (
	"strings"
	"testing"

	"datawatch/collector/internal/source"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
)

// TestPanicEndsTheRunAndNotTheProcess has the reader panic, which is a goroutine of its own.
func TestPanicEndsTheRunAndNotTheProcess(t *testing.T) {
	k := newCompany(t, testrig.Embedded(t))
	s := New(Options{Name: "k", Config: k.config(nil), Internal: internal(), Reporter: panicking{newCapture()}})
	if err := waitEnd(t, s, newCapture()); err == nil || !strings.Contains(err.Error(), "no streaming") {
		t.Errorf("the run ended with %v", err)
	}
}

type panicking struct{ source.Reporter }

func (p panicking) State(state source.State, why reason.Text) {
	if state == source.Streaming {
		panic("no streaming")
	}
	p.Reporter.State(state, why)
}
