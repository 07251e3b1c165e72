package collector

import (
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"
)

// snapshotMetrics are what the metrics of snapshots say of a source.
func snapshotMetrics(t *testing.T, from prometheus.Gatherer, source string) map[string]float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		name, ours := strings.CutPrefix(f.GetName(), "datawatch_collector_snapshot")
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if ours && l.GetName() == "source" && l.GetValue() == source {
					found[name] = m.GetGauge().GetValue()
				}
			}
		}
	}
	return found
}

// TestWhoeverLooksSeesHowFarASnapshotIs: in metrics, by `collector status`, in the log and before the eyes of whoever asked, in
// its midst and at its end. Somebody holds the second of two tables meanwhile, so that it stays in its midst.
func TestWhoeverLooksSeesHowFarASnapshotIs(t *testing.T) {
	s := newShop(t, `create table first (id int primary key); insert into first select generate_series(1, 300)`,
		`create table second (id int primary key); insert into second select generate_series(1, 500)`, `analyze`)
	var lines log
	collector := startLogging(t, s.config, io.MultiWriter(&lines, t.Output()))
	holder, err := pgx.Connect(t.Context(), s.config.Collector.Sources[0].Postgres.DSN.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(t.Context()) }()
	if _, err := holder.Exec(t.Context(), `begin; lock table second in access exclusive mode`); err != nil {
		t.Fatal(err)
	}
	var screen log
	asked := make(chan error, 1)
	var ended *backfill.Job
	go func() {
		job, err := takeSnapshot(t.Context(), s.config, "shop-db", "", false, &terminal{w: &screen, live: true})
		ended = job
		asked <- err
	}()
	shows := func(want map[string]float64) {
		t.Helper()
		testrig.Eventually(t, time.Minute, func() error {
			if got := snapshotMetrics(t, collector.metrics, "shop-db"); !maps.Equal(got, want) {
				return fmt.Errorf("metrics of snapshots: %v, expected %v", got, want)
			}
			return nil
		})
	}
	shows(map[string]float64{"s_open": 1, "_rows_read": 300, "_rows_estimated": 800})
	testrig.Eventually(t, time.Minute, func() error {
		if out, _ := s.does(daemon.ExitOK, "status"); !strings.Contains(out, "snapshot of everything: reading shop-db/public.second: 300 of about 800 rows, 37%") {
			return fmt.Errorf("status: %s", out)
		}
		return nil
	})
	testrig.Eventually(t, time.Minute, func() error {
		if !strings.Contains(screen.String(), "reading shop-db/public.second: 300 of about 800 rows, 37%") {
			return fmt.Errorf("on the screen: %q", screen.String())
		}
		return nil
	})
	if _, err := holder.Exec(t.Context(), `commit`); err != nil {
		t.Fatal(err)
	}
	if err := <-asked; err != nil {
		t.Fatal(err)
	}
	if read, estimate := ended.Rows(); read != 800 || estimate != 800 {
		t.Errorf("it ended with %d rows of %d", read, estimate)
	}
	shows(map[string]float64{"s_open": 0, "_rows_read": 800, "_rows_estimated": 800})
	contains(t, lines.String(), `msg="a snapshot begins"`, `msg="a snapshot has read a stream" source=shop-db stream=shop-db/public.first rows=300`, `msg="a snapshot ended"`, "rows=800")
}
