package feed

import (
	"time"

	"datawatch/pkg/telegram"
)

// Left is what a chat wasn't shown of the feed when that ended: it is told as a number by whoever runs next.
type Left struct {
	Version      int           `json:"version"` // 1
	Chat         telegram.Chat `json:"chat"`
	Transactions int           `json:"transactions"`
	Changes      int           `json:"changes"`
	Whole        string        `json:"whole"` // the button's data
	At           time.Time     `json:"at"`
}

// Left is what nobody was shown, by chat. It is known once Run has returned.
func (f *Feed) Left() []Left { return f.left }

// abandon empties the backlogs.
func (f *Feed) abandon(now time.Time) {
	for _, v := range f.audience.list() {
		d := v.backlog.abandon()
		if d.changes() == 0 {
			continue
		}
		f.metrics.dropped.Add(float64(d.transactions()))
		f.options.Log.Warn("feed stopped before everything was shown", "chat", v.chat.ID, "transactions", d.transactions(), "changes", d.changes())
		f.left = append(f.left, Left{
			Version: 1, Chat: v.chat, Transactions: d.transactions(), Changes: d.changes(), At: now.UTC(),
			Whole: work{digest: d}.whole(v, now).Action(),
		})
	}
}

// LeftMessage tells what was left.
func (f *Feed) LeftMessage(l Left) telegram.Message {
	w := f.writer
	text := fill(w.words.some(l.Transactions, w.words.leftOne, w.words.left), w.clock(l.At, time.Now()))
	if l.Transactions == 0 { // nobody counted them
		text = fill(w.words.leftChanges, w.words.number(l.Changes), w.clock(l.At, time.Now()))
	}
	m := telegram.NewMessage(telegram.Line(telegram.Plain("📦 " + text)))
	m.Silent = true
	m.Buttons = [][]telegram.Button{{{Text: w.words.whole, Data: l.Whole}}}
	return m
}
