package mongodb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/mongo"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// Causes of gaps, as the metric's label.
const (
	gapHistoryLost = string(reason.HistoryLost)
	gapToken       = string(reason.TokenRefused)
	gapRewound     = string(reason.Rewound)
	gapReplaced    = string(reason.Replaced)
	gapUnreadable  = string(reason.Unreadable)
)

// Codes of errors (https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml).
const (
	codeFailedToParse      = 9
	codeInvalidResumeToken = 260
	codeChangeStreamFatal  = 280
	codeHistoryLost        = 286
	codeTooLarge           = 10334
)

// openError is an error of opening the stream, where what the server can't parse is the token.
type openError struct{ says *reason.Error }

func notOpened(err error) error { return &openError{reason.Wrap(err, reason.MongoNotOpened.With())} }

func (e *openError) Error() string { return e.says.Error() }

// Unwrap gives what says it by code.
func (e *openError) Unwrap() error { return e.says }

// rewoundError is an event that is earlier than one before it.
type rewoundError struct{ at, last stamp }

func (e *rewoundError) Error() string {
	return fmt.Sprintf("an event of %s came behind one of %s", e.at.time(), e.last.time())
}

// lost tells why the stream can't go on from its token, or "" where it is worth trying again.
func lost(err error) (cause string) {
	var rewound *rewoundError
	if errors.As(err, &rewound) {
		return gapRewound
	}
	var command mongo.CommandError
	if !errors.As(err, &command) {
		return ""
	}
	var opening *openError
	switch {
	case command.Code == codeHistoryLost:
		return gapHistoryLost
	case command.Code == codeInvalidResumeToken, command.Code == codeChangeStreamFatal:
		return gapToken
	case command.Code == codeFailedToParse && errors.As(err, &opening):
		return gapToken
	default:
		return ""
	}
}

var remedies = map[string]reason.Code{
	gapHistoryLost: reason.DoHistoryLost, gapToken: reason.DoTokenRefused, gapRewound: reason.DoRewound, gapReplaced: reason.DoReplaced,
}

// lose begins a new epoch at the present, with a gap in every stream; or stops.
func (r *reader) lose(ctx context.Context, cause string, because error) error {
	do := remedies[cause].With()
	why := fmt.Sprintf("%s: %v", cause, because)
	if r.config.OnGap == gapStop {
		return &source.StoppedError{Why: reason.OfCause(why), Do: do}
	}
	d, err := ask(ctx, r.client)
	if err != nil {
		return err
	}
	if err := r.survey(ctx); err != nil {
		return err
	}
	next, now := r.begin(d), r.now()
	g := event.Gap{From: r.p.Time, To: now, Cause: why}.Advising(do)
	var events []event.Raw
	for _, n := range slices.SortedFunc(maps.Keys(r.known), func(a, b namespace) int { return strings.Compare(a.String(), b.String()) }) {
		events = append(events, r.gap(r.stream(n), next.place(d.now), g, now))
	}
	r.log.Warn("gap", "cause", g.Cause, "from", g.From, "to", g.To, "streams", len(events), "remedy", g.Remedy)
	if err := r.commit(ctx, next, events, nil); err != nil {
		return err
	}
	r.report.Gap(cause)
	return nil
}

func (r *reader) gap(stream event.Stream, position string, g event.Gap, now time.Time) event.Raw {
	g.From, g.To = g.From.UTC(), g.To.UTC()
	value, err := json.Marshal(g)
	if err != nil {
		panic(err) // times and texts always have a JSON form
	}
	return event.Raw{
		Type: event.GapType, Kind: event.MongoDB, ID: event.ID(r.name, position), Stream: stream, Time: now.UTC(),
		RecordKey: event.RecordKey(stream, nil), Value: value, CapturedAt: now,
	}
}

// unreadable stands in place of an event whose key can't be told.
func (r *reader) unreadable(h *happening, position string, err error, now time.Time) event.Raw {
	one := int64(1)
	r.log.Warn("an event can't be read", "stream", r.stream(h.ns), "position", position, "error", err)
	r.report.Gap(gapUnreadable)
	return r.gap(r.stream(h.ns), position, event.Gap{
		From: h.time, To: h.time, Cause: gapUnreadable, Lost: &one,
	}.Advising(reason.DoIDUnreadable.With(err)), now)
}
