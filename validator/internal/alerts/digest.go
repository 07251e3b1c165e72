package alerts

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
)

const digestKey = "alert-digest/last" // of the state topic

// maxDigestLines bounds each list of a digest.
const maxDigestLines = 5

// digestState is the last digest, and what was counted until then.
type digestState struct {
	Version int                            `json:"version"` // 1
	Day     string                         `json:"day"`     // on which it was sent, in the configured zone
	Streams map[event.Stream]control.Tally `json:"streams,omitempty"`
	Groups  map[string]int64               `json:"groups,omitempty"`

	busy bool // there may be more to do at once
}

// digestWords are the words of a digest.
type digestWords struct {
	yesterday                             func(day string) string
	events                                func(n, schemas, valid string) string
	open, muted, accepted, over, noSchema string
	info, dead, gaps                      string
	streamEvents                          func(stream, n string) string
	top                                   string
}

var englishDigest = digestWords{
	yesterday: func(day string) string { return "Yesterday, " + day },
	events: func(n, streams, valid string) string {
		return n + " events in " + streams + " streams, " + valid + " valid"
	},
	open: "open", muted: "muted", accepted: "accepted", over: "over", noSchema: "No schema: ", info: "Only counted: ", dead: "Not understood: ", gaps: "Not captured: ",
	streamEvents: func(stream, n string) string { return stream + " (" + n + " events)" },
	top:          "Most often: ",
}

var vietnameseDigest = digestWords{
	yesterday: func(day string) string { return "Hôm qua, " + day },
	events: func(n, streams, valid string) string {
		return n + " sự kiện trong " + streams + " luồng, " + valid + " hợp lệ"
	},
	open: "đang mở", muted: "đã tắt", accepted: "đã chấp nhận", over: "đã hết", noSchema: "Chưa có schema: ", info: "Chỉ đếm: ", dead: "Không hiểu được: ", gaps: "Không được ghi lại: ",
	streamEvents: func(stream, n string) string { return stream + " (" + n + " sự kiện)" },
	top:          "Nhiều nhất: ",
}

func readDigest(ctx context.Context, k *Keeper) (digestState, error) {
	var d digestState
	state, err := k.scanner.State(ctx, k.topics.State, digestKey)
	if err != nil {
		return d, err
	}
	if value, ok := state[digestKey]; ok {
		if err := json.Unmarshal(value, &d); err != nil {
			return d, fmt.Errorf("read state %s: %w", digestKey, err)
		}
	}
	return d, nil
}

// digestDay is the day whose digest is due: today's from digest_at on, else yesterday's.
func digestDay(now time.Time, hour, minute int, zone *time.Location) time.Time {
	local := now.In(zone)
	day := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, zone)
	if local.Hour() < hour || local.Hour() == hour && local.Minute() < minute {
		day = day.AddDate(0, 0, -1)
	}
	return day
}

// digest sends the day's digest when it is due. The first day there is none: nothing was counted before.
func (s *sender) digest(ctx context.Context, now time.Time) error {
	config := &s.keeper.options.Telegram
	s.digested.busy = false
	day := digestDay(now, config.DigestAt.Hour, config.DigestAt.Minute, config.Timezone.Location)
	if s.digested.Day == day.Format(time.DateOnly) || config.Alerts.ID != 0 && now.Before(s.refused[telegram.ChatOf(config.Alerts)].until) {
		return nil
	}
	if s.digested.Day != "" {
		m := s.digestMessage(day, now)
		m.Silent = true
		chat := telegram.ChatOf(config.Alerts)
		_, err := s.deliver(ctx, telegram.Ref{Chat: chat}, m, telegram.Warning)
		if later, err := s.later(ctx, digestKey, chat, m, err); later || err != nil {
			return err
		}
	}
	s.digested = digestState{Version: 1, Day: day.Format(time.DateOnly), Streams: map[event.Stream]control.Tally{}, Groups: map[string]int64{}, busy: true}
	for stream, t := range s.signs.known.Streams {
		s.digested.Streams[stream] = t
	}
	for id, g := range s.groups {
		s.digested.Groups[id] = g.Count
	}
	value, err := json.Marshal(s.digested)
	if err != nil {
		return fmt.Errorf("write digest: %w", err)
	}
	return s.save(ctx, []broker.Record{{Topic: s.keeper.topics.State, Key: []byte(digestKey), Value: value}}, true)
}

func (s *sender) digestMessage(day, now time.Time) telegram.Message {
	d := s.words.digest
	var all control.Tally
	streams := 0
	unchecked := map[string]int64{}
	for stream, t := range s.signs.known.Streams {
		old := s.digested.Streams[stream]
		today := control.Tally{Valid: t.Valid - old.Valid, Invalid: t.Invalid - old.Invalid, Unchecked: t.Unchecked - old.Unchecked}
		if today.Total() > 0 {
			streams++
		}
		if today.Unchecked > 0 && today.Valid+today.Invalid == 0 {
			unchecked[place(stream)] = today.Unchecked
		}
		all = all.Add(today)
	}
	valid := 1.0
	if judged := all.Valid + all.Invalid; judged > 0 {
		valid = float64(all.Valid) / float64(judged)
	}
	blocks := []telegram.Block{
		telegram.Line(telegram.Plain("☀️ "), telegram.Bold(d.yesterday(day.AddDate(0, 0, -1).Format(strings.TrimSuffix(s.words.date, " 15:04"))))),
		telegram.Line(telegram.Plain(d.events(s.words.number(all.Total()), s.words.number(int64(streams)), s.words.exactPercent(valid)))),
	}
	blocks = append(blocks, s.digestStates(now)...)
	blocks = append(blocks, s.digestTop()...)
	return telegram.NewMessage(append(blocks, s.digestRest(unchecked)...)...)
}

// digestStates are what is open, muted and accepted, and how many are over.
func (s *sender) digestStates(now time.Time) []telegram.Block {
	d := s.words.digest
	lists := map[string][]string{}
	over := 0
	for _, id := range s.openIDs() {
		c := s.board.Card(id)
		switch {
		case c.Accepted != nil:
			lists[d.accepted] = append(lists[d.accepted], id)
		case c.MutedBy != "":
			lists[d.muted] = append(lists[d.muted], id)
		default:
			lists[d.open] = append(lists[d.open], id)
		}
	}
	for _, c := range s.board.Cards() {
		if c.Phase == life.Over && now.Sub(c.OverAt) < 24*time.Hour {
			over++
		}
	}
	var blocks []telegram.Block
	for _, l := range []struct{ symbol, word string }{{"🔴", d.open}, {"🔇", d.muted}, {"✅", d.accepted}} {
		ids := lists[l.word]
		if len(ids) == 0 {
			continue
		}
		blocks = append(blocks, telegram.Line(telegram.Plain(l.symbol+" "+s.words.number(int64(len(ids)))+" "+l.word)))
		for i, id := range ids {
			if i == maxDigestLines {
				blocks = append(blocks, telegram.Line(telegram.Italic(s.words.more(s.words.number(int64(len(ids)-i))))))
				break
			}
			blocks = append(blocks, s.shortLine(id))
		}
	}
	if over > 0 {
		blocks = append(blocks, telegram.Line(telegram.Plain("🟢 "+s.words.number(int64(over))+" "+d.over)))
	}
	return blocks
}

// digestTop are the most frequent errors since the last digest, and those that are only counted.
func (s *sender) digestTop() []telegram.Block {
	d := s.words.digest
	w := writer{words: s.words}
	loud, quiet := map[string]int64{}, map[string]int64{}
	for id, g := range s.groups {
		n := g.Count - s.digested.Groups[id]
		switch {
		case n <= 0:
		case g.Severity == event.Info:
			quiet[w.heading(g)] += n
		default:
			loud[w.heading(g)] += n
		}
	}
	return append(s.ranked(d.top, loud, nil), s.ranked(d.info, quiet, nil)...)
}

func (s *sender) digestRest(unchecked map[string]int64) []telegram.Block {
	d := s.words.digest
	dead := map[string]int64{}
	for _, l := range s.signs.known.Letters {
		dead[place(l.Stream)] += l.Count
	}
	gaps, now := map[string]int64{}, s.keeper.options.Now()
	for _, g := range s.signs.known.Gaps {
		if now.Sub(g.Last) <= 24*time.Hour {
			gaps[g.Source+" "+(writer{words: s.words, zone: s.keeper.options.Telegram.Timezone.Location, now: now}).span(g)] += g.Count
		}
	}
	blocks := append(s.ranked(d.noSchema, unchecked, d.streamEvents), s.ranked(d.dead, dead, nil)...)
	return append(blocks, s.ranked(d.gaps, gaps, nil)...)
}

// ranked is a line of the largest counts.
func (s *sender) ranked(head string, counts map[string]int64, say func(name, n string) string) []telegram.Block {
	if len(counts) == 0 {
		return nil
	}
	if say == nil {
		say = func(name, n string) string { return name + " (" + n + ")" }
	}
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	var parts []string
	for i, name := range names {
		if i == maxDigestLines {
			parts = append(parts, s.words.more(s.words.number(int64(len(names)-i))))
			break
		}
		parts = append(parts, say(name, s.words.number(counts[name])))
	}
	return []telegram.Block{telegram.Line(telegram.Plain(head + strings.Join(parts, ", ")))}
}
