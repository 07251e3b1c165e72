package waitalert

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"datawatch/pkg/telegram"
)

// waiting are the lines of a wait that goes on: what, since when, what it means, what to do.
func (a *Alerter) waiting(t *told) []telegram.Block {
	w, of := t.wait, t.wait.Stream.Readable()
	what := fmt.Sprintf(a.words.some, of)
	switch {
	case w.Lost:
		what = fmt.Sprintf(a.words.lost, of)
	case t.n.n == 1 && !t.n.more:
		what = fmt.Sprintf(a.words.one, of)
	case t.n.n > 0:
		what = fmt.Sprintf(a.words.many, a.number(t.n), of)
	}
	since, means, do := w.Since, a.words.kept, a.words.mendRegistry
	if w.For.Schema != 0 {
		do = a.words.mendSchema
	}
	if w.Lost {
		since, means, do = w.Until, a.words.inLetters, fmt.Sprintf(a.words.replay, w.Stream)
	}
	blocks := []telegram.Block{
		telegram.Line(telegram.Plain("🟠 "), telegram.Bold(what), telegram.Plain(" "+a.words.since+" "+a.clock(since))),
		telegram.Line(telegram.Plain(a.cause(t) + " " + means)),
	}
	if !w.Lost {
		blocks = append(blocks, telegram.Line(telegram.Plain(fmt.Sprintf(a.words.until, a.clock(w.Until)))))
	}
	return append(blocks, telegram.Line(telegram.Plain(a.words.do+" "+do)))
}

func (a *Alerter) cause(t *told) string {
	f := t.wait.For
	if f.Schema != 0 {
		return fmt.Sprintf(a.words.noSchema, f.Schema)
	}
	return fmt.Sprintf(a.words.noRegistry, f.Registry, f.Err)
}

// over are the lines of a wait that has ended.
func (a *Alerter) over(t *told) []telegram.Block {
	w, now := t.wait, time.Now()
	first := telegram.Line(telegram.Plain("🟢 "), telegram.Bold(fmt.Sprintf(a.words.goesOn, w.Stream.Readable())), telegram.Plain(", "+a.clock(now)))
	if w.Lost {
		return []telegram.Block{
			first, telegram.Line(telegram.Plain(fmt.Sprintf(a.words.letters, a.clock(w.Until)))),
			telegram.Line(telegram.Plain(a.words.do + " " + fmt.Sprintf(a.words.replayNow, w.Stream))),
		}
	}
	return []telegram.Block{first, telegram.Line(telegram.Plain(fmt.Sprintf(a.words.waited, a.duration(now.Sub(w.Since)))))}
}

// clock is the time of day, with the date where it isn't today's.
func (a *Alerter) clock(t time.Time) string {
	layout := "15:04"
	if t, now := t.In(a.o.Zone), time.Now().In(a.o.Zone); t.Format(time.DateOnly) != now.Format(time.DateOnly) {
		layout = a.words.date + " 15:04"
	}
	return t.In(a.o.Zone).Format(layout)
}

func (a *Alerter) duration(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf(a.words.minutes, int(d.Minutes()))
	default:
		return fmt.Sprintf(a.words.hours, int(d.Hours()))
	}
}

// number is written in groups of three digits, with a plus where there are more.
func (a *Alerter) number(n number) string {
	digits := strconv.Itoa(n.n)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteString(a.words.thousands)
		}
		b.WriteRune(c)
	}
	if n.more {
		b.WriteByte('+')
	}
	return b.String()
}
