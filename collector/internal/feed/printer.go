package feed

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"datawatch/pkg/event"
)

// Printer shows clean events as text: what the feed would say of them, transaction by transaction. It sums nothing up, and
// hides nothing: that is done before.
type Printer struct {
	a      *assembler
	reader *viewer // who reads it, and is shown everything
	failed error
}

// NewPrinter writes to w, with a blank line behind each message. linger is how long the changes of a transaction may lie
// apart: in clean they are in several partitions.
func NewPrinter(w io.Writer, language string, zone *time.Location, linger time.Duration) (*Printer, error) {
	words, ok := catalogues[language]
	if !ok {
		return nil, fmt.Errorf("feed: language %q is none of en, vi", language)
	}
	p := &Printer{reader: &viewer{everything: true}}
	writer := writer{words: words, zone: zone}
	p.a = newAssembler(nil, nil, open{}, linger, slog.New(slog.DiscardHandler), func(t *transaction) {
		if p.failed == nil {
			_, p.failed = fmt.Fprintf(w, "%s\n\n", writer.write(work{transaction: t}, p.reader, verdict{}, time.Now()).Plain())
		}
	})
	return p, nil
}

// Take takes an event. Which transactions are complete is told by Flush alone: partitions overtake each other.
func (p *Printer) Take(e *event.Clean) error {
	at, err := time.Parse(time.RFC3339Nano, e.Time)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.ID, err)
	}
	kafka := e.Change != nil && e.Change.Origin.Kind == event.Kafka
	p.a.takeClean(place{source: e.Stream.Source(), at: at, kafka: kafka}, e, nil, []*viewer{p.reader})
	return p.failed
}

// Flush writes the transactions of which nothing came for the linger; with all, each.
func (p *Printer) Flush(all bool) error {
	if all {
		p.a.completeAll()
	} else {
		p.a.completeQuiet(time.Now())
	}
	return p.failed
}
