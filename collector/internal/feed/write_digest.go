package feed

import "datawatch/pkg/telegram"

// digest is the message that tells many transactions as numbers.
func (w writer) digest(d *digest) telegram.Message {
	var blocks []telegram.Block
	for _, s := range d.sections {
		blocks = append(blocks, w.section(s)...)
	}
	return telegram.NewMessage(append(blocks, telegram.Line(telegram.Italic(w.words.tooMuch)).Ranked(telegram.Head))...)
}

func (w writer) section(s *section) []telegram.Block {
	one, many := w.words.transaction, w.words.transactions
	if s.records {
		one, many = w.words.record, w.words.records
	}
	head := []telegram.Span{telegram.Plain("📦 "), telegram.Bold(s.source)}
	if s.transactions > 0 {
		head = append(head, telegram.Plain(" · "+fill(w.words.some(s.transactions, one, many), w.words.span(s.last.Sub(s.first)))))
	}
	blocks := []telegram.Block{telegram.Line(head...).Ranked(telegram.Head)}
	var tables []telegram.Span
	for i, t := range s.busiest() {
		if i > 0 {
			tables = append(tables, telegram.Plain(" · "))
		}
		if i == maxTables {
			tables = append(tables, telegram.Plain(fill(w.words.andMore, w.words.number(len(s.tables)-i))))
			break
		}
		tables = append(tables, telegram.Plain(telegram.Shorten(t.name, maxField)+" "+w.tally(t.tally)))
	}
	if len(tables) > 0 {
		blocks = append(blocks, telegram.Line(tables...))
	}
	if s.lost > 0 {
		blocks = append(blocks, telegram.Line(telegram.Plain(fill(w.words.lost, w.words.number(s.lost)))).Ranked(telegram.Head))
	}
	return blocks
}
