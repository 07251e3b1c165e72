package alerts

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
	"datawatch/validator/internal/schemas"
)

// Prefixes of the IDs of troubles of our own.
const (
	filePrefix   = "schema-file/"
	silentPrefix = "silent/"
	partPrefix   = "part/" // service, slash, name
	routePrefix  = "route/"
	deadPrefix   = "dead/" // stream, space, class
	canaryPrefix = "canary/"
	canaryID     = canaryPrefix + "late"
)

// patience is how long a part of a service may be out of order before people are told.
const patience = time.Minute

// trouble is one of our own: what happened, since when, what it means for the data, what to do.
type trouble struct {
	severity event.Severity
	since    time.Time // zero: since it was found
	count    int64     // of occurrences; zero is a state that lasts
	last     time.Time
	text     string // what it is about in words; changes when the message does
	message  func(w writer) telegram.Message
}

func isTrouble(id string) bool { return strings.Contains(id, "/") }

func deadID(stream event.Stream, class string) string {
	return deadPrefix + string(stream) + " " + class
}

func (t *trouble) facts(id string, chat telegram.Chat) life.Facts {
	f := life.Facts{ID: id, Chat: chat, Severity: t.severity, Own: true, Since: t.since, Count: max(t.count, 1), Live: max(t.count, 1), Seen: t.last}
	if t.count == 0 {
		f.Rows, f.Wrong = true, 1
	}
	return f
}

// findTroubles are the troubles there are now, by ID.
func (s *sender) findTroubles(now time.Time) map[string]*trouble {
	all := map[string]*trouble{}
	for _, f := range s.failures {
		all[filePrefix+f.Problem.File] = fileTrouble(f, now)
	}
	for _, r := range s.remarks {
		all[remarkID(r)] = remarkTrouble(r, now)
	}
	for _, service := range slices.Sorted(maps.Keys(s.signs.services)) {
		if since := s.signs.silent(service, now); !since.IsZero() {
			all[silentPrefix+service] = &trouble{
				severity: event.Critical, since: since, last: now,
				message: func(w writer) telegram.Message { return w.silent(service, since) },
			}
			continue
		}
		s.findParts(service, now, all)
	}
	for id, c := range s.board.Cards() { // silent since before this keeper began
		service, ok := strings.CutPrefix(id, silentPrefix)
		if ok && c.Alive() && s.signs.lastBeat(service).Before(c.Opened) {
			all[id] = &trouble{severity: event.Critical, since: c.Opened, last: now, message: func(w writer) telegram.Message { return w.silent(service, c.Opened) }}
		}
	}
	s.findCanary(now, all)
	s.findSources(now, all)
	s.findGaps(all)
	for chat, r := range s.refused {
		if now.Before(r.until.Add(refusedPause)) && chat != telegram.ChatOf(s.keeper.options.Telegram.Alerts) {
			all[routePrefix+strconv.FormatInt(chat.ID, 10)] = &trouble{
				severity: event.Critical, since: r.since, last: now, text: r.reason,
				message: func(w writer) telegram.Message { return w.route(chat, r) },
			}
		}
	}
	for id, l := range s.signs.known.Letters {
		all[id] = &trouble{
			severity: event.Warning, since: l.First, last: l.Last, count: l.Count, text: strconv.FormatInt(l.Count, 10) + l.Reason,
			message: func(w writer) telegram.Message { return w.dead(l) },
		}
	}
	return all
}

// findCanary is a canary that is late. Where a service is silent that says it all: this one only stays where it was told.
func (s *sender) findCanary(now time.Time, all map[string]*trouble) {
	partition, sent, ok := s.signs.known.Canaries.Oldest()
	if !ok || now.Sub(sent) < s.signs.after+canaryGrace {
		return
	}
	if c := s.board.Card(canaryID); c == nil || !c.Alive() {
		if now.Sub(s.signs.opened) < s.signs.after { // it may only have been stopped with this keeper
			return
		}
		for id := range all {
			if strings.HasPrefix(id, silentPrefix) {
				return
			}
		}
	}
	all[canaryID] = &trouble{
		severity: event.Critical, since: sent, last: now, text: strconv.Itoa(int(partition)),
		message: func(w writer) telegram.Message { return w.canary(partition, sent) },
	}
}

// canaryGrace has a service that is silent told before the canary that doesn't come for it.
const canaryGrace = 30 * time.Second

// findParts are the parts of a service that were out of order for a while, of its newest runs.
func (s *sender) findParts(service string, now time.Time, all map[string]*trouble) {
	for _, beat := range s.signs.services[service] {
		if now.Sub(beat.At) >= s.signs.after || beat.Stopping {
			continue
		}
		for _, p := range beat.Parts {
			// Canaries, sources, the schema files and the routes of alerts have messages of their own.
			if now.Sub(p.Since) < patience || p.Name == daemon.CanaryPart || service == "collector" && len(beat.Sources) > 0 && strings.HasPrefix(p.Name, "source ") || p.Name == "schemas" && service == "validator" || p.Name == "telegram" && p.Ready {
				continue
			}
			id := partPrefix + service + "/" + p.Name
			if old := all[id]; old != nil && !p.Since.Before(old.since) {
				continue
			}
			severity := event.Warning
			if !p.Ready {
				severity = event.Critical
			}
			all[id] = &trouble{
				severity: severity, since: p.Since, last: now, text: p.Reason,
				message: func(w writer) telegram.Message { return w.part(service, p) },
			}
		}
	}
}

func fileTrouble(f schemas.Failure, now time.Time) *trouble {
	return &trouble{
		severity: event.Warning, last: now, text: f.Problem.String(),
		message: func(w writer) telegram.Message {
			if w.now = f.InForce.Loaded(); w.now.IsZero() {
				w.now = now
			}
			return w.failure(f)
		},
	}
}
