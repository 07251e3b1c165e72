package accept

import "slices"

// forms are those of a reader, the one that was right last first.
type forms struct {
	all          []*form
	seen, missed int // of the last records, and how many of them had no form
	rest         int // how many records are read without forms
	last         *form
}

// Bounds of forms. Where most records are of no form that is known, the search for one is a waste: it rests for a while.
const (
	mostForms  = 16
	mostTries  = 2 // of forms of the record's own stream
	formsEvery = 64
	formsRest  = 2000
)

// read reads a record by the form that it has; false where it has none that is known.
func (f *forms) read(t *tape, b []byte) bool {
	f.last = nil
	if f.rest > 0 {
		f.rest--
		return false
	}
	tries := 0
	for i, one := range f.all {
		ok, ours := t.replay(one, b)
		if ok {
			copy(f.all[1:], f.all[:i])
			f.all[0], f.last = one, one
			break
		}
		if ours {
			if tries++; tries == mostTries {
				break
			}
		}
	}
	f.count()
	return f.last != nil
}

func (f *forms) count() {
	f.seen++
	if f.last == nil {
		f.missed++
	}
	if f.seen < formsEvery {
		return
	}
	if f.missed > formsEvery/2 {
		f.rest = formsRest
	}
	f.seen, f.missed = 0, 0
}

// learn takes the form of a record that had none.
func (f *forms) learn(t *tape, fields []field) {
	if f.rest > 0 || len(t.tokens) > mostFormTokens || len(t.source) > mostFormText {
		return
	}
	made := newForm(t, fields)
	if len(f.all) == mostForms {
		f.all = f.all[:mostForms-1]
	}
	f.all = slices.Insert(f.all, 0, made)
	f.last = nil // this record's tokens are the tape's own
}

// plan is what is left to check of the value at a token of the record that was read last; nil where its form isn't known, or
// there is no plan.
func (f *forms) plan(p *Program, t *tape, at int32) *plan {
	one := f.last
	if one == nil {
		return nil
	}
	if one.program != p {
		one.bound = nil
	}
	if one.program != p || one.planned != at {
		one.program, one.planned, one.plan = p, at, newPlan(p, t, at)
	}
	one.next = 0
	return one.plan
}
