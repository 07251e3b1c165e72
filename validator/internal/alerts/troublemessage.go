package alerts

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"

	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
)

// trouble writes what all messages of our own troubles have: what, since when, why, what it means, what to do.
func (w writer) trouble(what string, since time.Time, reason, means, do string) telegram.Message {
	blocks := []telegram.Block{telegram.Line(w.sign(), telegram.Bold(what), telegram.Plain(" · "+w.words.since+" "+w.moment(since, "15:04")))}
	for _, text := range []string{telegram.Shorten(reason, 600), means} {
		if text != "" {
			blocks = append(blocks, telegram.Line(telegram.Plain(text)))
		}
	}
	if do != "" {
		blocks = append(blocks, telegram.Line(telegram.Plain(w.words.troubles.do+do)))
	}
	return telegram.NewMessage(blocks...)
}

// sign is the symbol of a trouble of our own; where several share a message, that has one.
func (w writer) sign() telegram.Span {
	if w.listed {
		return telegram.Plain("")
	}
	return telegram.Plain("🟠 ")
}

// ended is the line of a trouble that is over: what is well again, what it was, and from when to when, for it may be the first
// that people read of it, and replaces what they read before.
func (w writer) ended(id string, c *life.Card) telegram.Block {
	t := w.words.troubles
	kind, name, _ := strings.Cut(id, "/")
	kind += "/"
	over := t.again(w.troubleName(id))
	switch said := t.over[kind]; {
	case said != nil && kind == partPrefix:
		service, part, _ := strings.Cut(name, "/")
		over = said(service + "/" + w.partName(part))
	case said != nil:
		over = said(name)
	case kind == filePrefix:
		over = path.Base(name) + " " + w.words.loaded
	}
	span := w.moment(c.OverAt, "15:04")
	if c.Rows { // it lasted
		from := c.Since
		if from.IsZero() {
			from = c.Opened
		}
		span = strings.TrimSpace(t.was[kind] + " " + w.between(from, c.OverAt))
	}
	return telegram.Line(telegram.Plain("🟢 "), telegram.Bold(over), telegram.Plain(" · "+span))
}

// ownMessage is the message of a trouble of our own, or of several.
func (s *sender) ownMessage(w writer, id string, c *life.Card) telegram.Message {
	switch {
	case c.Lead != "":
		return telegram.NewMessage(telegram.Line(telegram.Plain("↪ "), telegram.Bold(w.troubleName(id)), telegram.Plain(" · "+s.words.folded)))
	case len(s.board.Members(id)) > 0:
		return s.severalTroubles(w, id, c)
	}
	return s.troubleMessage(w, id, c)
}

// troubleMessage is the message of one trouble of our own, with what people decided of it.
func (s *sender) troubleMessage(w writer, id string, c *life.Card) telegram.Message {
	m := s.aboutTrouble(w, id, c)
	if t := s.troubles[id]; t != nil && c.Alive() {
		w.quiet = t.last
		if _, state := w.state(t.severity, c); state != "" {
			m.Blocks = append(m.Blocks, telegram.Line(telegram.Italic(state)))
		}
		m.Blocks = append(m.Blocks, w.notes(c)...)
		m.Buttons = w.buttons(id, c)
	}
	return m
}

// aboutTrouble says what a trouble is about, or that it is over.
func (s *sender) aboutTrouble(w writer, id string, c *life.Card) telegram.Message {
	if t := s.troubles[id]; t != nil && c.Alive() {
		return t.message(w)
	}
	m := telegram.NewMessage(w.ended(id, c))
	if file, ok := strings.CutPrefix(id, filePrefix); ok {
		m.Blocks = append(m.Blocks, telegram.Line(telegram.Code(file)))
	}
	return m
}

// severalTroubles is the message of troubles of our own that came at once: each as it reads alone, as far as there is room.
func (s *sender) severalTroubles(w writer, id string, c *life.Card) telegram.Message {
	ids := s.incidentOf(id)
	card := s.board.Card
	slices.SortStableFunc(ids, func(a, b string) int {
		boolean := map[bool]int{true: 1}
		return cmp.Or(boolean[card(b).Alive()]-boolean[card(a).Alive()], card(a).Opened.Compare(card(b).Opened), cmp.Compare(a, b))
	})
	whole, last := *c, c.OverAt
	for _, of := range ids {
		if card(of).OverAt.After(last) {
			last = card(of).OverAt
		}
	}
	symbol, when := "🟢 ", w.between(c.Opened, last)
	if s.board.Ongoing(id) {
		symbol, when = "🟠 ", w.words.since+" "+w.moment(c.Opened, "15:04")
		if whole.Phase == life.Over {
			whole.Phase, whole.ResolvedBy = life.Open, ""
		}
	}
	heading := w.words.troubles.several(w.words.number(int64(len(ids))))
	blocks := []telegram.Block{telegram.Line(telegram.Plain(symbol), telegram.Bold(heading), telegram.Plain(" · "+when)).Ranked(telegram.Head)}
	w.listed = true
	for i, of := range ids {
		if i == maxLines {
			blocks = append(blocks, telegram.Line(telegram.Italic(w.words.more(w.words.number(int64(len(ids)-i))))))
			break
		}
		about := s.aboutTrouble(w, of, card(of)).Blocks
		blocks = append(blocks, about[0])
		for _, detail := range about[1:] {
			blocks = append(blocks, detail.Ranked(telegram.Detail))
		}
	}
	if _, state := w.state(c.Severity, &whole); state != "" && whole.Alive() {
		blocks = append(blocks, telegram.Line(telegram.Italic(state)))
	}
	m := telegram.NewMessage(append(blocks, w.notes(c)...)...)
	m.Buttons = w.buttons(id, &whole)
	for i, of := range ids[:min(len(ids), maxLines)] {
		if i%2 == 0 {
			m.Buttons = append(m.Buttons, nil)
		}
		row := &m.Buttons[len(m.Buttons)-1]
		*row = append(*row, telegram.Button{Text: telegram.Shorten(w.troubleName(of), 28), Data: telegram.Action("show", alias(of))})
	}
	return m
}
