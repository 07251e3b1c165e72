// Package sourcetest is what every source must pass: the delivery contract of package source, tried on a real system.
//
// A source's own test gives Run a Harness for its system and adds what is particular to it. The suite plays the
// supervisor and the broker: it keeps the events and the progress of committed batches, fails emits before and after
// the commit, blocks them, stops the source, cuts it off, and each time runs it again from what was committed.
package sourcetest

import (
	"testing"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
)

// Change is one change of the watched system, as the suite makes it: key's value becomes Number. Numbers of a key count
// up from 1.
type Change struct {
	Key    string
	Number int
}

// Harness is one system with one source that watches it. Every test of the suite gets a fresh one, in which nothing was
// ever captured.
type Harness interface {
	// Source makes a new source for the system; the suite runs one at a time.
	Source(t testing.TB, reporter source.Reporter) source.Source
	// Write makes the changes, in order, and returns when they are committed. It may be called from any goroutine.
	Write(t testing.TB, changes []Change)
	// Read is the change that an event tells of.
	Read(t testing.TB, e event.Raw) Change
	// Lose has write make changes that the system then holds no more, while no source runs.
	Lose(t testing.TB, write func())
	// Cut takes the system away from the source, as a crash or a broken network does; mend brings it back with what was
	// written. Nothing is written in between.
	Cut(t testing.TB) (mend func())
}

// Run runs the suite; fresh makes a harness for one test, and cleans up by t.Cleanup.
func Run(t *testing.T, fresh func(t *testing.T) Harness) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, h Harness)
	}{
		{"EverythingComesOnceAndInOrder", everythingInOrder},
		{"FailedEmitsLoseAndRepeatNothing", failedEmits},
		{"ANewRunGoesOnFromProgress", resume},
		{"AStopIsPromptAndAnError", stop},
		{"AStopEndsABlockedEmit", stopBlocked},
		{"ABlockedEmitIsBackPressure", backPressure},
		{"ALostSystemIsAnError", lostSystem},
		{"WhatIsNoLongerHeldIsAGapAndCaptureGoesOn", lostStretch},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, fresh(t)) })
	}
}
