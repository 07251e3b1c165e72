package alerts

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
	"datawatch/validator/internal/wrongrows"
)

// answerWords are what commands are answered.
type answerWords struct {
	none, stillWrong, noRows string
	usage                    map[string]string // by command
	open                     func(n string) string
	rows                     func(n string) string
}

var englishAnswers = answerWords{
	none: "No alert is open.", stillWrong: "Rows are still wrong: it is over when they are right.", noRows: "No row is wrong.",
	usage: map[string]string{
		"show": "/show ID", "ack": "/ack ID", "unack": "/unack ID", "mute": "/mute ID 1h, 3d or schema", "unmute": "/unmute ID", "resolve": "/resolve ID",
		"accept": "/accept ID 30d reason",
	},
	open: func(n string) string {
		if n == "1" {
			return "1 alert open"
		}
		return n + " alerts open"
	},
	rows: func(n string) string {
		if n == "1" {
			return "1 row wrong"
		}
		return n + " rows wrong"
	},
}

var vietnameseAnswers = answerWords{
	none: "Không có cảnh báo nào đang mở.", stillWrong: "Vẫn còn dòng sai: cảnh báo hết khi các dòng đúng lại.", noRows: "Không có dòng nào sai.",
	usage: map[string]string{
		"show": "/show ID", "ack": "/ack ID", "unack": "/unack ID", "mute": "/mute ID 1h, 3d hoặc schema", "unmute": "/unmute ID", "resolve": "/resolve ID",
		"accept": "/accept ID 30d lý do",
	},
	open: func(n string) string { return n + " cảnh báo đang mở" },
	rows: func(n string) string { return n + " dòng sai" },
}

// obey answers a command, or keeps an answer to a message as a note. An error ends the sender.
func (s *sender) obey(ctx context.Context, c telegram.Command) error {
	now := s.keeper.options.Now()
	update := strconv.Itoa(c.Update)
	if c.Name == "" {
		id := s.subjectOf(c.Message.Chat.ID, c.ReplyTo)
		if id == "" || c.Args == "" {
			return nil // an answer to somebody else
		}
		_, err := s.decide(ctx, life.Decision{Verb: life.Noted, ID: id, User: c.User.Name, At: now, Text: telegram.Shorten(c.Args, 500)}, update)
		return err
	}
	words := strings.Fields(c.Args)
	if len(words) == 0 || s.board.Card(s.find(words[0])) == nil { // an answer names the alert
		if id := s.subjectOf(c.Message.Chat.ID, c.ReplyTo); id != "" {
			words = append([]string{id}, words...)
		}
	}
	switch c.Name {
	case "alerts":
		return s.say(ctx, c.Message, s.openAlerts()...)
	case "wrong":
		return s.wrongRows(ctx, c.Message, strings.TrimSpace(c.Args))
	case "show", "ack", "unack", "mute", "unmute", "resolve", "accept":
	default:
		return nil // another service's
	}
	d := life.Decision{Verb: life.Verb(c.Name), User: c.User.Name, At: now}
	ok := len(words) > 0
	switch {
	case !ok:
	case c.Name == "show":
		return s.give(ctx, "show", s.find(words[0]), c.Message)
	case c.Name == "mute" && len(words) == 1:
		d.Until = now.Add(time.Hour)
	case c.Name == "mute":
		d.Until, ok = muteUntil(words[1], now)
	case c.Name == "accept":
		if ok = len(words) > 2 && words[1] != "schema"; ok {
			d.Until, ok = muteUntil(words[1], now)
			d.Text = strings.Join(words[2:], " ")
		}
	}
	if !ok {
		return s.say(ctx, c.Message, telegram.Line(telegram.Code(s.words.answers.usage[c.Name])))
	}
	d.ID = s.find(words[0])
	text, err := s.decide(ctx, d, update)
	if err != nil {
		return err
	}
	return s.say(ctx, c.Message, telegram.Line(telegram.Plain(text)))
}

// subjectOf is the alert whose message this is, or empty.
func (s *sender) subjectOf(chat int64, message int) string {
	if message == 0 {
		return ""
	}
	for id, c := range s.board.Cards() {
		if c.Message.ID == message && c.Message.Chat.ID == chat {
			return id
		}
	}
	return ""
}

// find is the group of an ID, or of its beginning where there is one only.
func (s *sender) find(text string) string {
	if id := s.named(text); s.board.Card(id) != nil {
		return id
	}
	found := ""
	for id := range s.board.Cards() {
		if strings.HasPrefix(id, text) {
			if found != "" {
				return text
			}
			found = id
		}
	}
	return cmp.Or(found, text)
}

// openIDs are the alerts that aren't over, the most severe first, then the newest.
func (s *sender) openIDs() []string {
	cards := s.board.Cards()
	var open []string
	for id, c := range cards {
		if c.Lead == "" && s.board.Ongoing(id) {
			open = append(open, id)
		}
	}
	slices.SortFunc(open, func(a, b string) int {
		return cmp.Or(cmp.Compare(priorityOf(cards[a].Severity), priorityOf(cards[b].Severity)), cards[b].Opened.Compare(cards[a].Opened), cmp.Compare(a, b))
	})
	return open
}

func (s *sender) openAlerts() []telegram.Block {
	open := s.openIDs()
	if len(open) == 0 {
		return []telegram.Block{telegram.Line(telegram.Plain("🟢 "), telegram.Bold(s.words.answers.none))}
	}
	blocks := []telegram.Block{telegram.Line(telegram.Bold(s.words.answers.open(s.words.number(int64(len(open))))))}
	for _, id := range open {
		blocks = append(blocks, s.shortLine(id))
	}
	return blocks
}

// shortLine is an alert in one line: its state, what is wrong, how often, its ID.
func (s *sender) shortLine(id string) telegram.Block {
	now := s.keeper.options.Now()
	c := s.board.Card(id)
	w := writer{words: s.words, zone: s.keeper.options.Telegram.Timezone.Location, now: now, held: c.Held(now), quiet: c.QuietAt}
	shown := *c
	if s.board.Ongoing(id) && shown.Phase == life.Over { // others of its incident aren't over
		shown.Phase, shown.ResolvedBy = life.Open, ""
	}
	symbol, _ := w.state(c.Severity, &shown)
	name, n := w.troubleName(id), int64(0)
	if g := s.groups[id]; g != nil {
		name, n = w.heading(g), g.Count
		if lines := s.lines(id); len(lines) > 1 {
			name = w.incidentHeading(lines, c)
		}
	} else {
		symbol = "🟠"
	}
	spans := []telegram.Span{telegram.Plain(symbol + " " + name)}
	if n > 0 {
		spans = append(spans, telegram.Plain(" ("+s.words.number(n)+")"))
	}
	return telegram.Line(append(spans, telegram.Plain(" · "), telegram.Code(alias(id)))...)
}

// give shows a group alone, its newest errors, or its wrong rows as a file.
func (s *sender) give(ctx context.Context, what, id string, to telegram.Ref) error {
	g, c := s.groups[id], s.board.Card(id)
	if c != nil && isTrouble(id) && what == "show" {
		w := writer{words: s.words, zone: s.keeper.options.Telegram.Timezone.Location, now: s.keeper.options.Now(), held: c.Held(s.keeper.options.Now())}
		return s.reply(ctx, to, s.troubleMessage(w, id, c))
	}
	if g == nil || c == nil {
		return s.say(ctx, to, telegram.Line(telegram.Plain(s.words.unknownAlert)))
	}
	now := s.keeper.options.Now()
	w := writer{words: s.words, zone: s.keeper.options.Telegram.Timezone.Location, now: now, held: c.Held(now), quiet: g.Seen}
	switch what {
	case "rows":
		return s.sendRows(ctx, to, id, func(_ event.Stream, fingerprint string) bool {
			return fingerprint == id || slices.Contains(s.board.Members(id), fingerprint)
		})
	case "samples":
		return s.say(ctx, to, w.samples(g)...)
	}
	return s.reply(ctx, to, w.group(g, s.wrong.counts[id], s.share(g), c, nil))
}

// reply answers with a message, without a sound.
func (s *sender) reply(ctx context.Context, to telegram.Ref, m telegram.Message) error {
	m.Silent, m.ReplyTo = true, to.ID
	_, err := s.deliver(ctx, telegram.Ref{Chat: to.Chat}, m, telegram.Warning)
	return s.excuse(ctx, err)
}

// samples are the newest errors of a group.
func (w writer) samples(g *Group) []telegram.Block {
	blocks := []telegram.Block{telegram.Line(telegram.Bold(w.heading(g)))}
	for _, e := range slices.Backward(g.Recent) {
		head := []telegram.Span{telegram.Plain(w.moment(e.At, "15:04:05"))}
		if len(e.Key) > 0 && string(e.Key) != "null" {
			head = append(head, telegram.Plain(" · "+w.words.key+" "), telegram.Code(telegram.Shorten(keyText(e.Key), 64)))
		}
		if line := w.comparison(g.Kind, e); line != nil {
			head = append(append(head, telegram.Plain(" · ")), line...)
		}
		blocks = append(blocks, telegram.Line(head...))
		if e.Sample != "" {
			blocks = append(blocks, telegram.Pre(e.Sample).Ranked(telegram.Detail))
		}
	}
	return blocks
}

// wrongRows sends the wrong rows of the streams that a text names: all of one, or a table's.
func (s *sender) wrongRows(ctx context.Context, to telegram.Ref, text string) error {
	name := text
	if name == "" {
		name = "all"
	}
	return s.sendRows(ctx, to, name, func(stream event.Stream, _ string) bool {
		return text == "" || string(stream) == text || strings.HasSuffix(string(stream), "/"+text) || strings.HasSuffix(string(stream), "."+text)
	})
}

var rowColumns = []string{"stream", "key", "rule", "severity", "event_time", "place", "message", "expected", "actual", "group", "event_id"}

// sendRows sends the wrong rows that want names as a CSV file.
func (s *sender) sendRows(ctx context.Context, to telegram.Ref, name string, want func(event.Stream, string) bool) error {
	rows, err := s.standingRows(ctx, want)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return s.say(ctx, to, telegram.Line(telegram.Plain(s.words.answers.noRows)))
	}
	var file bytes.Buffer
	w := csv.NewWriter(&file)
	_ = w.Write(rowColumns) // a buffer doesn't fail
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		for _, row := range rows[id] {
			_ = w.Write(row)
		}
		if w.Flush(); file.Len() > telegram.MaxDocument-(1<<20) {
			_ = w.Write([]string{"…"})
			break
		}
	}
	w.Flush()
	caption := telegram.NewMessage(telegram.Line(telegram.Plain(s.words.answers.rows(s.words.number(int64(len(rows)))))))
	caption.Silent, caption.ReplyTo = true, to.ID
	sending, stop := context.WithTimeout(ctx, sendTime)
	defer stop()
	_, err = s.keeper.options.Messenger.SendDocument(sending, to.Chat, telegram.Document{
		Name: "wrong-" + strings.NewReplacer("/", "-", "%", "-").Replace(name) + ".csv", Content: file.Bytes(), Caption: caption,
	}, telegram.Warning)
	return s.excuse(ctx, err)
}

// standingRows reads the wrong rows, by record; each is the lines of its errors that are wanted.
func (s *sender) standingRows(ctx context.Context, want func(event.Stream, string) bool) (map[string][][]string, error) {
	k := s.keeper
	rows := map[string][][]string{}
	partitions, err := k.scanner.Partitions(k.topics.Wrong)
	if err != nil {
		return nil, fmt.Errorf("read wrong rows: %w", err)
	}
	for _, p := range partitions {
		from, err := k.scanner.Oldest(k.topics.Wrong, p)
		if err != nil {
			return nil, fmt.Errorf("read wrong rows: %w", err)
		}
		err = k.scanner.Scan(ctx, k.topics.Wrong, p, from, s.wrong.next[p], func(r broker.Record) error {
			delete(rows, string(r.Key))
			lines, err := rowLines(r, want)
			if len(lines) > 0 {
				rows[string(r.Key)] = lines
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read wrong rows of partition %d: %w", p, err)
		}
	}
	return rows, nil
}

func rowLines(r broker.Record, want func(event.Stream, string) bool) ([][]string, error) {
	if r.Value == nil {
		return nil, nil
	}
	_, stream, rule, err := wrongrows.ParseKey(r.Key)
	if err != nil {
		return nil, err
	}
	var v event.Violation
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return nil, fmt.Errorf("wrong row at %d/%d: %w", r.Partition, r.Offset, err)
	}
	var lines [][]string
	for i := range v.Errors {
		if e := &v.Errors[i]; wrongrows.RuleOf(e) == rule && want(stream, e.Fingerprint) {
			lines = append(lines, []string{
				string(stream), string(v.Key), rule, string(e.Severity), v.EventTime, e.InstanceLocation, e.Message, e.Expected, e.Actual, e.Fingerprint, v.EventID,
			})
		}
	}
	return lines, nil
}
