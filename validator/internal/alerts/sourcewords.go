package alerts

import (
	"cmp"
	"strings"
	"time"

	"datawatch/pkg/config"
	"datawatch/pkg/control"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
)

func (w writer) source(name string, s *control.SourceTrouble) telegram.Message {
	t := w.words.troubles
	return w.trouble(t.source(name), s.Since, w.sentence(s.Why, s.Reason), t.sourceMeans, cmp.Or(w.say(s.Do, s.Remedy), t.sourceDo))
}

func (w writer) lag(name string, seconds float64, since time.Time) telegram.Message {
	t := w.words.troubles
	span := w.words.span(time.Duration(seconds) * time.Second)
	return w.trouble(t.lag(name, span), since, "", t.lagMeans, t.lagDo)
}

func (w writer) outbox(name string, s control.Source, since time.Time) telegram.Message {
	t := w.words.troubles
	return w.trouble(t.outbox(name, w.words.percent(float64(s.Backlog)/float64(s.BacklogCap))), since,
		t.outboxIs(size(s.Backlog), size(s.BacklogCap)), t.outboxMeans, t.outboxDo)
}

func (w writer) window(name string, of *control.Window, since time.Time) telegram.Message {
	t := w.words.troubles
	if of.Seconds {
		span := func(seconds int64) string { return w.words.span(time.Duration(max(seconds, 0)) * time.Second) }
		return w.trouble(t.window(name), since, t.oplogIs(span(of.Left), span(of.Size)), t.windowMeans, t.oplogDo)
	}
	return w.trouble(t.window(name), since, t.windowIs(size(of.Left), size(of.Size)), t.windowMeans, t.windowDo)
}

// size is a number of bytes to a mebibyte: what waits changes all the time.
func size(bytes int64) string {
	const mebibyte = 1 << 20
	return config.Bytes(max(bytes, 0) / mebibyte * mebibyte).String()
}

// gaps is the message of stretches that were not captured.
func (w writer) gaps(g *gaps) telegram.Message {
	t := w.words.troubles
	names := make([]string, 0, len(g.Streams))
	for _, s := range g.Streams {
		names = append(names, s.Readable())
	}
	streams, more := len(g.Streams), len(g.Streams) > gapStreams
	if more {
		streams, names = gapStreams, append(names[:gapStreams], "…")
	}
	means := t.gapSome
	if !g.Unknown {
		means = t.gapLost(w.words.number(g.Lost))
	}
	m := w.trouble(t.gap(g.Source, streams, more), g.From, g.what().Reason().Sentence(w.words.language), means, w.say(g.Do, g.Remedy))
	span := telegram.Line(telegram.Plain(w.span(g) + " · " + strings.Join(names, ", ")))
	m.Blocks = append(m.Blocks[:1:1], append([]telegram.Block{span}, m.Blocks[1:]...)...)
	return m
}

// say is what another service says, in the language of the messages.
func (w writer) say(t *reason.Text, written string) string {
	return reason.Say(w.words.language, t, written)
}

// partName is what a part of a service is called.
func (w writer) partName(name string) string { return reason.OfPart(name).In(w.words.language) }

// phrase is what a compiler of ours finds wrong.
func (w writer) phrase(english string) string { return reason.Phrase(english).In(w.words.language) }

// letter is why a record became a dead letter: the kind of reason, and what whoever read it said.
func (w writer) letter(class, why string) string {
	text := reason.OfLetter(class)
	if why != "" {
		said := reason.Phrase(why)
		text.Because = &said
	}
	return text.In(w.words.language)
}

// sentence is the same as a line of its own.
func (w writer) sentence(t *reason.Text, written string) string {
	if t == nil || !t.Known() {
		return written
	}
	return t.Sentence(w.words.language)
}

// span is from when to when there are gaps.
func (w writer) span(g *gaps) string {
	return w.moment(g.From, "15:04:05") + " – " + w.moment(g.To, "15:04:05")
}
