package backfill_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

type quiet struct{}

func (quiet) State(source.State, reason.Text) {}
func (quiet) Lag(float64)                     {}
func (quiet) Backlog(int64)                   {}
func (quiet) Gap(string)                      {}

func tracker(t *testing.T, p source.Progress, now *time.Time, requests ...source.SnapshotRequest) *backfill.Tracker {
	t.Helper()
	waiting := make(chan source.SnapshotRequest, len(requests))
	for _, r := range requests {
		waiting <- r
	}
	tr, err := backfill.NewTracker(p, backfill.Options{
		Initial: true, BytesPerSecond: 1000, Requests: waiting, Reporter: quiet{}, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return *now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func progress(t *testing.T, tr *backfill.Tracker) source.Progress {
	t.Helper()
	p, err := tr.Progress()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAccountGoesOnWhereItWasCommitted: a run begins with what progress holds: the part that was read, the requests that
// wait, and no initial snapshot twice. A request that was taken isn't taken again, nor one that nobody waits for any more.
func TestAccountGoesOnWhereItWasCommitted(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	one := source.SnapshotRequest{ID: "one", Stream: "shop-db/public.b", At: now, Next: 7}
	tr := tracker(t, nil, &now, one, source.SnapshotRequest{ID: "old", At: now.Add(-2 * time.Hour), Next: 8})
	if j := tr.Job(); j.ID != backfill.InitialID || !j.Began.IsZero() {
		t.Fatalf("%+v", j)
	}
	tr.Planned([]*backfill.Part{{Stream: "shop-db/public.a", Estimate: 10}, {Stream: "shop-db/public.b"}})
	tr.Read(4, 2000, []byte(`{"last":4}`), false)
	if tr.Due() {
		t.Error("2,000 bytes at 1,000 a second are read, and the next chunk is due at once")
	}
	now = now.Add(2 * time.Second)
	if !tr.Due() {
		t.Error("two seconds later, it isn't due")
	}
	committed := progress(t, tr)
	if p := progress(t, tr); p != nil {
		t.Errorf("nothing changed, and progress is %s", p[backfill.Entry])
	}

	tr = tracker(t, committed, &now, one)
	j := tr.Job()
	if part := j.Current(); j.ID != backfill.InitialID || part.Rows != 4 || string(part.Cursor) != `{"last":4}` || j.String() != "reading shop-db/public.a: 4 of about 10 rows, 40%" {
		t.Errorf("%s, %+v", j, part)
	}
	tr.Read(1, 1, nil, true)
	tr.LeaveOut("permission denied")
	if j := tr.Job(); j.ID != "one" {
		t.Fatalf("the next is %s", j.ID)
	}
	tr.Planned(nil)
	if j := tr.Job(); j != nil {
		t.Fatalf("there is one more: %s", j.ID)
	}
	account, err := backfill.Parse(progress(t, tr))
	if err != nil {
		t.Fatal(err)
	}
	if len(account.Ended) != 2 || account.Control != 8 || fmt.Sprint(account.Ended[0].Problems()) != "[shop-db/public.b: permission denied]" ||
		fmt.Sprint(account.Ended[1].Problems()) != "[the source has no such stream: shop-db/public.b]" {
		t.Errorf("%+v: %v, %v", account, account.Ended[0].Problems(), account.Ended[1].Problems())
	}
	always := func(time.Time) bool { return true }
	if !account.Read("shop-db/public.a", always) || account.Read("shop-db/public.b", always) || account.Read("shop-db/public.a", func(time.Time) bool { return false }) {
		t.Error("what was read isn't told from what wasn't")
	}
}

// TestAPartThatCameIsReadOnceAndIsNotTheStream: what was attached is read behind the snapshots that were asked for, once,
// and nobody takes it for all of the stream.
func TestAPartThatCameIsReadOnceAndIsNotTheStream(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	const stream = "shop-db/public.p"
	tr := tracker(t, nil, &now)
	tr.AddPart("attach-1", now, &backfill.Part{Stream: stream})
	tr = tracker(t, progress(t, tr), &now) // another run, to which the same is told again
	tr.AddPart("attach-1", now, &backfill.Part{Stream: stream})
	if j := tr.Job(); j.ID != backfill.InitialID {
		t.Fatalf("%+v", j)
	}
	tr.Planned(nil)
	if j := tr.Job(); j == nil || j.ID != "attach-1" || j.Began.IsZero() {
		t.Fatalf("%+v", j)
	}
	tr.Read(1, 10, nil, true)
	if j := tr.Job(); j != nil {
		t.Errorf("another one: %+v", j)
	}
	account, err := backfill.Parse(progress(t, tr))
	if err != nil {
		t.Fatal(err)
	}
	if account.Read(stream, func(time.Time) bool { return true }) {
		t.Error("a part is taken for the stream")
	}
}

// said are the lines of a log, and the states that were reported.
type said struct {
	quiet
	lines  strings.Builder
	states []string
}

func (s *said) State(state source.State, why reason.Text) {
	s.states = append(s.states, fmt.Sprint(state, " ", why))
}

// TestHowFarASnapshotIsIsToldEveryTenSeconds: in the log and to whoever asks for the source's state, not at each chunk.
func TestHowFarASnapshotIsIsToldEveryTenSeconds(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	var s said
	tr, err := backfill.NewTracker(nil, backfill.Options{
		Initial: true, Reporter: &s, Log: slog.New(slog.NewTextHandler(&s.lines, nil)), Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	tr.Planned([]*backfill.Part{{Stream: "shop-db/public.a", Estimate: 100}})
	for i := range 21 { // a chunk a second
		now = now.Add(time.Second)
		tr.Read(2, 100, nil, i == 20)
	}
	var told []string
	for line := range strings.Lines(s.lines.String()) {
		if _, progress, ok := strings.Cut(line, "msg=snapshot progress="); ok {
			told = append(told, strings.TrimSpace(progress))
		}
	}
	const ten, twenty = `"reading shop-db/public.a: 20 of about 100 rows, 20%"`, `"reading shop-db/public.a: 40 of about 100 rows, 40%"`
	if fmt.Sprint(told) != fmt.Sprint([]string{ten, twenty}) {
		t.Errorf("the log tells %q", told)
	}
	want := []string{"snapshot reading shop-db/public.a: 0 of about 100 rows, 0%", "snapshot " + strings.Trim(ten, `"`), "snapshot " + strings.Trim(twenty, `"`), "streaming "}
	if !slices.Equal(s.states, want) {
		t.Errorf("states %q", s.states)
	}
}

// TestAccountStaysWithinARecord: else nothing could be committed any more. Whatever is forgotten of snapshots that ended, which streams
// were read whole is known; and a snapshot of too many tables says so, and isn't in the way of the next one.
func TestAccountStaysWithinARecord(t *testing.T) {
	const most = 64 << 10
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	requests := make(chan source.SnapshotRequest, 100)
	tr, err := backfill.NewTracker(nil, backfill.Options{
		MaxRecordBytes: most, Requests: requests, Reporter: quiet{}, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	account := new(backfill.Account)
	commit := func() {
		t.Helper()
		p := progress(t, tr)
		if n := len(p[backfill.Entry]); n > most {
			t.Fatalf("an account of %d bytes", n)
		}
		if account, err = backfill.Parse(p); err != nil {
			t.Fatal(err)
		}
	}
	parts := func(n int) (parts []*backfill.Part) {
		for i := range n {
			parts = append(parts, &backfill.Part{Stream: event.StreamOf("core-banking", fmt.Sprintf("accounting.ledger_entries_%05d", i)), Place: "1234567", Estimate: 1234567})
		}
		return parts
	}
	read := func(id string, n int, problem string) {
		t.Helper()
		requests <- source.SnapshotRequest{ID: id, At: now}
		if j := tr.Job(); j == nil || j.ID != id {
			t.Fatalf("%s isn't at work, but %+v", id, j)
		}
		tr.Planned(parts(n))
		commit()
		for i := 0; tr.Job() != nil; i++ {
			if i == 0 || problem == "" {
				tr.Read(1000, 1_000_000, nil, true)
			} else {
				tr.LeaveOut(problem)
			}
			commit()
		}
	}
	read("first", 150, "")
	for i := range 12 {
		read(fmt.Sprint("later-", i), 100, strings.Repeat("no ", 10))
	}
	read("none", 100, strings.Repeat("é", 1<<20))
	if always := func(time.Time) bool { return true }; !account.Read("core-banking/accounting.ledger_entries_00149", always) {
		t.Error("that the first one read a stream was forgotten")
	}
	read("huge", 5000, "")
	job := account.Job("huge")
	if job == nil || job.Ended.IsZero() || len(job.Problems()) != 1 || !strings.Contains(job.Problem, "5000 tables are too many") {
		t.Errorf("%+v", job)
	}
	read("last", 3, "")
	if rows, _ := account.Job("last").Rows(); rows != 3000 {
		t.Errorf("%d rows", rows)
	}
}

// TestWhatASnapshotReadIsCountedThoughItsPartsAreForgotten: a later one comes to its end.
func TestWhatASnapshotReadIsCountedThoughItsPartsAreForgotten(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	tr := tracker(t, nil, &now, source.SnapshotRequest{ID: "one", At: now, Next: 1})
	for range 2 {
		tr.Job()
		var parts []*backfill.Part
		for i := range 130 {
			parts = append(parts, &backfill.Part{Stream: event.StreamOf("shop-db", fmt.Sprint("public.t", i))})
		}
		tr.Planned(parts)
		for range 5 {
			tr.Read(10, 100, nil, true)
		}
		for range 125 {
			tr.LeaveOut("permission denied")
		}
	}
	account, err := backfill.Parse(progress(t, tr))
	if err != nil {
		t.Fatal(err)
	}
	first, last := account.Ended[0], account.Ended[1]
	if rows, of := first.Rows(); rows != 50 || of != 50 || len(first.Parts) != 20 || len(first.Problems()) != 21 || first.Problem != "105 more were left out" {
		t.Errorf("%d rows of %d, %q", rows, of, first.Problems())
	}
	if len(last.Parts) != 130 || len(last.Problems()) != 125 {
		t.Errorf("of the latest, %d parts are left, and %d problems", len(last.Parts), len(last.Problems()))
	}
}
