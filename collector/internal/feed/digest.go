package feed

import (
	"slices"
	"time"

	"datawatch/pkg/event"
)

// digest is many transactions as numbers, by source in the order in which they came first.
type digest struct {
	sections []*section
	caught   stretch // times of the capture
}

// section is what happened in one source.
type section struct {
	source       string
	transactions int // of a broker: records
	records      bool
	tables       map[event.Stream]*table
	first, last  time.Time
	lost         int // changes that nobody counted by table
}

func newDigest() *digest { return &digest{} }

func (d *digest) section(source string) *section {
	for _, s := range d.sections {
		if s.source == source {
			return s
		}
	}
	made := &section{source: source, tables: map[event.Stream]*table{}}
	d.sections = append(d.sections, made)
	return made
}

func (d *digest) add(t *transaction) {
	d.caught.add(t.caught.first, t.caught.last)
	s := d.section(t.source)
	s.transactions++
	s.records = s.records || t.kafka
	s.span(t.first, t.last)
	for _, in := range t.tables {
		s.count(in)
	}
}

func (s *section) count(in *table) {
	known, ok := s.tables[in.stream]
	if !ok {
		known = &table{stream: in.stream, name: in.name}
		s.tables[in.stream] = known
	}
	known.tally.add(in.tally)
}

func (s *section) span(first, last time.Time) {
	if s.first.IsZero() || first.Before(s.first) {
		s.first = first
	}
	if last.After(s.last) {
		s.last = last
	}
}

func (d *digest) lose(source string, l *loss) {
	d.caught.add(l.caught.first, l.caught.last)
	d.section(source).lost += l.changes
}

func (d *digest) changes() int {
	n := 0
	for _, s := range d.sections {
		n += s.lost
		for _, t := range s.tables {
			n += t.tally.changes()
		}
	}
	return n
}

// merge adds a later digest.
func (d *digest) merge(later *digest) {
	d.caught.add(later.caught.first, later.caught.last)
	for _, s := range later.sections {
		into := d.section(s.source)
		into.transactions += s.transactions
		into.records = into.records || s.records
		into.lost += s.lost
		if s.transactions > 0 {
			into.span(s.first, s.last)
		}
		for _, in := range s.tables {
			into.count(in)
		}
	}
}

func (d *digest) transactions() int {
	n := 0
	for _, s := range d.sections {
		n += s.transactions
	}
	return n
}

// busiest are the tables with the most changes first.
func (s *section) busiest() []*table {
	tables := make([]*table, 0, len(s.tables))
	for _, t := range s.tables {
		tables = append(tables, t)
	}
	slices.SortFunc(tables, func(a, b *table) int {
		if d := b.tally.changes() - a.tally.changes(); d != 0 {
			return d
		}
		return slices.Compare([]byte(a.stream), []byte(b.stream))
	})
	return tables
}
