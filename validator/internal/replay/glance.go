package replay

import (
	"context"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/accept"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/verdict"
)

// side is a folder and what the acceptor knows of its files: most valid events need no more, as in the service.
type side struct {
	set     *schemas.Set
	streams map[event.Stream]*followed
}

// followed is a stream that has had an event.
type followed struct {
	program  *accept.Program // nil: there is no schema
	namesOld bool            // a rule of it can't be asked of an update without a before, which is counted
}

func newSide(set *schemas.Set) *side {
	if set == nil {
		return nil
	}
	return &side{set, map[event.Stream]*followed{}}
}

func (s *side) of(stream event.Stream) *followed {
	k := s.streams[stream]
	if k != nil {
		return k
	}
	k = &followed{}
	if file := s.set.For(stream); file != nil {
		k.program = accept.Compile(file)
		file.EachRule(func(_ *jsonschema.Schema, r *schemas.Rule) { k.namesOld = k.namesOld || r.NamesOld })
	}
	s.streams[stream] = k
	return k
}

// glance asks the acceptor, for each folder. Enough is false where the judge has to look.
func (r *run) glance(ctx context.Context, record *broker.Record) (stream event.Stream, now, before verdict.Verdict, enough bool) {
	if r.reader == nil {
		return "", now, before, false
	}
	e, ok := r.reader.Read(record.Value)
	if !ok {
		return "", now, before, false
	}
	stream = r.named(e)
	if now, ok = r.accepts(ctx, r.now, stream, e); ok && r.before != nil {
		before, ok = r.accepts(ctx, r.before, stream, e)
	}
	return stream, now, before, ok
}

func (r *run) accepts(ctx context.Context, s *side, stream event.Stream, e *accept.Event) (verdict.Verdict, bool) {
	k := s.of(stream)
	switch {
	case k.program == nil:
		return verdict.Verdict{Result: verdict.Unchecked}, true
	case k.namesOld && e.Op == event.Update && !e.HasBefore():
		return verdict.Verdict{}, false
	}
	return verdict.Verdict{Result: verdict.Valid}, r.reader.Accepts(ctx, k.program)
}

// named is an event's stream, whose text is kept once: the event's own is in the record's memory.
func (r *run) named(e *accept.Event) event.Stream {
	r.name = append(append(append(r.name[:0], e.Source...), '/'), e.Subject...)
	if s := r.streams[event.Stream(r.name)]; s != nil {
		return s.Stream
	}
	return event.Stream(r.name)
}
