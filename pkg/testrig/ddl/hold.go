package ddl

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/testrig/model"
)

// Source captures what a [Fuzz] does.
type Source struct {
	// Session is one of the application's.
	Session func() *pgx.Conn
	// RunFor has it capture for a while.
	RunFor func(time.Duration)
	// Settled gives all that was told when nobody writes: it has read all, and has looked at the tables as they are.
	Settled func() []model.Change
	// Replaced is the same behind a snapshot that replaced all streams.
	Replaced func() []model.Change
}

// phase is how long is written at most before streams are held against tables.
const phase = 10 * time.Second

// Hold has sessions write for as long as that, while the source is stopped and started, and holds its streams against the tables.
func (f *Fuzz) Hold(t *testing.T, source Source, d time.Duration) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for begun := time.Now(); time.Since(begun) < d && !t.Failed(); {
		f.write(t, source, rng, min(phase, d))
		if f.compare(t, source.Settled(), false); !t.Failed() {
			f.compare(t, source.Replaced(), true)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t.Logf("%d transactions, operations that succeeded %v", len(f.done), f.count)
}

// write is one phase.
func (f *Fuzz) write(t *testing.T, source Source, rng *rand.Rand, d time.Duration) {
	t.Helper()
	sessions := make([]*pgx.Conn, 4)
	for i := range sessions {
		sessions[i] = source.Session()
	}
	writing, stopWriting := context.WithTimeout(t.Context(), d)
	defer stopWriting()
	seed, ended := rng.Uint64(), make(chan error, 1)
	go func() { ended <- f.run(writing, seed, sessions) }()
	for end := time.Now().Add(d); time.Now().Before(end); {
		source.RunFor(min(time.Duration(500+rng.IntN(5000))*time.Millisecond, time.Until(end)))
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for _, db := range sessions {
		if err := db.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// latest is how much is shown of a stream that differs.
const latest = 300

// compare shows what differs, with what was told of it and done to it.
func (f *Fuzz) compare(t *testing.T, changes []model.Change, replaced bool) {
	t.Helper()
	differences, err := f.differences(t.Context(), changes, replaced)
	if err != nil {
		t.Fatal(err)
	}
	for entity, text := range differences {
		var told []string
		for _, c := range changes {
			if c.Stream.Entity() == entity {
				told = append(told, line(c))
			}
		}
		t.Errorf("%s (behind a snapshot that replaced it: %v): %s\nof it was told\n%s\nand done\n%s", entity, replaced, text,
			strings.Join(told[max(0, len(told)-latest):], "\n"), f.of(entity))
	}
	for _, statement := range f.refused {
		_, of, _ := strings.Cut(statement, `"`)
		of, _, _ = strings.Cut(of, `"`)
		t.Errorf("capture had a statement fail: %s\nof %q was done\n%s", statement, of, f.of(of))
	}
}

// line is a change as a stream's reader sees it.
func line(c model.Change) string {
	if c.Gap != "" {
		return "gap " + c.Gap
	}
	return fmt.Sprintf("%s %s before %s after %s %s (transaction %s, %s)", c.Op, c.Key, c.Before, c.After, c.Reason, c.Transaction, c.ID)
}

// of are the latest transactions that name a table.
func (f *Fuzz) of(name string) string {
	schema, bare, qualified := strings.Cut(name, ".")
	if !qualified {
		schema, bare = `s\d`, name
	}
	is := regexp.MustCompile(`(\b` + schema + `\.| rename to )` + bare + `(_\w+)?\b`)
	lines := slices.DeleteFunc(slices.Clone(f.done), func(line string) bool { return !is.MatchString(line) })
	return strings.Join(lines[max(0, len(lines)-latest):], "\n")
}
