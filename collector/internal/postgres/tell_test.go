package postgres

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"datawatch/pkg/event"
)

// lines is a log that tests read.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// with are the lines that have all of these words.
func (l *lines) with(words ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for line := range strings.Lines(l.text.String()) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			found = append(found, line)
		}
	}
	return found
}

func (r *rig) logged() *lines {
	l := new(lines)
	r.opts.Log = slog.New(slog.NewTextHandler(l, nil))
	return l
}

func TestEveryGapIsNamedInTheLog(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	log := r.logged()
	r.install()
	r.exec(`insert into t values (1, 'x')`)
	r.breaks(packUpdate)
	r.exec(`update t set v = 'y'`)
	r.mended()
	r.wait(2)
	if got := log.with("level=WARN", "stream=shop-db/public.t", "cause="+causeCaptureFailed, "from=", "to=", "remedy="); len(got) != 1 {
		t.Errorf("the gap is named %d times: %q", len(got), got)
	}
	for _, command := range []string{"collector verify", "collector snapshot"} {
		if got := log.with("cause="+causeCaptureFailed, command); len(got) != 1 {
			t.Errorf("the remedy doesn't name %s: %q", command, got)
		}
	}
}

func TestAGapOfARetriedBatchIsLoggedOnce(t *testing.T) {
	log := new(lines)
	s := New("shop-db", Config{}, Options{Log: slog.New(slog.NewTextHandler(log, nil))})
	now := time.Now()
	for range 2 {
		s.logGap("shop-db/public.t", event.Gap{From: now, To: now, Cause: causeTooLarge, Remedy: "row 1"})
		s.logGap("shop-db/public.t", event.Gap{From: now, To: now, Cause: causeTooLarge, Remedy: "row 2"})
	}
	if got := log.with("cause=" + causeTooLarge); len(got) != 2 {
		t.Errorf("logged %q", got)
	}
}

func TestNamesWithDotsAreSelected(t *testing.T) {
	for _, c := range []struct {
		pattern, schema, table string
		want                   bool
	}{
		{"Sch.ema.*", "Sch.ema", "orders", true},
		{"Sch%2Eema.*", "Sch.ema", "orders", true},
		{"public.a.b", "public", "a.b", true},
		{"public.a%2Eb", "public", "a.b", true},
		{"public.a%2Eb", "public", "a%2Eb", true}, // a plain name
		{"*.*", "Sch.ema", "a.b", true},
		{"Sch.*", "Sch.ema", "orders", false},
		{"sch.ema.*", "Sch.ema", "orders", false},
		{"public.*", "Sch.ema", "orders", false},
	} {
		config := Config{Tables: []string{c.pattern}}
		if got := config.selects(c.schema, c.table); got != c.want {
			t.Errorf("%q selects %q.%q: %v", c.pattern, c.schema, c.table, got)
		}
	}
}

func TestAPatternThatMatchesNothingIsTold(t *testing.T) {
	r := newRig(t, `create schema "Sch.ema"; create table "Sch.ema".t (id int primary key)`)
	r.config.Tables = []string{"Sch%2Eema.*", "publik.*"}
	log := r.logged()
	r.install()
	r.exec(`insert into "Sch.ema".t values (1)`)
	expect(t, r.wait(1), `Sch%2Eema.t insert {"id":1} after {"id":1}`)
	if got := log.with("level=WARN", "pattern=publik.*"); len(got) != 1 {
		t.Errorf("the log tells %q", got)
	}
	var told []string
	for _, f := range r.source().Check(t.Context()) {
		if f.Err != nil {
			told = append(told, f.Err.Error())
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], "publik.*") {
		t.Errorf("check tells %q", told)
	}
}
