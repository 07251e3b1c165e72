package alerts

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
)

// maxLines bounds the groups that an incident's message lists.
const maxLines = 12

// shareLeast is how many events of a stream a share is told of.
const shareLeast = 100

// message is a group's message as it should read now: its own, its incident's, or that of a trouble of our own.
func (s *sender) message(id string) telegram.Message {
	now := s.keeper.options.Now()
	c := s.board.Card(id)
	w := writer{words: s.words, zone: s.keeper.options.Telegram.Timezone.Location, now: now, held: c.Held(now)}
	if isTrouble(id) {
		w.now = c.Opened // not now: else every message would change at midnight
		return s.ownMessage(w, id, c)
	}
	g := s.groups[id]
	if g == nil { // its state is gone: what is left is its name
		return telegram.NewMessage(telegram.Line(telegram.Code(id)))
	}
	w.now, w.quiet = g.Last, g.Seen
	if c.Lead != "" {
		return telegram.NewMessage(telegram.Line(telegram.Plain("↪ "), telegram.Bold(w.heading(g)), telegram.Plain(" · "+s.words.folded)))
	}
	if len(s.board.Members(id)) > 0 || c.Incident == life.Stream {
		return s.incident(w, id, c)
	}
	return w.group(g, s.wrong.counts[id], s.share(g), c, s.mention(g.Owner))
}

func (s *sender) mention(owner string) []string {
	return s.keeper.options.Telegram.Owners[owner].Mention
}

// share is which part of the judged events of a group's stream it was found in, of late.
func (s *sender) share(g *Group) float64 {
	t := s.signs.known.Streams[g.Stream]
	if total := t.Valid + t.Invalid; total >= shareLeast && g.Count <= total {
		return float64(g.Count) / float64(total)
	}
	return 0
}

// line is one group of an incident.
type line struct {
	group *Group
	wrong int64
	over  bool
}

// incidentOf are the lead and those that share its message.
func (s *sender) incidentOf(lead string) []string {
	return append([]string{lead}, s.board.Members(lead)...)
}

// lines are the groups of an incident: what is open first, then the most frequent.
func (s *sender) lines(id string) []line {
	var all []line
	for _, of := range s.incidentOf(id) {
		if g := s.groups[of]; g != nil {
			all = append(all, line{g, s.wrong.counts[of], !s.board.Card(of).Alive()})
		}
	}
	slices.SortStableFunc(all, func(a, b line) int {
		boolean := map[bool]int{true: 1}
		return cmp.Or(boolean[a.over]-boolean[b.over], cmp.Compare(b.group.Count, a.group.Count), cmp.Compare(a.group.Fingerprint, b.group.Fingerprint))
	})
	return all
}

// incident is the message of groups that belong together.
func (s *sender) incident(w writer, id string, c *life.Card) telegram.Message {
	lines := s.lines(id)
	whole, worst := *c, c.Severity
	var wrong int64
	alive := false
	for _, l := range lines {
		wrong = max(wrong, l.wrong)
		if l.group.Last.After(w.now) {
			w.now = l.group.Last
		}
		if l.group.Severity == event.Critical {
			worst = event.Critical
		}
		if !l.over {
			alive = true
			if whole.Phase == life.Over {
				whole.Phase, whole.ResolvedBy = life.Open, ""
			}
			if card := s.board.Card(l.group.Fingerprint); card.Phase == life.Open {
				whole.Phase = life.Open
			}
		}
	}
	if !alive {
		whole.Phase = life.Over
	}
	blocks := []telegram.Block{w.title(w.incidentHeading(lines, c), worst, &whole).Ranked(telegram.Head)}
	blocks = append(blocks, w.incidentWhere(lines, c)...)
	for i, l := range lines {
		if i == maxLines {
			blocks = append(blocks, telegram.Line(telegram.Italic(w.words.more(w.words.number(int64(len(lines)-i))))))
			break
		}
		blocks = append(blocks, w.incidentLine(l))
	}
	if text := s.incidentRows(w, lines, wrong, alive); text != "" {
		blocks = append(blocks, telegram.Line(telegram.Bold(text)).Ranked(telegram.Head))
	}
	if mention := s.mention(lines[0].group.Owner); len(mention) > 0 {
		blocks = append(blocks, telegram.Line(telegram.Plain(fmt.Sprint(mention)[1:len(fmt.Sprint(mention))-1])))
	}
	m := telegram.NewMessage(append(blocks, w.notes(c)...)...)
	m.Buttons = append(w.buttons(id, &whole), w.memberButtons(lines)...)
	return m
}

// incidentRows says how many rows are wrong, or that all are right again.
func (s *sender) incidentRows(w writer, lines []line, wrong int64, alive bool) string {
	if wrong > 0 {
		return w.words.wrongNow(w.words.number(wrong))
	}
	var over time.Time
	for _, l := range lines {
		c := s.board.Card(l.group.Fingerprint)
		if alive || c.ResolvedBy != "" || !c.Rows {
			return ""
		}
		if c.OverAt.After(over) {
			over = c.OverAt
		}
	}
	return w.words.mendedAt(w.rows(lines), w.moment(over, "15:04"))
}

func (w writer) incidentHeading(lines []line, c *life.Card) string {
	switch c.Incident {
	case life.Stream:
		if c.Share.Total > 0 {
			return w.words.streamInvalid(w.words.percent(float64(c.Share.Invalid)/float64(c.Share.Total)), place(c.Stream))
		}
	case life.Burst:
		return w.words.incidents[life.Burst](w.words.number(int64(len(lines))))
	}
	if heading, ok := w.words.incidents[c.Incident]; ok {
		return heading(w.rows(lines))
	}
	return w.heading(lines[0].group)
}

// rows is how many rows the groups of an incident touched: those of the largest.
func (w writer) rows(lines []line) string {
	most, exact := int64(0), true
	for _, l := range lines {
		if n, known := l.group.Keys.count(); n > most {
			most, exact = n, known
		}
	}
	if !exact {
		return "≈ " + w.words.number(most)
	}
	return w.words.number(most)
}

// incidentWhere says what the groups have in common.
func (w writer) incidentWhere(lines []line, c *life.Card) []telegram.Block {
	g := lines[0].group
	first := g.First
	streams := map[event.Stream]bool{}
	for _, l := range lines {
		streams[l.group.Stream] = true
		if l.group.First.Before(first) {
			first = l.group.First
		}
	}
	text := w.words.since + " " + w.moment(first, "15:04:05")
	switch {
	case c.Incident == life.Stream && c.Share.Total > 0:
		text += " " + w.words.totals(w.words.number(c.Share.Invalid), w.words.number(c.Share.Total))
	case len(streams) == 1:
		text = place(g.Stream) + " · " + text
	default:
		text = sourcesOf(lines) + " · " + text
	}
	blocks := []telegram.Block{telegram.Line(telegram.Plain(text))}
	switch c.Incident {
	case life.Transaction, life.Actor:
		e := g.Example
		if c.Incident == life.Actor {
			e.Transaction = ""
		}
		if by := w.by(e); by != "" {
			blocks = append(blocks, telegram.Line(telegram.Plain(by)))
		}
	case life.Schema, life.Stream:
		if sha := g.Newest; len(sha) >= 4 {
			blocks = append(blocks, telegram.Line(telegram.Plain(g.File+"@"+sha[:4])))
		}
	}
	return blocks
}

// sourcesOf names the sources of groups, each once, in the groups' order.
func sourcesOf(lines []line) string {
	var sources []string
	for _, l := range lines {
		if source := l.group.Stream.Source(); !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	return strings.Join(sources, ", ")
}

func (w writer) incidentLine(l line) telegram.Block {
	spans := []telegram.Span{telegram.Plain(w.heading(l.group) + " "), telegram.Bold(w.words.number(l.group.Count))}
	if l.over {
		spans = append([]telegram.Span{telegram.Plain("🟢 ")}, spans...)
	}
	return telegram.Line(append(spans, telegram.Plain(" · "), telegram.Code(l.group.Fingerprint))...)
}

// memberButtons are one a group, to look at it alone.
func (w writer) memberButtons(lines []line) [][]telegram.Button {
	var rows [][]telegram.Button
	for i, l := range lines {
		if i == maxLines {
			break
		}
		if i%3 == 0 {
			rows = append(rows, nil)
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], telegram.Button{
			Text: telegram.Shorten(cmp.Or(l.group.Rule, w.heading(l.group)), 24), Data: telegram.Action("show", l.group.Fingerprint),
		})
	}
	return rows
}

// buttons are what can be decided of an alert now.
func (w writer) buttons(id string, c *life.Card) [][]telegram.Button {
	button := func(what string, about ...string) telegram.Button {
		label := what
		for _, a := range about {
			label += " " + a
		}
		return telegram.Button{Text: w.words.buttons[label], Data: telegram.Action(what, append([]string{alias(id)}, about...)...)}
	}
	var decide []telegram.Button
	switch {
	case c.Phase == life.Over && c.ResolvedBy != "":
		decide = append(decide, button("reopen"))
	case c.Phase == life.Over:
	case c.Accepted != nil:
		decide = append(decide, button("unaccept"))
	default:
		decide = append(decide, button("ack"), button("mute", "1h"), button("mute", "8h"))
		if c.AckBy != "" {
			decide[0] = button("unack")
		}
		if c.MutedBy != "" {
			decide = append(decide[:1], button("unmute"))
		}
	}
	var look []telegram.Button
	if c.Alive() && !(c.Rows && isTrouble(id)) {
		look = append(look, button("resolve"))
	}
	if !isTrouble(id) && id != othersID {
		look = append(look, button("samples"))
		if c.Rows {
			look = append(look, button("rows"))
		}
	}
	return [][]telegram.Button{decide, look}
}

// signal is a message that is owed: the group's own, or an answer to it.
func (s *sender) signal(id string, signal life.Signal) telegram.Message {
	c := s.board.Card(id)
	if signal.Begins() {
		m := s.message(id)
		m.Silent = signal.Silent()
		if c.Message.Chat == c.Chat {
			m.ReplyTo = c.Message.ID
		}
		return m
	}
	var wrong, hour int64
	lines := s.lines(id)
	for _, l := range lines {
		wrong = max(wrong, l.wrong)
		this, _ := l.group.hours(s.keeper.options.Now())
		hour += this
	}
	w := writer{words: s.words, zone: s.keeper.options.Telegram.Timezone.Location, now: s.keeper.options.Now()}
	heading := w.troubleName(id)
	if members := s.board.Members(id); isTrouble(id) && len(members) > 0 {
		heading = w.words.troubles.several(w.words.number(int64(1 + len(members))))
	}
	if len(lines) > 0 {
		heading = w.heading(lines[0].group)
		if len(lines) > 1 || c.Incident == life.Stream {
			heading = w.incidentHeading(lines, c)
		}
	}
	since := w.moment(c.Opened, "15:04")
	text, symbol := s.words.escalated(s.words.number(hour), since), "📈 "
	if signal == life.Reminder {
		n := ""
		if wrong > 0 {
			n = s.words.number(wrong)
		}
		text, symbol = s.words.reminder(n, since), "⏰ "
	}
	m := telegram.NewMessage(telegram.Line(telegram.Plain(symbol), telegram.Bold(heading), telegram.Plain(" · "+text)))
	if c.Message.Chat.ID == c.Chat.ID {
		m.ReplyTo = c.Message.ID
	}
	return m
}
