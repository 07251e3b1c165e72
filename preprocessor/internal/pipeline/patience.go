package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/normalize"

	"datawatch/preprocessor/internal/waitalert"
)

// Pauses between attempts to decode a record whose schema can't be had.
const (
	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second
)

// outage is how long nothing may fail until what was missing counts as there again.
const outage = time.Minute

// classUnavailable is a dead letter for want of a schema.
const classUnavailable = "schema_unavailable"

// Patience is how a pipeline waits for schemas.
type Patience struct {
	// Most is how long a record waits; then it is a dead letter, and so is each further one until the schema is there.
	Most time.Duration
	// Waiting is told what is waited for, in a fixed order, whenever that has changed; nothing when all is there again.
	Waiting func(waits []waitalert.Wait)
}

// missing is something that can't be had.
type missing struct {
	what   *normalize.Unavailable
	stream event.Stream // of the record that waited first
	since  time.Time
	last   time.Time
}

// patient is a Normalizer that waits for schemas. While it waits, no record of this instance goes on: those behind it
// would overtake it.
type patient struct {
	Normalizer
	patience Patience
	now      func() time.Time
	missing  map[string]missing
	told     string // what Waiting was told
}

// Events implements Normalizer; its errors are *normalize.Error, or the context's.
func (p *patient) Events(ctx context.Context, r *event.Raw) ([]*event.Clean, error) {
	waited := ""
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		events, err := p.Normalizer.Events(ctx, r)
		lack, ok := errors.AsType[*normalize.Unavailable](err)
		if !ok {
			if waited != "" && ctx.Err() == nil {
				delete(p.missing, waited)
			}
			p.tell()
			return events, err
		}
		waited = lack.What
		if p.isOver(lack, r.Stream) {
			p.tell()
			return nil, &normalize.Error{Class: classUnavailable, Reason: fmt.Sprintf("%v; it was waited for since %s (preprocessor.schema_wait)",
				lack, p.missing[lack.What].since.UTC().Format(time.RFC3339))}
		}
		p.tell()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// isOver notes that something is missing, and tells whether it was waited for long enough.
func (p *patient) isOver(lack *normalize.Unavailable, stream event.Stream) bool {
	now := p.now()
	m, ok := p.missing[lack.What]
	if !ok || now.Sub(m.last) > outage+p.patience.Most {
		m = missing{stream: stream, since: now}
	}
	m.what, m.last = lack, now
	p.missing[lack.What] = m
	return now.Sub(m.since) >= p.patience.Most
}

// tell says what is missing, when that has changed.
func (p *patient) tell() {
	if len(p.missing) == 0 && p.told == "" {
		return
	}
	now := p.now()
	var waits []waitalert.Wait
	var told strings.Builder
	for _, what := range slices.Sorted(maps.Keys(p.missing)) {
		m := p.missing[what]
		if now.Sub(m.last) > outage {
			delete(p.missing, what)
			continue
		}
		until := m.since.Add(p.patience.Most)
		w := waitalert.Wait{Stream: m.stream, For: m.what, Since: m.since, Until: until, Lost: !now.Before(until)}
		waits = append(waits, w)
		fmt.Fprintln(&told, what, m.since, w.Lost)
	}
	if told.String() != p.told {
		p.told = told.String()
		p.patience.Waiting(waits)
	}
}
