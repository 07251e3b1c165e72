package e2e_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"datawatch/deploy/program"
)

// metrics reads and lints the metrics of the three services.
func (w *world) metrics() []byte {
	w.t.Helper()
	var all []byte
	for _, name := range program.Services {
		response, err := http.Get("http://" + w.Listen[name] + "/metrics")
		if err != nil {
			w.t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			w.t.Fatal(err)
		}
		problems, err := promlint.New(bytes.NewReader(body)).Lint()
		if err != nil {
			w.t.Errorf("%s: %v", name, err)
		}
		for _, p := range problems {
			w.t.Errorf("%s: %s: %s", name, p.Metric, p.Text)
		}
		all = append(all, body...)
	}
	return all
}

var metricName = regexp.MustCompile(`\bdatawatch_[a-z0-9_]*[a-z0-9]`)

// askedFor lists the metrics that dashboards and alerting rules ask for.
func askedFor(t testing.TB) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, path := range []string{"grafana/dashboards/datawatch.json", "prometheus/rules.yml"} {
		text, err := os.ReadFile(filepath.Join(program.SourceTree(), "deploy", path))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range metricName.FindAllString(string(text), -1) {
			names[name] = true
		}
	}
	return names
}

func (w *world) assertDashboardsHaveTheirMetrics(exposed []byte) {
	w.t.Helper()
	known := map[string]bool{"datawatch_collector_gaps_total": true} // appears with the first gap: there was none
	for _, name := range metricName.FindAllString(string(exposed), -1) {
		known[name] = true
	}
	for name := range askedFor(w.t) {
		if !known[name] {
			w.t.Errorf("dashboards or rules ask for %s, which no service exposes", name)
		}
	}
}
