package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"datawatch/collector/internal/remote"
	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
)

// reading is a source that answers a snapshot at once, with one row.
type reading struct {
	reporter source.Reporter
	requests <-chan source.SnapshotRequest
	fail     error // in place of taking the first request
}

func (r *reading) TakeSnapshots(requests <-chan source.SnapshotRequest) { r.requests = requests }

func (r *reading) Run(ctx context.Context, progress source.Progress, emit source.Emit) error {
	tracker, err := backfill.NewTracker(progress, backfill.Options{
		Requests: r.requests, Reporter: r.reporter, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		return err
	}
	r.reporter.State(source.Streaming, reason.Text{})
	r.reporter.Backlog(42)
	for {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
		job := tracker.Job()
		if job == nil {
			continue
		}
		if r.fail != nil {
			return r.fail
		}
		tracker.Planned([]*backfill.Part{{Stream: "one/rows", Estimate: 1}})
		tracker.Read(1, 10, nil, true)
		entry, err := tracker.Progress()
		if err != nil {
			return err
		}
		if err := emit(ctx, source.Batch{Progress: entry}); err != nil {
			return err
		}
	}
}

// TestSnapshotIsAskedForAndFollowedByTheBroker: a request that a collector took and didn't commit is taken by the next, once;
// whoever asked hears of the end. Where nobody runs the source, nothing is asked.
func TestSnapshotIsAskedForAndFollowedByTheBroker(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c := brokerConfig(t, addr)
		if _, err := remote.AskSnapshot(t.Context(), c, "one", "", false); !errors.Is(err, remote.ErrNobody) {
			t.Fatalf("without a collector: %v", err)
		}
		fails := make(chan error, 1)
		fails <- errDown
		running := start(t, c, Unit{Name: "one", New: func(reporter source.Reporter) source.Source {
			r := &reading{reporter: reporter}
			select {
			case r.fail = <-fails:
			default:
			}
			return r
		}})
		awaitStatus(t, c, source.Streaming)
		id, err := remote.AskSnapshot(t.Context(), c, "one", "one/rows", true)
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		job, err := remote.Follow(t.Context(), c, "one", id, func(*backfill.Job) { seen++ })
		if err != nil {
			t.Fatal(err)
		}
		if read, _ := job.Rows(); read != 1 || job.Stream != event.Stream("one/rows") || seen == 0 {
			t.Errorf("%+v", job)
		}
		testrig.Eventually(t, 30*time.Second, func() error { // behind the commit
			if n := testutil.ToFloat64(running.metrics.snapshotRows.WithLabelValues("one")); n != 1 {
				return fmt.Errorf("the metric tells of %v rows", n)
			}
			return nil
		})
		if err := running.stop(); err != nil {
			t.Fatal(err)
		}
		status := awaitStatus(t, c, remote.Stopped)
		if status.Running(time.Now()) {
			t.Error("a source that was stopped is said to run")
		}
		seenNow, err := remote.Look(t.Context(), c, []string{"one"})
		if err != nil {
			t.Fatal(err)
		}
		if a := seenNow["one"].Snapshots; len(a.Ended) != 1 || len(a.Jobs) != 0 || a.Control == 0 {
			text, _ := json.Marshal(a)
			t.Errorf("the account is %s", text)
		}
	})
}

func awaitStatus(t *testing.T, c config.Broker, want source.State) *remote.Status {
	t.Helper()
	var status *remote.Status
	testrig.Eventually(t, 30*time.Second, func() error {
		seen, err := remote.Look(t.Context(), c, []string{"one"})
		if err != nil {
			return err
		}
		if status = seen["one"].Status; status == nil || status.State != want {
			return fmt.Errorf("the status is %+v", status)
		}
		return nil
	})
	if want == source.Streaming && (status.BacklogBytes == nil || *status.BacklogBytes != 42) {
		t.Errorf("the status is %+v", status)
	}
	return status
}

// TestFailingSourceSaysWhy: whoever asks for the status is told the reason while the source waits to be run again.
func TestFailingSourceSaysWhy(t *testing.T) {
	c := brokerConfig(t, testrig.Embedded(t))
	spans := shortTimes
	spans.firstPause, spans.longPause = time.Minute, time.Minute
	startWith(t, c, nil, spans, Unit{Name: "one", New: func(source.Reporter) source.Source { return failing{} }})
	if status := awaitStatus(t, c, source.Failed); status.Reason != errDown.Error() {
		t.Errorf("%+v", status)
	}
}

type failing struct{}

func (failing) Run(context.Context, source.Progress, source.Emit) error { return errDown }

// TestSnapshotsOfASourceThatAnotherCollectorRunsAreNotTold: that one tells of them.
func TestSnapshotsOfASourceThatAnotherCollectorRunsAreNotTold(t *testing.T) {
	u := Unit{Name: "one", New: func(source.Reporter) source.Source { return nil }}
	s := New(Options{Units: []Unit{u}, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Health: daemon.NewHealth()})
	for _, of := range []*prometheus.GaugeVec{s.metrics.snapshotRows, s.metrics.snapshotOf, s.metrics.snapshotsOpen} {
		of.WithLabelValues(u.Name).Set(1)
		s.standBy(u)
		if n := testutil.CollectAndCount(of); n != 0 {
			t.Errorf("%d metrics are told", n)
		}
	}
}
