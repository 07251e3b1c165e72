package feed

import (
	"slices"
	"sync"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

// Finding is what the validator found wrong with a change.
type Finding struct {
	Source      string
	Transaction string // empty for a record
	EventID     string
	Stream      event.Stream
	Rule        string // or the place in the row
	Message     string
	// Actual and Expected may be empty.
	Actual, Expected string
	// Own is that the message is the rule's own; any other is a phrase of the validator's.
	Own bool
}

// FindingsOf are the findings of a violation, each once.
func FindingsOf(v *event.Violation) []Finding {
	var out []Finding
	for _, e := range v.Errors {
		f := Finding{
			Source: v.Stream.Source(), EventID: v.EventID, Stream: v.Stream,
			Rule: e.Rule, Message: e.Message, Actual: e.Actual, Expected: e.Expected, Own: e.Kind == event.RuleViolation,
		}
		if f.Rule == "" {
			f.Rule = e.InstanceLocation
		}
		if v.Transaction != nil {
			f.Transaction = *v.Transaction
		}
		out = append(out, f)
	}
	return out
}

func (f Finding) name() name {
	if f.Transaction != "" {
		return name{f.Source, f.Transaction}
	}
	return name{f.Source, f.EventID}
}

const (
	// maxFindings is how many findings a message shows; the rest is counted.
	maxFindings = 5
	// maxShowings and maxShowingBytes bound the transactions whose verdict can still be told.
	maxShowings     = 5000
	maxShowingBytes = 32 << 20
)

// board remembers what was shown, so that the verdict can be written into it, and verdicts that came before.
type board struct {
	mu       sync.Mutex
	showings map[name]*showing
	order    []name // the oldest first
	bytes    int
	dirty    map[*viewer][]post
}

// showing is a transaction, its messages, and what was found wrong with it.
type showing struct {
	transaction *transaction // nil while only its verdict is known
	findings    []Finding
	beyond      int // findings that aren't kept
	posts       []*posted
}

// posted is a transaction's message in one chat; ref is zero where it was summed up there, and its verdict has to come alone.
type posted struct {
	viewer *viewer
	ref    telegram.Ref
	found  int // findings in the message as it is
	dirty  bool
}

// post is a message that isn't as it should be.
type post struct {
	name name
	*posted
}

func newBoard() *board {
	return &board{showings: map[name]*showing{}, dirty: map[*viewer][]post{}}
}

// verdict is what was found wrong with a transaction until now.
type verdict struct {
	findings []Finding
	beyond   int
}

func (s *showing) verdict() verdict { return verdict{slices.Clone(s.findings), s.beyond} }
func (v verdict) count() int        { return len(v.findings) + v.beyond }

// of is what is known of a transaction before it is shown.
func (b *board) of(n name) verdict {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s, ok := b.showings[n]; ok {
		return s.verdict()
	}
	return verdict{}
}

// show notes that a transaction stands in a message, with so many findings; with a zero ref, that it was summed up for
// somebody who follows it.
func (b *board) show(t *transaction, v *viewer, ref telegram.Ref, found int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.showing(t.name())
	if s.transaction == nil {
		s.transaction = t
		b.bytes += t.size
	}
	p := &posted{viewer: v, ref: ref, found: found}
	s.posts = append(s.posts, p)
	b.soil(t.name(), s, p)
	b.trim()
}

// find adds findings.
func (b *board) find(findings []Finding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range findings {
		s := b.showing(f.name())
		if slices.Contains(s.findings, f) {
			continue // a violation may come twice
		}
		if len(s.findings) < maxFindings {
			s.findings = append(s.findings, f)
		} else {
			s.beyond++
		}
		for _, p := range s.posts {
			b.soil(f.name(), s, p)
		}
	}
	b.trim()
}

// soil has a message edited where it lacks a finding.
func (b *board) soil(n name, s *showing, p *posted) {
	if p.dirty || p.found == len(s.findings)+s.beyond {
		return
	}
	p.dirty = true
	b.dirty[p.viewer] = append(b.dirty[p.viewer], post{n, p})
	select {
	case p.viewer.soiled <- struct{}{}:
	default:
	}
}

// next is a message of a viewer's that is to be edited, with its transaction and the verdict that it is to hold.
func (b *board) next(in *viewer) (p post, t *transaction, v verdict, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.dirty[in]) > 0 {
		p = b.dirty[in][0]
		b.dirty[in] = b.dirty[in][1:]
		p.dirty = false
		if s, known := b.showings[p.name]; known && s.transaction != nil {
			p.found = len(s.findings) + s.beyond
			return p, s.transaction, s.verdict(), true
		}
	}
	delete(b.dirty, in)
	return post{}, nil, verdict{}, false
}

// settle notes the message that a verdict of its own became.
func (b *board) settle(p post, ref telegram.Ref) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.ref = ref
}

func (b *board) showing(n name) *showing {
	s, ok := b.showings[n]
	if !ok {
		s = &showing{}
		b.showings[n] = s
		b.order = append(b.order, n)
	}
	return s
}

// trim forgets the oldest.
func (b *board) trim() {
	for len(b.order) > maxShowings || b.bytes > maxShowingBytes && len(b.order) > 1 {
		oldest := b.order[0]
		b.order = b.order[1:]
		if t := b.showings[oldest].transaction; t != nil {
			b.bytes -= t.size
		}
		delete(b.showings, oldest)
	}
}
