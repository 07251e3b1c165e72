package chat

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"datawatch/collector/internal/feed"
	"datawatch/collector/internal/remote"
	"datawatch/collector/internal/source"
	"datawatch/pkg/broker"
	"datawatch/pkg/control"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
)

// Standing is how everything is, as services and collectors said last on the broker: whoever asks, and wherever they run.
type Standing struct {
	Services []Service
	Sources  []Source
	// PerSecond are the events that were judged of late.
	PerSecond float64
	// Canary is when the event of our own that came through last was sent, of the partition that is farthest behind; zero
	// where none did.
	Canary time.Time
	Open   *int // alerts; nil where no validator tells
}

// Service is one of the three.
type Service struct {
	Name    string
	Running int       // how many of it
	Last    time.Time // its last sign of life; zero is none
	Stopped bool      // that sign said that it was told to stop
	Parts   []control.Part
}

// Source is one captured system.
type Source struct {
	Name    string
	State   source.State
	Why     reason.Text
	Running bool // a collector runs it
	Lag     time.Duration
}

func (s Source) well() bool {
	return s.Running && (s.State == source.Streaming || s.State == source.Snapshot)
}

var services = []string{"collector", "preprocessor", "validator"}

const (
	// recently is what the rate is of.
	recently = 30 * time.Second
	// beatsBack is how far back signs of life are looked for.
	beatsBack = time.Hour
)

// standing reads how everything is.
func (d *Desk) standing(ctx context.Context) (Standing, error) {
	scanner, err := broker.NewScanner(d.o.Broker, "datawatch-collector")
	if err != nil {
		return Standing{}, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	now := time.Now()
	newest := map[string]map[string]control.Beat{} // by service and instance
	var s Standing
	judged := int64(0)
	from, err := scanner.Since(d.topics.Control, 0, now.Add(-beatsBack))
	if err != nil {
		return s, err
	}
	end, err := scanner.End(d.topics.Control, 0)
	if err != nil {
		return s, err
	}
	err = scanner.Scan(ctx, d.topics.Control, 0, from, end, func(r broker.Record) error {
		b, ok := control.ReadBeat(r)
		if !ok {
			return nil
		}
		if newest[b.Service] == nil {
			newest[b.Service] = map[string]control.Beat{}
		}
		newest[b.Service][b.Instance] = b
		if now.Sub(b.At) < recently {
			for _, t := range b.Tallies {
				judged += t.Total()
			}
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	s.PerSecond = float64(judged) / recently.Seconds()
	for _, name := range services {
		s.Services = append(s.Services, serviceOf(name, newest[name], now))
	}
	s.lookAt(newest["validator"], now)
	s.Sources, err = d.sources(ctx, now)
	return s, err
}

// lookAt takes what validators tell of canaries and alerts.
func (s *Standing) lookAt(validators map[string]control.Beat, now time.Time) {
	canaries := control.Canaries{}
	for _, b := range validators {
		if !b.Alive(now) {
			continue
		}
		canaries.Add(b.Canaries)
		if b.Alerts != nil {
			s.Open = b.Alerts
		}
	}
	if _, sent, ok := canaries.Oldest(); ok {
		s.Canary = sent
	}
}

func serviceOf(name string, instances map[string]control.Beat, now time.Time) Service {
	s := Service{Name: name}
	for _, b := range instances {
		if b.At.After(s.Last) {
			s.Last, s.Stopped = b.At, b.Stopping
		}
		if b.Alive(now) {
			s.Running++
			for _, p := range b.Parts {
				if !strings.HasPrefix(p.Name, "source ") { // those are told by themselves
					s.Parts = append(s.Parts, p)
				}
			}
		}
	}
	slices.SortFunc(s.Parts, func(a, b control.Part) int { return strings.Compare(a.Name, b.Name) })
	s.Parts = slices.CompactFunc(s.Parts, func(a, b control.Part) bool { return a.Name == b.Name })
	return s
}

func (d *Desk) sources(ctx context.Context, now time.Time) ([]Source, error) {
	if d.o.Sources == nil {
		return nil, nil
	}
	names := d.o.Sources()
	seen, err := remote.Look(ctx, d.o.Broker, names)
	if err != nil {
		return nil, err
	}
	var out []Source
	for _, name := range names {
		one := Source{Name: name}
		if s := seen[name].Status; s != nil {
			one.State, one.Why, one.Running = s.State, reason.Quote(s.Reason), s.Running(now)
			if s.Why != nil && s.Why.Known() {
				one.Why = *s.Why
			}
			one.Lag = time.Duration(s.LagSeconds * float64(time.Second))
		}
		out = append(out, one)
	}
	return out, nil
}

// status tells how everything is.
func (d *Desk) status(ctx context.Context, _ telegram.Command) ([]telegram.Block, error) {
	read := d.o.Status
	if read == nil {
		read = d.standing
	}
	s, err := read(ctx)
	if err != nil {
		return nil, err
	}
	var lines []telegram.Block
	ill := 0
	add := func(well bool, name, text string) {
		mark := ""
		if !well {
			mark = "✗ "
			ill++
		}
		lines = append(lines, telegram.Line(telegram.Plain(mark), telegram.Bold(name), telegram.Plain("  "+text)))
	}
	for _, one := range s.Sources {
		add(one.well(), one.Name, d.sourceText(one))
	}
	for _, one := range s.Services {
		add(one.Running > 0, one.Name, d.serviceText(one))
		for _, p := range one.Parts {
			add(false, one.Name+" / "+reason.OfPart(p.Name).In(d.o.Language), telegram.Shorten(reason.Say(d.o.Language, p.Why, p.Reason), mostReason))
		}
	}
	if text, late := d.canaryText(s.Canary); text != "" {
		add(!late, d.words.canary, text)
	}
	lines = append(lines, telegram.Line(telegram.Plain(d.openText(s))))
	head := []telegram.Span{telegram.Plain("🟢 "), telegram.Bold(d.words.allIsWell)}
	if ill > 0 {
		head = []telegram.Span{telegram.Plain("🟠 "), telegram.Bold(fmt.Sprintf(d.words.ill, ill))}
	}
	return append([]telegram.Block{telegram.Line(head...)}, lines...), nil
}

// mostReason is how much of a reason is shown, in UTF-16 units.
const mostReason = 200

func (d *Desk) sourceText(s Source) string {
	switch {
	case s.State == "":
		return d.words.sourceNever
	case !s.Running:
		return d.words.states[remote.Stopped]
	}
	text := d.words.states[s.State]
	if s.well() {
		return text + " · " + fmt.Sprintf(d.words.behind, d.span(s.Lag))
	}
	if !s.Why.IsZero() {
		text += ": " + telegram.Shorten(s.Why.In(d.o.Language), mostReason)
	}
	return text
}

func (d *Desk) serviceText(s Service) string {
	switch {
	case s.Running == 1:
		return d.words.runs
	case s.Running > 1:
		return fmt.Sprintf(d.words.runMany, s.Running)
	case s.Last.IsZero():
		return d.words.noSign
	case s.Stopped:
		return fmt.Sprintf(d.words.stoppedAt, d.clock(s.Last))
	default:
		return fmt.Sprintf(d.words.silentSince, d.clock(s.Last))
	}
}

func (d *Desk) canaryText(sent time.Time) (text string, late bool) {
	if sent.IsZero() {
		return "", false
	}
	age := max(time.Since(sent), 0)
	return fmt.Sprintf(d.words.canaryAge, feed.Span(d.o.Language, age)), age > control.CanaryLate
}

func (d *Desk) openText(s Standing) string {
	text := fmt.Sprintf(d.words.perSecond, d.decimal(s.PerSecond))
	switch {
	case s.Open == nil:
		return text
	case *s.Open == 0:
		return text + " · " + d.words.nothingOpen
	case *s.Open == 1:
		return text + " · " + d.words.oneOpen
	default:
		return text + " · " + fmt.Sprintf(d.words.open, *s.Open)
	}
}
