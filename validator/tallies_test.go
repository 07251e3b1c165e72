package validator

import (
	"testing"

	"datawatch/pkg/control"
	"datawatch/validator/internal/verdict"
)

func TestTalliesAreTakenOnce(t *testing.T) {
	counts := newTallies()
	counts.add("s/a", verdict.Valid, 3)
	counts.add("s/a", verdict.Invalid, 2)
	counts.add("s/b", verdict.Unchecked, 1)
	got := counts.take()
	if len(got) != 2 || got["s/a"] != (control.Tally{Valid: 3, Invalid: 2}) || got["s/b"] != (control.Tally{Unchecked: 1}) {
		t.Errorf("took %v", got)
	}
	if again := counts.take(); len(again) != 0 {
		t.Errorf("took %v again", again)
	}
}
