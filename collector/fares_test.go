package collector

import (
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/collector/internal/trouble"
	"datawatch/pkg/control"
	"datawatch/pkg/reason"
)

// configured is a configuration with the sources of a text.
func configured(t *testing.T, sources string) Config {
	t.Helper()
	c, err := parse("collector:\n  sources:\n" + sources)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestASignOfLifeTellsHowEachSourceFares: what its reader knows, at which size of its outbox capture stops, if it does, and why
// it isn't read; as the configuration is now.
func TestASignOfLifeTellsHowEachSourceFares(t *testing.T) {
	teller := trouble.New(trouble.Options{Log: slog.New(slog.DiscardHandler)})
	window := &control.Window{Left: 1, Size: 10}
	f := &fares{trouble: teller, sources: func() []control.Source {
		return []control.Source{
			{Name: "grows", Backlog: 5}, {Name: "mongo", LagSeconds: 3, Window: window}, {Name: "stops", Backlog: 7}, {Name: "usual"}, {Name: "wal", Backlog: 9},
		}
	}}
	f.configure(configured(t, `
    - {name: stops, postgres: {dsn: "postgres://h/stops", tables: ["public.*"], outbox: {max_bytes: 16MiB}}}
    - {name: grows, postgres: {dsn: "postgres://h/grows", tables: ["public.*"], outbox: {max_bytes: 16MiB, when_full: grow}}}
    - {name: usual, postgres: {dsn: "postgres://h/usual", tables: ["public.*"]}}
    - {name: wal, postgres: {dsn: "postgres://h/wal", tables: ["public.*"], capture: wal}}
    - {name: mongo, mongodb: {uri: "mongodb://h/?replicaSet=r", collections: ["shop.*"]}}
`))
	teller.State("mongo", source.Failed, reason.Quote("no route to host\nat all"), reason.Quote("check the uri"))
	b := control.Beat{Service: "collector"}
	f.say(&b)
	if why := b.Sources[1].Trouble; why == nil || why.Reason != "no route to host" || why.Remedy != "check the uri" || time.Since(why.Since) > time.Minute {
		t.Errorf("mongo isn't read because of %+v", why)
	}
	b.Sources[1].Trouble = nil
	want := []control.Source{
		{Name: "grows", Backlog: 5}, {Name: "mongo", LagSeconds: 3, Window: window}, {Name: "stops", Backlog: 7, BacklogCap: 16 << 20},
		{Name: "usual", BacklogCap: 2 << 30}, {Name: "wal", Backlog: 9},
	}
	if !reflect.DeepEqual(b.Sources, want) || b.Service != "collector" {
		t.Errorf("told %+v, want %+v", b.Sources, want)
	}

	f.configure(configured(t, `
    - {name: stops, postgres: {dsn: "postgres://h/stops", tables: ["public.*"], outbox: {max_bytes: 32MiB}}}
    - {name: usual, postgres: {dsn: "postgres://h/usual", tables: ["public.*"], outbox: {when_full: grow}}}
`))
	f.say(&b)
	var caps []string
	for _, s := range b.Sources {
		if s.BacklogCap > 0 {
			caps = append(caps, s.Name)
		}
	}
	if got := strings.Join(caps, " "); got != "stops" || b.Sources[2].BacklogCap != 32<<20 {
		t.Errorf("after a reload the outboxes of %q have caps: %+v", got, b.Sources)
	}
}

// TestACollectorTellsOfTroubleItselfWhereItHearsNothingOfTheValidator, if it is the one that watches that.
func TestACollectorTellsOfTroubleItselfWhereItHearsNothingOfTheValidator(t *testing.T) {
	now := time.Now()
	for name, test := range map[string]struct {
		watching     bool
		began, heard time.Time
		known, want  bool
	}{
		"another watches":          {false, now, time.Unix(0, 0), true, false},
		"not heard of yet":         {true, now, time.Unix(0, 0), false, false},
		"never heard of":           {true, now.Add(-time.Minute), time.Unix(0, 0), true, true},
		"heard of just now":        {true, now, now, true, false},
		"heard of within a minute": {true, now, now.Add(-validatorAway / 2), true, false},
		"silent for longer":        {true, now, now.Add(-validatorAway - time.Second), true, true},
		"silent, another watches":  {false, now, now.Add(-time.Hour), true, false},
	} {
		s := &show{}
		s.watching.Store(test.watching)
		s.listens.Store(test.began.UnixNano())
		s.validator.Store(test.heard.UnixNano())
		if known, alone := s.heardByNow(), s.alone(); known != test.known || alone != test.want {
			t.Errorf("%s: known is %v, alone is %v", name, known, alone)
		}
	}
}
